from fractions import Fraction

import pytest
import torch
from architectures import BottleneckBlock
from torch import Tensor, nn

from etude.inspection.simplify import simplify, two_dropouts
from etude.models import ConvGenerator


def shaken(module: nn.Module) -> nn.Module:
    """Batch-norms as after training, so that folding them is not trivial."""
    for part in module.modules():
        if isinstance(part, nn.modules.batchnorm._BatchNorm) and part.running_mean is not None:
            part.running_mean.normal_()
            part.running_var.uniform_(0.5, 2)  # type: ignore[union-attr]
            nn.init.normal_(part.weight)
            nn.init.normal_(part.bias)
    return module


def test_two_dropouts_are_one() -> None:
    assert two_dropouts(0.1, 0.2) == Fraction(28, 100)
    found = simplify(nn.Sequential(nn.Linear(3, 3), nn.Dropout(0.1), nn.Dropout(0.2)), torch.randn(4, 3))
    (fold,) = [fold for fold in found.folds if fold.kind == "dropouts"]
    assert fold.message.startswith(
        "1 and 2 drop 0.1 and 0.2: together one dropout of q = 1 - (1 - 0.1)(1 - 0.2) = 0.28; both scale by 1.38889, "
        "which keeps the expectation. Drawn 1,000,000 times: 0.2"
    )
    pair, one = (
        float(text)
        for text in fold.message.split("times: ")[1].replace(" dropped by the pair,", "").split(" by")[0].split()
    )
    assert pair == pytest.approx(0.28, abs=0.003)
    assert one == pytest.approx(0.28, abs=0.003)


def test_a_dropout_of_everything_leaves_nothing() -> None:
    found = simplify(nn.Sequential(nn.Dropout(1.0), nn.Dropout(0.5)), torch.randn(4, 3))
    assert "q = 1 - (1 - 1)(1 - 0.5) = 1; nothing is left." in found.folds[0].message


@pytest.mark.parametrize(
    ("module", "shape"),
    [
        (nn.Sequential(nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3), nn.ReLU()), (2, 2, 6, 6)),
        (nn.Sequential(nn.Conv2d(2, 4, 3, groups=2, bias=False), nn.BatchNorm2d(4, affine=True)), (2, 2, 6, 6)),
        (nn.Sequential(nn.ConvTranspose2d(2, 3, 4, 2, 1), nn.BatchNorm2d(3)), (2, 2, 5, 5)),
        (nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4)), (5, 3)),
        (nn.Sequential(BottleneckBlock(2, 2, 2)), (2, 2, 8, 8)),
    ],
)
def test_batch_norm_folds_with_equal_outputs(module: nn.Module, shape: tuple[int, ...]) -> None:
    found = simplify(shaken(module), torch.randn(shape))
    assert [fold for fold in found.folds if fold.kind == "norm"]
    assert found.difference < 1e-13


def test_the_folded_network_has_no_batch_norm_left_where_it_follows_a_layer() -> None:
    found = simplify(shaken(nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2))), torch.randn(1, 1, 5, 5))
    assert not any(isinstance(part, nn.BatchNorm2d) for part in found.module.modules())


def test_a_norm_whose_input_is_used_elsewhere_does_not_fold() -> None:
    class Both(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.norm = nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2)

        def forward(self, x: Tensor) -> Tensor:
            y = self.conv(x)
            return self.norm(y) + y

    found = simplify(shaken(Both()), torch.randn(1, 1, 5, 5))
    assert found.folds == []
    assert found.difference == 0


def test_two_linear_layers_are_one() -> None:
    found = simplify(nn.Sequential(nn.Linear(10, 50), nn.Linear(50, 3)), torch.randn(4, 10))
    assert found.difference < 1e-13
    assert [fold.message for fold in found.folds] == [
        "0 and 1 have nothing between them: one Linear(10, 3) does the same and saves 670 parameters."
    ]


def test_dropout_beside_relu_commutes() -> None:
    found = simplify(nn.Sequential(nn.Dropout(0.5), nn.ReLU()), torch.randn(4, 4))
    assert "0 and 1 may change places: max(0, m·x) = m·max(0, x) for a mask m ≥ 0." in [
        fold.message for fold in found.folds
    ]


def test_a_shared_layer_is_left_alone() -> None:
    shared = nn.Linear(4, 4)
    assert simplify(nn.Sequential(shared, shared), torch.randn(2, 4)).folds == []


def test_norms_of_the_generator_of_dcgan_do_not_fold_backwards() -> None:
    """ReLU stands between layer and norm in its blocks; one norm is followed by a linear layer, which takes it in."""
    found = simplify(shaken(ConvGenerator(4, (1, 16, 16))), torch.randn(2, 4))
    assert [fold.message for fold in found.folds] == ["project.norm1 folds into project.linear2 in evaluation."]


def test_the_module_stays_as_it_is() -> None:
    net = shaken(nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3), nn.Dropout()))
    before, state = {k: v.clone() for k, v in net.state_dict().items()}, torch.get_rng_state()
    simplify(net, torch.ones(2, 3))
    assert all(torch.equal(v, before[k]) for k, v in net.state_dict().items())
    assert torch.equal(state, torch.get_rng_state())
    assert net.training

import copy
from collections.abc import Callable
from fractions import Fraction

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval, fuse_linear_bn_eval

from etude.inspection.folding.simplify import simplify, two_dropouts
from etude.models import ConvGenerator
from inspection.architectures import BottleneckBlock
from inspection.blocks import BLOCKS, chain, shaken


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


@pytest.mark.parametrize("name", BLOCKS)
@pytest.mark.parametrize("trained", [False, True])
def test_folds_of_every_block(name: str, trained: bool) -> None:
    """At fresh running statistics, weights that make a wrong fold look right must not deceive the proof either."""
    module, expected = chain([name])
    if not trained:
        module, expected = BLOCKS[name][0](), BLOCKS[name][1]
    check(module, torch.randn(2, 4, 7, 7), expected)


@settings(max_examples=8, deadline=None)
@given(st.lists(st.sampled_from(sorted(BLOCKS)), min_size=2, max_size=5), st.booleans())
def test_random_networks_fold_where_they_do_and_nowhere_else(names: list[str], training: bool) -> None:
    module, expected = chain(names)
    check(module.train(training), torch.randn(2, 4, 7, 7), expected)


def check(module: nn.Module, x: Tensor, expected: list[tuple[str, tuple[str, ...]]]) -> None:
    found = simplify(module, x)
    assert sorted((f.kind, f.paths) for f in found.folds if f.kind != "at rest") == sorted(expected)
    assert found.difference < 1e-12
    before, other = copy.deepcopy(module).double().eval(), torch.randn(3, 4, 7, 7, dtype=torch.float64)
    with torch.no_grad():
        torch.testing.assert_close(found.module(other), before(other), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize(
    ("layer", "norm", "shape"),
    [
        (nn.Conv1d(2, 3, 3), nn.BatchNorm1d(3), (2, 2, 6)),
        (nn.Conv2d(2, 4, 3, groups=2, bias=False), nn.BatchNorm2d(4), (2, 2, 6, 6)),
        (nn.Conv3d(2, 3, 2), nn.BatchNorm3d(3, affine=False), (2, 2, 4, 4, 4)),
        (nn.ConvTranspose2d(2, 3, 3), nn.BatchNorm2d(3), (2, 2, 6, 6)),
        (nn.Linear(3, 4), nn.BatchNorm1d(4), (5, 3)),
    ],
)
def test_folded_weights_are_those_of_pytorchs_own_fusion(layer: nn.Module, norm: nn.Module, shape: tuple[int]) -> None:
    net = shaken(nn.Sequential(layer, norm)).double().eval()
    folded = simplify(net, torch.randn(shape).double()).module.get_submodule("0")
    if isinstance(layer, nn.Linear):
        fused: nn.Module = fuse_linear_bn_eval(net[0], net[1])  # type: ignore[index]
    else:
        transposed = isinstance(layer, nn.ConvTranspose2d)
        fused = fuse_conv_bn_eval(net[0], net[1], transpose=transposed)  # type: ignore[index]
    for name in ("weight", "bias"):
        torch.testing.assert_close(getattr(folded, name), getattr(fused, name), rtol=1e-12, atol=1e-12)


def test_what_does_not_fold_says_why() -> None:
    def refused(name: str) -> list[str]:
        return simplify(BLOCKS[name][0](), torch.randn(2, 4, 7, 7)).refused

    assert refused("norm before zeros") == [
        "norm and conv: conv pads with zeros, which the norm before it does not shift."
    ]
    assert refused("norm on another axis")[0] == (
        "down and norm: the norm's channels are axis 1 of 3, those of Linear are not."
    )
    assert refused("a hook that looks") == ["conv and norm: a hook of norm looks at what is between."]
    assert refused("tied weights") == ["conv and norm: another layer shares the weights of conv."]
    assert refused("weights read elsewhere") == ["conv and norm: conv.weight is read elsewhere."]
    assert refused("used again") == ["conv and norm: something else uses what conv gives."]
    assert refused("norm without averages") == ["conv and norm: norm (BatchNorm2d) has no running averages."]
    assert refused("standardised weights")[0].startswith("conv and norm: outputs would differ by ")


def test_complex_and_half_precision_layers_fold() -> None:
    for dtype in (torch.complex64, torch.float16, torch.bfloat16):
        net = nn.Sequential(nn.Linear(3, 3, dtype=dtype), nn.Linear(3, 2, dtype=dtype))
        found = simplify(net, torch.rand(1, 3).to(dtype))
        assert [fold.kind for fold in found.folds] == ["linear"], dtype


def test_tensors_that_a_network_makes_inside_are_no_trouble() -> None:
    class Starts(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.gru, self.one, self.two = nn.GRU(4, 4), nn.Linear(4, 3), nn.Linear(3, 2)

        def forward(self, x: Tensor) -> Tensor:
            return self.two(self.one(self.gru(x, torch.zeros(1, x.shape[1], 4))[0]))

    assert [fold.paths for fold in simplify(Starts(), torch.rand(3, 2, 4)).folds] == [("one", "two")]


def test_a_dropout_that_never_rests_is_not_said_to() -> None:
    class Always(nn.Dropout):
        def forward(self, input: Tensor) -> Tensor:
            return nn.functional.dropout(input, self.p, training=True)

    assert simplify(nn.Sequential(nn.Linear(3, 3), Always()), torch.rand(2, 3)).folds == []


def test_the_module_stays_as_it_is() -> None:
    net = shaken(nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3), nn.Dropout()))
    before, state = {k: v.clone() for k, v in net.state_dict().items()}, torch.get_rng_state()
    simplify(net, torch.ones(2, 3))
    assert all(torch.equal(v, before[k]) for k, v in net.state_dict().items())
    assert torch.equal(state, torch.get_rng_state())
    assert net.training


class Branches(nn.Module):
    """A norm after a convolution, on one of two paths."""

    def __init__(self, taken: Callable[[Tensor], object]) -> None:
        super().__init__()
        self.conv, self.norm, self.taken = nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), taken

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv(x.to(self.conv.weight))
        return self.norm(y) if self.taken(x) else y


@pytest.mark.parametrize(
    ("name", "taken"),
    [
        ("bool", lambda x: x.mean() > -2),
        ("item", lambda x: x.mean().item() > -2),
        ("float", lambda x: float(x.sum()) > -1e9),
        ("tolist", lambda x: x.flatten().tolist()[0] > -9),
        ("numpy", lambda x: x.numpy().mean() > -2),
        ("equal", lambda x: not torch.equal(x, x + 1)),
        ("allclose", lambda x: not torch.allclose(x, x + 1)),
        ("unique", lambda x: len(x.unique()) > 1),
    ],
)
def test_nothing_folds_where_numbers_decide_the_path(name: str, taken: Callable[[Tensor], object]) -> None:
    found = simplify(shaken(Branches(taken)), torch.rand(2, 1, 5, 5))
    assert found.folds == []
    assert found.refused == [
        f"the forward pass reads numbers out of tensors ({name}), so another input may take another path."
    ]


def test_nothing_folds_where_whole_numbers_decide_the_path() -> None:
    found = simplify(shaken(Branches(lambda x: x.max() < 9)), torch.ones(2, 1, 5, 5, dtype=torch.long))
    assert found.folds == []
    assert "(bool)" in found.refused[0]


def test_a_path_that_shapes_decide_folds() -> None:
    found = simplify(shaken(Branches(lambda x: x.shape[0] > 1)), torch.rand(2, 1, 5, 5))
    assert [fold.paths for fold in found.folds] == [("conv", "norm")]


def test_it_shows_itself_as_the_command_prints_it() -> None:
    found = simplify(shaken(nn.Sequential(nn.Conv2d(1, 2, 3, bias=False), nn.BatchNorm2d(2))), torch.rand(2, 1, 5, 5))
    assert repr(found) == (
        "✓ eval 1 folds into 0 in evaluation.\n\n"
        f"proof: the folded network's outputs differ by at most {found.difference:.1e} of the largest: as given, and "
        "with weights, running averages and inputs drawn at random 3 times; float64."
    )
    assert repr(simplify(nn.Linear(2, 2), torch.rand(1, 2))) == (
        "Nothing folds: no two layers in a row that one could replace."
    )
    assert repr(simplify(Branches(lambda x: x.mean() > -2), torch.rand(2, 1, 5, 5))) == (
        "✗ does not fold: the forward pass reads numbers out of tensors (bool), so another input may take another "
        "path.\nNothing folds."
    )

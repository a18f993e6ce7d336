import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from etude.inspection.modes import compare_modes


def test_dropout_differs_by_its_known_noise() -> None:
    found = compare_modes(nn.Sequential(nn.Dropout(0.2)), torch.ones(100, 100))
    (layer,) = found.layers
    # x·(m/(1 - p) - 1) has standard deviation √(p/(1 - p)) = 0.5 for p = 0.2
    assert layer.difference == pytest.approx(0.5, rel=0.02)
    assert layer.noise == pytest.approx(0.5, rel=0.02)
    assert layer.what == "train: 0.2 of the entries become 0, the rest is scaled by 1.25; eval: nothing"


@pytest.mark.parametrize("size", [8, 64, 512])
def test_the_noise_of_batch_norm_is_that_of_one_example_in_batches_that_vary(size: int) -> None:
    """Mean and deviation of N examples spread by σ/√N and σ/√(2N), an output y by √((1 + y²/2)/N), where y² is 1."""
    (layer,) = compare_modes(nn.BatchNorm1d(400), torch.randn(size, 400)).layers
    assert layer.from_batch
    assert layer.noise == pytest.approx((1.5 / size) ** 0.5, rel=0.15)


def test_too_few_examples_make_no_noise_that_is_known() -> None:
    found = compare_modes(nn.Sequential(nn.BatchNorm1d(3)), torch.randn(2, 3))
    assert math.isnan(found.layers[0].noise)
    assert math.isnan(found.noise)
    assert found.findings == [
        "noise unknown: 0 normalises over the batch, and 2 examples make no batches that differ; use 4 or more."
    ]


def test_only_what_depends_on_the_batch_has_its_noise() -> None:
    layers = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Dropout(0.2), nn.InstanceNorm2d(4))
    found = compare_modes(layers, torch.rand(32, 3, 6, 6))
    assert [(layer.op, layer.from_batch) for layer in found.layers] == [("BatchNorm2d", True), ("Dropout", False)]
    # Attention goes across the first axis in either mode: that is no noise of training.
    encoder = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0)
    found = compare_modes(encoder, torch.randn(10, 3, 8))
    assert (found.layers, found.from_batch, found.noise < 1e-6) == ([], False, True)


def test_batch_norm_written_as_a_function_is_noise_of_the_output() -> None:
    class Functional(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("mean", torch.zeros(400))
            self.register_buffer("var", torch.ones(400))

        def forward(self, x: Tensor) -> Tensor:
            return F.batch_norm(x, self.mean, self.var, training=self.training)  # type: ignore[arg-type]

    found = compare_modes(Functional(), torch.randn(64, 400))
    assert found.from_batch
    assert found.noise == pytest.approx((1.5 / 64) ** 0.5, rel=0.15)


def test_a_network_that_fails_in_training_mode_is_unknown_there() -> None:
    class NeedsTargets(nn.Module):
        def forward(self, x: Tensor, targets: Tensor | None = None) -> Tensor:
            if self.training and targets is None:
                raise ValueError("targets are missing")
            return x

    found = compare_modes(NeedsTargets(), torch.ones(4, 2))
    assert math.isnan(found.difference)
    assert math.isnan(found.noise)
    assert found.findings == ["unknown in training: the network fails in training mode: targets are missing."]


def test_batch_norm_differs_and_updates_its_averages() -> None:
    x = torch.randn(400, 3) * 2 + 5
    found = compare_modes(nn.Sequential(nn.BatchNorm1d(3)), x)
    (layer,) = found.layers
    assert layer.difference == pytest.approx(
        float(((x - x.mean(0)) / x.std(0) - x).square().mean().sqrt() / x.square().mean().sqrt()), rel=1e-2
    )
    assert set(found.updated_buffers) == {"0.running_mean", "0.running_var", "0.num_batches_tracked"}
    assert layer.what.startswith("train: mean and variance of the batch; eval: running averages (means 5")


def test_what_does_not_differ_is_not_listed() -> None:
    found = compare_modes(nn.Sequential(nn.Linear(3, 3), nn.ReLU(), nn.LayerNorm(3)), torch.randn(4, 3))
    assert (found.layers, found.difference, found.findings, found.updated_buffers) == ([], 0, [], [])


def test_dropout_that_forgets_the_mode_is_a_finding() -> None:
    class Forgets(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return F.dropout(x, 0.5)

    assert compare_modes(Forgets(), torch.ones(8, 8)).findings == [
        "random in evaluation: two passes in eval mode differ; call F.dropout with training=self.training, and draw no "
        "noise there."
    ]


def test_own_code_that_looks_at_the_mode_is_a_finding() -> None:
    class Looks(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return F.dropout(x, 0.5, training=self.training)

    assert compare_modes(Looks(), torch.ones(8, 8)).findings == [
        "code of its own looks at self.training, in the network (Looks): the output changes with every layer of "
        "PyTorch at rest."
    ]
    found = compare_modes(nn.Sequential(nn.Linear(8, 8), Looks()), torch.ones(8, 8)).findings
    assert [text[:51] for text in found] == ["code of its own looks at self.training, in 1 (Looks)"[:51]]


def test_a_dropout_of_everything_is_described() -> None:
    (layer,) = compare_modes(nn.Sequential(nn.Dropout(1.0)), torch.ones(4, 4)).layers
    assert layer.what == "train: 1 of the entries become 0, nothing is left; eval: nothing"


def test_a_batch_of_one_is_a_finding() -> None:
    assert compare_modes(nn.Sequential(nn.BatchNorm1d(3)), torch.ones(1, 3)).findings == [
        "batch too small: 0 cannot train on one value per channel; use a batch of 2 or more."
    ]


def test_mixed_modes_are_a_finding() -> None:
    net = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
    net[1].eval()
    found = compare_modes(net, torch.randn(4, 2))
    assert found.findings == ["mixed modes: the network is in train mode, but 1 not; is that meant?"]
    assert [part.training for part in net.modules()] == [True, True, False]


def test_it_shows_itself_in_lines() -> None:
    torch.manual_seed(0)
    found = compare_modes(nn.Sequential(nn.Linear(3, 3), nn.Dropout(0.5)), torch.rand(8, 3))
    layer, output = repr(found).splitlines()
    (dropout,) = found.layers
    assert layer == (f"1 (Dropout): difference {dropout.difference:.3g}, noise {dropout.noise:.3g}; {dropout.what}")
    assert output == (
        f"output: difference {found.difference:.3g}, noise {found.noise:.3g}, relative to its size in evaluation "
        "(32 passes)."
    )

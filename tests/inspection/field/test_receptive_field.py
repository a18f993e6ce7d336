from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from functools import reduce
from operator import or_

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from etude.inspection.field.probe import pixels, probe
from etude.inspection.field.receptive_field import TensorReach
from etude.inspection.inspecting import inspect
from inspection.architectures import ARCHITECTURES, Residual, course_network, resnet50


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_derived_fields_equal_poisoned_ones_for_every_output_position(name: str) -> None:
    module, shape, keywords = ARCHITECTURES[name]()
    x = torch.rand(shape)
    found = inspect(module, x, **keywords)
    measured = probe(found, module, x, **keywords)
    assert measured
    for axis in measured:
        assert axis.agrees is True
        assert axis.seen
        assert (axis.seen_by_gradient or 0) & ~reduce(or_, axis.seen) == 0  # a gradient never reaches further


def test_course_network_is_112_with_stride_8() -> None:
    layer = inspect(course_network(), torch.rand(1, 2, 256, 256)).layers[-1]
    assert layer.receptive_field
    for axis in layer.receptive_field:
        assert (axis.size, axis.stride, axis.offset, axis.whole) == (112, 8, -29, False)


def test_a_wrong_rule_would_be_caught() -> None:
    """The comparison is not empty: shift one derived field by a position and the probe disagrees."""
    module, x = nn.Conv2d(1, 1, 3), torch.rand(1, 1, 6, 6)
    found = inspect(module, x)
    state = found.fields.states[found.trace.outputs[0]]
    assert isinstance(state, TensorReach)
    reaches = tuple(replace(reach, sets=reach.sets >> np.uint64(1)) for reach in state.reaches)
    found.fields.states[found.trace.outputs[0]] = TensorReach(state.shape, reaches)
    assert [p.agrees for p in probe(found, module, x)] == [False, False]


def test_resnet50_has_the_field_of_the_recurrence() -> None:
    """Araujo et al. 2019, equation 2, along the longest path; the stride is in the 3×3 convolution of a stage."""
    size, jump = 1, 1
    kernels = [(7, 2), (3, 2)]
    for blocks, stride in ((3, 1), (4, 2), (6, 2), (3, 2)):
        kernels += [(3, stride)] + [(3, 1)] * (blocks - 1)
    for kernel, stride in kernels:
        size, jump = size + (kernel - 1) * jump, jump * stride
    found = inspect(resnet50(), torch.rand(1, 3, 224, 224))
    before_pool = next(layer for layer in reversed(found.layers) if layer.op == "relu")
    assert (size, jump) == (427, 32)
    assert [(a.size, a.stride) for a in before_pool.receptive_field or ()] == [(size, jump)] * 2
    assert all(a.whole for a in found.layers[-1].receptive_field or ())


def test_gradients_miss_taps_of_a_maximum() -> None:
    module, x = nn.MaxPool1d(4), torch.rand(1, 1, 8)
    (axis,) = probe(inspect(module, x), module, x)
    assert axis.seen == (0b1111, 0b11110000)
    assert (axis.seen_by_gradient or 0).bit_count() == 2


def test_misaligned_branches_are_a_finding() -> None:
    block = Residual(nn.Conv2d(1, 1, 2, padding=0), nn.MaxPool2d(2, 1))
    assert inspect(block, torch.rand(1, 1, 8, 8)).findings == []
    block = Residual(nn.Conv2d(1, 1, 3, 2, 1), nn.AvgPool2d(2))
    texts = [text for text in inspect(block, torch.rand(1, 1, 8, 8)).findings if text.startswith("misaligned")]
    assert texts == [
        f"misaligned: add in the network joins branches whose centres lie 0.5 input positions apart along axis {axis} "
        "(padding or kernel parity differ)."
        for axis in (0, 1)
    ]


def test_positions_that_reach_nothing_are_a_finding() -> None:
    found = inspect(nn.MaxPool2d(2), torch.rand(1, 1, 7, 8)).findings
    assert found == ["unseen: positions 6 of input axis 0 reach no output."]


def test_what_has_no_rule_is_said_and_can_be_probed() -> None:
    class Sorts(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.linalg.matrix_exp(x)

    module, x = Sorts(), torch.rand(1, 1, 4, 4)
    found = inspect(module, x)
    assert found.layers[-1].no_field_because == "no rule for linalg_matrix_exp"
    assert "receptive field not derived: no rule for linalg_matrix_exp; `--probe` measures it." in found.findings
    assert [p.derived for p in probe(found, module, x)] == [None, None]


@pytest.mark.parametrize("mode", ["nearest", "nearest-exact", "bilinear", "bicubic", "corners"])
def test_resizing_by_a_factor_or_to_a_size_reads_what_the_kernels_read(mode: str) -> None:
    """A factor that is given scales positions, not the sizes it leads to; and both have short cuts and rounding."""
    for size in (1, 2, 4, 5, 13, 16):
        for how in ({"scale_factor": f} for f in (0.3, 0.7, 1.0, 1.1, 1.3, 2.0, 3.0)):
            if int(size * how["scale_factor"]) == 0:
                continue
            corners = {"align_corners": True} if mode == "corners" else {}
            module = nn.Upsample(**how, mode="bilinear" if corners else mode, **corners)  # type: ignore[arg-type]
            x = torch.rand(1, 1, size, 4)
            assert [axis.agrees for axis in probe(inspect(module, x), module, x)] == [True, True], (size, how)
        for positions in (1, 3, 14):
            module = nn.Upsample(size=(positions, size), mode="bilinear" if mode == "corners" else mode)
            x = torch.rand(1, 1, size, size)
            assert [axis.agrees for axis in probe(inspect(module, x), module, x)] == [True, True], (size, positions)


class Writes(nn.Module):
    """A function of an image that writes in place."""

    def __init__(self, what: Callable[[Tensor, Tensor], Tensor]) -> None:
        super().__init__()
        self.what = what

    def forward(self, x: Tensor) -> Tensor:
        return self.what(x, F.avg_pool2d(x, 3, 1, 1))


def into_zeros(x: Tensor, y: Tensor) -> Tensor:
    out = torch.zeros_like(x)
    out[..., 1:] = y[..., :-1]
    return out


def half_and_half(x: Tensor, y: Tensor) -> Tensor:
    out = torch.empty_like(x)
    out[:, :, ::2], out[:, :, 1::2] = x[:, :, ::2], y[:, :, 1::2]
    return out


def one_channel(x: Tensor, y: Tensor) -> Tensor:
    out = x.clone()
    out[:, 0] = y[:, 0]
    return out


def one_corner(x: Tensor, y: Tensor) -> Tensor:
    out = x.clone()
    out[:, :, :2, 3:] += y[:, :, :2, 3:]
    return out


def erased(x: Tensor, y: Tensor) -> Tensor:
    y.zero_()
    return y.copy_(x)


@pytest.mark.parametrize("what", [into_zeros, half_and_half, one_channel, one_corner, erased])
def test_writes_in_place_are_followed(what: Callable[[Tensor, Tensor], Tensor]) -> None:
    module, x = Writes(what), torch.rand(1, 2, 6, 8)
    assert [axis.agrees for axis in probe(inspect(module, x), module, x)] == [True, True]


def test_a_write_that_is_transposed_is_followed() -> None:
    def what(x: Tensor, y: Tensor) -> Tensor:
        x.transpose(2, 3).copy_(y)
        return x

    module, x = Writes(what), torch.rand(1, 2, 6, 6)
    assert [axis.agrees for axis in probe(inspect(module, x), module, x)] == [True, True]


@pytest.mark.parametrize(
    "module",
    [
        nn.Conv2d(2, 2, 3, padding=1, padding_mode="circular"),
        nn.Sequential(nn.CircularPad2d(2), nn.Conv2d(2, 2, 3, dilation=2), nn.ReflectionPad2d(1)),
        Residual(nn.CircularPad2d(1), nn.ReflectionPad2d(1)),
        nn.Sequential(nn.Conv2d(2, 4, 3), nn.GLU(1), nn.Conv2d(2, 4, 1), nn.ChannelShuffle(2)),
    ],
    ids=["circular", "circular, dilated", "two paddings", "glu, shuffle"],
)
def test_paddings_of_every_kind_agree_with_the_probe(module: nn.Module) -> None:
    x = torch.rand(1, 2, 7, 8)
    found = inspect(module, x)
    assert [axis.agrees for axis in probe(found, module, x)] == [True, True]
    field = found.layers[-1].receptive_field
    assert field
    assert [axis.stride for axis in field] == [1, 1]


class Flipped(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.flip(-1)


def test_a_branch_that_sees_padding_alone_adds_nothing() -> None:
    x = torch.rand(1, 1, 5, 5)
    branch = nn.Sequential(nn.AdaptiveAvgPool2d((1, 5)), nn.Conv2d(1, 1, (2, 1), padding=(1, 0), dilation=(2, 1)))
    module = Residual(branch, nn.Sequential(nn.AdaptiveMaxPool2d((1, 5)), Flipped()))
    assert [axis.agrees for axis in probe(inspect(module, x), module, x)] == [True, True]


def test_a_slice_without_elements_is_unknown() -> None:
    module = Writes(lambda x, y: x[:, :, 6:].sum() + y)
    assert "a tensor without elements" in inspect(module, torch.rand(1, 2, 6, 6)).layers[-1].no_field_because


def test_pixel_picture_of_a_dilated_convolution() -> None:
    module, x = nn.Sequential(nn.Conv2d(1, 1, 3, dilation=2), nn.Flatten()), torch.rand(1, 1, 9, 9)
    hit, strength, middle = pixels(inspect(module, x), module, x, layer="0")
    assert middle == (2, 2)
    rows = {r for r, _ in hit.nonzero().tolist()}
    assert rows == {2, 4, 6}
    assert int(hit.sum()) == 9
    assert torch.equal(strength > 0, hit)
    assert strength.max() == 1


def test_stride_of_a_transposed_convolution_is_rational() -> None:
    layer = inspect(nn.ConvTranspose2d(1, 1, 3, 3), torch.rand(1, 1, 4, 4)).layers[0]
    assert layer.receptive_field
    assert layer.receptive_field[0].stride == Fraction(1, 3)

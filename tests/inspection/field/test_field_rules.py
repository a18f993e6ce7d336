"""Rules of the receptive field, element by element: one position of the input is poisoned with NaN at a time."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from etude.inspection.field import receptive_field
from etude.inspection.field.receptive_field import TensorReach
from etude.inspection.inspecting import Inspection, inspect


class Does(nn.Module):
    def __init__(self, what: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.what = what

    def forward(self, x: Tensor) -> Tensor:
        return self.what(x)


def said_and_measured(what: Callable[[Tensor], Tensor], x: Tensor) -> list[tuple[Tensor, Tensor]]:
    """For each position along each axis: the elements that should depend on it, and those that turn NaN."""
    found = inspect(Does(what), x)
    value = found.trace.outputs[0]
    state = found.fields.states[value]
    assert isinstance(state, TensorReach), state
    pairs = []
    for reach, axis in zip(state.reaches, found.fields.axes, strict=True):
        for position in range(x.shape[axis]):
            poisoned = x.double()
            poisoned.select(axis, position).fill_(torch.nan)
            has = (reach.sets[:, position // 64] >> np.uint64(position % 64)) & np.uint64(1)
            said = torch.from_numpy(has.astype(bool))[reach.where].expand(value.shape)
            pairs.append((said, what(poisoned).isnan()))
    return pairs


GRID = torch.rand(1, 3, 8, 8)
TOKENS = torch.rand(1, 6, 8)
PATCHES = nn.Conv2d(3, 8, 4, 4).double().requires_grad_(False)
ORDER = torch.tensor([5, 0, 3, 1, 4, 2])


def patches(x: Tensor) -> Tensor:
    tokens = F.conv2d(x, PATCHES.weight.to(x.dtype), stride=4).flatten(2).transpose(1, 2)
    return torch.cat([torch.zeros(1, 1, 8, dtype=x.dtype), tokens], 1)


def windows(x: Tensor) -> Tensor:
    """Sums within 2×2 windows of a shifted grid, and back."""
    y = torch.roll(x, (1, 1), (2, 3))
    y = y.view(1, 3, 4, 2, 4, 2).permute(0, 2, 4, 1, 3, 5).reshape(16, 3, 4)
    y = (y + y.sum(-1, keepdim=True)).view(4, 4, 3, 2, 2).permute(2, 0, 3, 1, 4).reshape(1, 3, 8, 8)
    return torch.roll(y, (-1, -1), (2, 3))


def packed(x: Tensor) -> Tensor:
    p = nn.utils.rnn.pack_padded_sequence(torch.cat([x, 2 * x]), [6, 4], batch_first=True)
    p = nn.utils.rnn.PackedSequence(p.data.cumsum(1), p.batch_sizes)
    return nn.utils.rnn.pad_packed_sequence(p, batch_first=True)[0]


def imaginary(x: Tensor) -> Tensor:
    z = torch.complex(x, x.flip(1))
    z[:, 2].imag.zero_()
    return torch.view_as_real(z[:, 1:3].conj().resolve_conj())


EXACT: dict[str, tuple[Callable[[Tensor], Tensor], Tensor]] = {
    "joined tokens": (patches, GRID),
    "joined tokens without the first": (lambda x: patches(x)[:, 1:], GRID),
    "one joined token": (lambda x: patches(x)[:, 3:4], GRID),
    "joined tokens reversed": (lambda x: patches(x).flip(1)[:, ::2], GRID),
    "joined tokens as a grid again": (lambda x: patches(x)[:, 1:].transpose(1, 2).reshape(1, 8, 2, 2), GRID),
    "joined tokens split": (lambda x: patches(x).split([1, 2, 2], 1)[1], GRID),
    "shifted windows": (windows, GRID),
    "a reshape across positions": (lambda x: x.reshape(1, 4, 12), TOKENS),
    "a reshape and back": (lambda x: x.view(1, 3, 2, 8).transpose(1, 2).reshape(1, 6, 8), TOKENS),
    "halves of the channels": (lambda x: torch.cat([x, F.avg_pool2d(x, 3, 1, 1)], 1)[:, 2:5], GRID),
    "grouped convolution of unlike channels": (
        lambda x: F.conv2d(torch.cat([x, x.roll(1, 2)], 1), torch.ones(6, 1, 1, 1, dtype=x.dtype), groups=6), GRID
    ),
    "sort": (lambda x: x.sort()[0], TOKENS),
    "stable sort over channels": (lambda x: x.sort(stable=True, dim=2)[0], TOKENS),
    "running sum": (lambda x: x.cumsum(1), TOKENS),
    "group norm of positions": (lambda x: F.group_norm(x, 3), TOKENS),
    "differences of all pairs": (lambda x: x[:, :, None] - x[:, None], TOKENS),
    "outer product": (lambda x: x @ x.transpose(1, 2), TOKENS),
    "einsum of all pairs": (lambda x: torch.einsum("bid,bjd->bij", x, x), TOKENS),
    "index with numbers": (lambda x: x[:, ORDER[:4]], TOKENS),
    "index of two dimensions": (lambda x: x[:, ORDER, ORDER], TOKENS),
    "index_select": (lambda x: x.index_select(1, ORDER), TOKENS),
    "gather with known places": (lambda x: x.gather(1, ORDER[None, :, None].expand(1, 6, 8)), TOKENS),
    "written places": (lambda x: x.index_copy(1, ORDER[:2], x[:, 4:]), TOKENS),
    "unfold": (lambda x: x.unfold(1, 3, 2), TOKENS),
    "im2col": (lambda x: F.unfold(x, 3, padding=1), GRID),
    "triangle": (lambda x: x.tril(), TOKENS),
    "repeat": (lambda x: x.repeat(1, 2, 1), TOKENS),
    "repeat each": (lambda x: x.repeat_interleave(2, 1), TOKENS),
    "roll of all": (lambda x: x.roll(3), TOKENS),
    "stack and unbind": (lambda x: torch.stack([y * 2 for y in x.unbind(1)][::-1], 2), TOKENS),
    "pairs as complex numbers": (lambda x: torch.view_as_real(torch.view_as_complex(x.view(1, 6, 4, 2))), TOKENS),
    "packed sequence": (packed, TOKENS),
    "transform along the channels": (lambda x: torch.fft.rfft(x).abs(), TOKENS),
    "pooled in channels-last": (
        lambda x: F.adaptive_avg_pool2d(x.contiguous(memory_format=torch.channels_last), 1), GRID
    ),
    "global pooling by size": (lambda x: x * F.avg_pool2d(x, x.size(2)), GRID),
}  # fmt: skip


@pytest.mark.parametrize("name", EXACT)
def test_each_element_sees_what_it_reads_and_nothing_else(name: str) -> None:
    for said, measured in said_and_measured(*EXACT[name]):
        assert torch.equal(said, measured)


NOT_LESS: dict[str, tuple[Callable[[Tensor], Tensor], Tensor]] = {
    "places that the data choose": (lambda x: x.gather(1, x.argsort(1)), TOKENS),
    "a write into the imaginary part": (imaginary, TOKENS),
    "added at places": (lambda x: torch.zeros_like(x).index_add(1, ORDER, x), TOKENS),
    "inverse": (lambda x: torch.linalg.inv(x @ x.transpose(1, 2) + torch.eye(6, dtype=x.dtype)), TOKENS),
    "top positions": (lambda x: x.topk(2, dim=1)[0], TOKENS),
}


@pytest.mark.parametrize("name", NOT_LESS)
def test_what_may_read_anything_is_never_said_to_read_less(name: str) -> None:
    for said, measured in said_and_measured(*NOT_LESS[name]):
        assert not (measured & ~said).any()


def test_a_mistake_in_one_rule_makes_one_field_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(step: object) -> None:
        raise IndexError("tuple index out of range")

    monkeypatch.setitem(receptive_field._RULES, "sort", fails)
    found = inspect(Does(lambda x: x.sort()[0] * 2), TOKENS)
    assert [layer.no_field_because for layer in found.layers] == ["the rule for sort fails (IndexError)"] * 2
    assert found.cost.flops == TOKENS.numel()


def test_topk_over_channels_and_over_positions() -> None:
    def field(found: Inspection) -> list[tuple[int, bool]]:
        return [(axis.size, axis.whole) for axis in found.layers[-1].receptive_field or ()]

    assert field(inspect(Does(lambda x: x.topk(1, dim=2)[0]), TOKENS)) == [(1, False)]
    assert field(inspect(Does(lambda x: x.topk(2, dim=1)[0]), TOKENS)) == [(6, True)]


def test_patches_keep_their_stride_through_a_reshape() -> None:
    def cut(x: Tensor) -> Tensor:
        y = x.view(1, 3, 2, 4, 2, 4).permute(0, 2, 4, 1, 3, 5).reshape(1, 2, 2, 48)
        return y.sum(-1)

    field = inspect(Does(cut), GRID).layers[-1].receptive_field
    assert field
    rows, columns = field
    assert (rows.size, rows.stride, columns.size, columns.stride) == (4, 4, 4, 4)


@pytest.mark.parametrize(
    "views", [(torch.float32, torch.complex64), (torch.int16, torch.int64), (torch.int64, torch.int8)]
)
def test_writes_through_views_of_another_size_stay_in_memory(views: tuple[torch.dtype, torch.dtype]) -> None:
    """They once ran over the end of an array and ended the process."""
    one, two = views

    def writes(x: Tensor) -> Tensor:
        base = torch.zeros(64, dtype=torch.int64)
        small, large = base.view(one), base.view(two)
        small[-3:].zero_()
        large[-1:].zero_()
        small[1:2].fill_(1)
        return x + small.sum().abs()

    assert inspect(Does(writes), torch.rand(1, 2, 8)).uncounted == []


def test_joining_channels_again_and_again_keeps_the_endless_size() -> None:
    def dense(x: Tensor) -> Tensor:
        for _ in range(4):
            x = torch.cat([x, F.avg_pool2d(x, 3, 1, 1)], 1)
        return x

    for axis in inspect(Does(dense), GRID).layers[-1].receptive_field or ():
        assert (axis.size, axis.stride, axis.offset) == (9, 1, -4)  # larger than the input of 8

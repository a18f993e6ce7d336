# ruff: noqa: E501 (messages are compared as they are printed)
"""Networks that look up symbols are given symbols."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from etude.errors import UsageError
from etude.inspection.inspecting import inspect
from etude.inspection.sequences.ids import with_ids
from etude.inspection.source import load
from etude.models.embedding import Embedding


class Looks(nn.Module):
    """Looks rows up as `how` says, of a table with 9 rows."""

    def __init__(self, how: Callable[[Any, Tensor], Tensor], table: nn.Module | None = None) -> None:
        super().__init__()
        self.table, self.how = table or nn.Embedding(9, 4), how
        self.other = nn.Embedding(5, 4)

    def forward(self, ids: Tensor) -> Tensor:
        return self.how(self, ids)


SEEN: dict[str, tuple[Callable[[Any, Tensor], Tensor], int]] = {
    "an embedding": (lambda net, x: net.table(x), 9),
    "moved before": (lambda net, x: net.table(x.T.contiguous().view(-1).long()), 9),
    "its own indexing": (lambda net, x: net.table.weight[x[:, 1:]], 9),
    "a part at a time": (lambda net, x: torch.stack([net.table(step) for step in x.unbind(1)], 1), 9),
    "one-hot": (lambda net, x: F.one_hot(x, 9).float() @ net.table.weight, 9),
    "the smaller of two tables": (lambda net, x: net.other(x) + net.table(x), 5),
    "a first symbol before it": (
        lambda net, x: net.table(torch.cat([torch.full((len(x), 1), 2), x.long()], 1)), 9,
    ),
    "after a mask of it": (lambda net, x: net.table(x) * (x != 0)[..., None], 9),
}  # fmt: skip


@pytest.mark.parametrize("name", SEEN)
def test_what_is_looked_up_becomes_whole_numbers_below_the_size_of_the_table(name: str) -> None:
    how, size = SEEN[name]
    (found,) = with_ids("net", Looks(how), [("", torch.rand(50, 30))], {0})
    assert (found.dtype, found.shape, int(found.min()), int(found.max())) == (torch.int64, (50, 30), 0, size - 1)


@pytest.mark.parametrize("table", [nn.Embedding, Embedding])
@pytest.mark.parametrize("padding", [0, 3, -1])
def test_the_row_for_padding_is_not_drawn(table: Callable[..., nn.Module], padding: int) -> None:
    (found,) = with_ids(
        "net", Looks(lambda net, x: net.table(x), table(9, 4, padding)), [("", torch.rand(50, 30))], {0}
    )
    assert set(found.flatten().tolist()) == set(range(9)) - {padding % 9}


def test_real_numbers_stay_real_numbers() -> None:
    class Both(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.symbols, self.places, self.layer = nn.Embedding(9, 4), nn.Embedding(6, 4), nn.Linear(3, 4)

        def forward(self, x: Tensor, ids: Tensor) -> Tensor:
            return self.layer(x) + self.places(torch.arange(6)) + self.symbols(ids)

    x, ids = torch.rand(2, 6, 3), torch.rand(2, 6)
    found = with_ids("net", Both(), [("", x), ("ids", ids)], {0, 1})
    assert torch.equal(found[0], x)
    assert found[1].dtype == torch.int64


@pytest.mark.parametrize("how", [lambda net, x: net.table(x + 1), lambda net, x: net.table((2 * x).long() % 9)])
def test_numbers_that_are_computed_first_need_a_range(how: Callable[[Any, Tensor], Tensor]) -> None:
    with pytest.raises(UsageError) as caught:
        with_ids("net.py:Net", Looks(how), [("", torch.rand(2, 6))], {0})
    assert str(caught.value) == (
        "net.py:Net looks up numbers that it computes from its input: give the range of these, as --input int1000:20."
    )


FILE = """
import torch
from torch import nn

class Words(nn.Module):
    def __init__(self, vocabulary_size):
        super().__init__()
        self.embedding = nn.Embedding(vocabulary_size, 4, padding_idx=0)
        self.layer = nn.GRU(4, 4)

    def forward(self, ids):
        return self.layer(self.embedding(ids))[0]

class Pairs(Words):
    def forward(self, source, target, mask=None):
        return self.embedding(source).sum(1) + self.embedding(target).sum(1)

class Lengths(Words):
    def forward(self, ids, lengths):
        return self.embedding(ids) * (torch.arange(ids.shape[1]) < lengths[:, None])[..., None]
"""


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("net.py").write_text(FILE)


@pytest.mark.usefixtures("file")
def test_a_network_of_symbols_needs_no_input_or_just_a_length() -> None:
    for shapes, shape in (((), (3, 20)), (("7",), (3, 7)), (("7,N",), (7, 3)), (("N,7",), (3, 7))):
        (ids,) = load("net.py:Words(50)", shapes, batch_size=3).inputs
        assert (ids.dtype, tuple(ids.shape)) == (torch.int64, shape)
        assert 1 <= int(ids.min()) <= int(ids.max()) < 50
    assert [tuple(x.shape) for x in load("net.py:Pairs(50)").inputs] == [(1, 20), (1, 20)]
    found = load("net.py:Lengths(50)", ["ids=7", "lengths=len7"], batch_size=3)
    assert (found.keywords["lengths"].tolist(), found.keywords["ids"].dtype) == ([7, 7, 7], torch.int64)


@pytest.mark.usefixtures("file")
def test_symbols_are_those_of_the_seed() -> None:
    a, b, other = (load("net.py:Words(50)", seed=seed).inputs[0] for seed in (0, 0, 1))
    assert torch.equal(a, b)
    assert not torch.equal(a, other)


@pytest.mark.usefixtures("file")
def test_mistakes_are_told_on_one_line() -> None:
    with pytest.raises(UsageError) as caught:
        load("net.py:Lengths(50)")
    assert str(caught.value) == (
        "net.py:Lengths(50) needs an --input for each of ids, lengths, without the batch: 20 for 20 symbols, len20 for their number, 20,8 for 20 vectors."
    )
    found = load("net.py:Words(5)", ["7:float32"])  # who writes a type gets it
    with pytest.raises(UsageError, match=r" It has 5 rows, for whole numbers from 0 to 4\.$"):
        inspect(found.module, *found.inputs)
    with pytest.raises(UsageError) as caught:
        load("net.py:Words(5)", ["7,N,N"])
    assert (
        str(caught.value) == "--input is '7,N,N'; allowed: sizes without the batch, as 3,32,32, or int9:20 for indices."
    )

"""The rules and the numbers of the studies of sequences."""

from pathlib import Path

import pytest
import torch
from torch import nn

import etude
from etude.errors import UsageError
from etude.studies import Evidence, Findings, exact, measured
from etude.studies.sequences import (
    attention_probe,
    embedding_or_one_hot,
    length_and_attention,
    self_attention_queries,
    tbptt_reach,
)
from etude.studies.sequences.translators import WITH, WITHOUT


def spread(what: str, centre: float, by: float = 0.01) -> Evidence:
    """Four seeds around a value."""
    return measured(what, [centre - by, centre + by, centre - by, centre + by])


@pytest.mark.parametrize(("apart", "verdict"), [(1e-15, "true"), (1e-3, "false")])
@pytest.mark.parametrize("place", range(3))
def test_embedding_or_one_hot_asks_for_rounding(apart: float, verdict: str, place: int) -> None:
    module = embedding_or_one_hot
    evidence = [exact(name, 0) for name in (module.OUTPUT, module.GRADIENT, module.TRAINED)]
    evidence[place] = exact(evidence[place].what, apart)
    evidence.append(spread(module.SLOWER.format(100), 5))
    assert module.judge(Findings(tuple(evidence), {"words": [100]})).verdict == verdict


def test_a_lookup_is_a_product_with_one_hot_rows() -> None:
    module, generator = embedding_or_one_hot, torch.Generator().manual_seed(0)
    table = torch.randn(7, 3, generator=generator, dtype=torch.float64)
    tokens = torch.tensor([0, 6, 3, 3])
    wanted = nn.Embedding.from_pretrained(table)(tokens)
    torch.testing.assert_close(module.looked_up(table, tokens), wanted)
    torch.testing.assert_close(module.multiplied(table, tokens), wanted)


def test_embedding_or_one_hot_counts_bytes(tmp_path: Path) -> None:
    module = embedding_or_one_hot
    found = etude.study("embedding-or-one-hot", runs_dir=tmp_path, seeds=2, words=(10, 500), steps=3)
    assert found.verdict == "true"
    assert found.findings[module.BYTES.format("embedding", 500)].value == 8
    assert found.findings[module.BYTES.format("one-hot", 500)].value == 2000
    with pytest.raises(UsageError, match=r"--words \(500, 10\) \(allowed: numbers from 2 to 50,000, rising\)"):
        etude.study("embedding-or-one-hot", runs_dir=tmp_path, words=(500, 10))


@pytest.mark.parametrize(
    ("values", "verdict"),
    [
        ((0.5, 0.5, 0.5, 0.5), "true"),
        ((1.0, 0.5, 0.5, 0.5), "false"),
        ((0.5, 0.5, 1.0, 0.5), "false"),
        ((0.9, 0.5, 0.5, 0.5), "undecided"),
    ],
)
def test_tbptt_reach_asks_whether_one_knows_the_letter(values: tuple[float, ...], verdict: str) -> None:
    names = [tbptt_reach.ACCURACY.format(name) for name in tbptt_reach.CELLS.values()]
    evidence = tuple(spread(name, value) for name, value in zip(names, values, strict=True))
    assert tbptt_reach.judge(Findings(evidence, {"bptt": [5]})).verdict == verdict


@pytest.mark.parametrize(("accuracy", "verdict"), [(1.0, "true"), (0.5, "false"), (0.9, "undecided")])
def test_self_attention_asks_for_the_order_of_two_words(accuracy: float, verdict: str) -> None:
    module = self_attention_queries
    evidence = [spread(module.MOVED.format(way), 0) for way in module.WAYS]
    evidence += [spread(module.TOLD.format(way), 1) for way in module.WAYS[1:]]
    evidence.append(spread(module.TOLD.format(module.WAYS[0]), accuracy))
    assert module.judge(Findings(tuple(evidence))).verdict == verdict


def test_only_plain_self_attention_moves_with_its_inputs() -> None:
    module = self_attention_queries
    tokens = torch.randint(8, (5, 10), generator=torch.Generator().manual_seed(0))
    for way in module.WAYS:
        torch.manual_seed(0)
        change = module.moved(module.Reader(8, way).double(), tokens, torch.Generator().manual_seed(1))
        assert (change == 0) == (way == "self-attention"), way


def test_pytorchs_attention_does_not_see_the_order_either() -> None:
    torch.manual_seed(0)
    attention, vectors = nn.MultiheadAttention(16, 2, batch_first=True), torch.randn(3, 6, 16)
    order = torch.randperm(6)
    shuffled, straight = (attention(each, each, each)[0] for each in (vectors[:, order], vectors))
    torch.testing.assert_close(shuffled, straight[:, order], atol=1e-5, rtol=1e-4)


def test_sentences_have_both_words_once() -> None:
    module = self_attention_queries
    design = module.SelfAttentionQueries(words=6)
    tokens, first = module.sentences(design, 2000, torch.Generator().manual_seed(0))
    assert ((tokens == 0).sum(1) == 1).all()
    assert ((tokens == 1).sum(1) == 1).all()
    torch.testing.assert_close(first, ((tokens == 0).int().argmax(1) < (tokens == 1).int().argmax(1)).float())
    assert first.mean().item() == pytest.approx(0.5, abs=0.05)


def test_self_attention_queries_runs(tmp_path: Path) -> None:
    found = etude.study("self-attention-queries", runs_dir=tmp_path, seeds=2, steps=3)
    assert found.figure.exists()
    assert found.findings[self_attention_queries.MOVED.format("self-attention")].value == 0


@pytest.mark.parametrize(("looking", "verdict"), [(0.99, "true"), (0.7, "false"), (0.95, "undecided")])
def test_attention_probe_compares_by_seed(looking: float, verdict: str) -> None:
    module = attention_probe
    evidence = [
        spread(module.WORDS.format(WITHOUT), 0.95, 0),
        spread(module.WORDS.format(WITH), looking),
        *(spread(module.LENGTH.format(name), 0.5) for name in (WITH, WITHOUT)),
    ]
    assert module.judge(Findings(tuple(evidence))).verdict == verdict


@pytest.mark.parametrize(("fall", "verdict"), [(0.4, "true"), (0.05, "false"), (0.15, "undecided")])
def test_length_and_attention_compares_what_is_lost(fall: float, verdict: str) -> None:
    module = length_and_attention
    evidence = [spread(module.FALL.format(WITH), 0.1, 0), spread(module.FALL.format(WITHOUT), fall)]
    evidence += [spread(what.format(name), 50) for what in (module.SHORT, module.LONG) for name in (WITH, WITHOUT)]
    assert module.judge(Findings(tuple(evidence))).verdict == verdict

"""The metrics of a translator: its scores as sacrebleu gives them, its likelihood, what its last state knows."""

import math
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch

import etude
from etude.data import load
from etude.errors import UsageError
from etude.measurement import Measurement, Result, Settings, last_state
from etude.measurement.catalogue import fitting
from etude.measurement.subject import Subject
from etude.metrics import bleu, chrf, ridge_probe
from etude.runs import Run
from made_up import translator

NUM = 40


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return translator(tmp_path_factory.mktemp("measured"), train_images=1000, batch_size=500)


@pytest.fixture(scope="module")
def found(run: Run) -> Measurement:
    return etude.measure(run, num_samples=NUM, say=lambda line: None)


def measured(run: Run) -> Subject:
    return Subject(run, run.dataset(), Settings(num_samples=NUM), None)


def test_every_metric_of_translators_is_measured_and_no_other(run: Run, found: Measurement) -> None:
    names = ["bleu", "chrf", "long_bleu", "perplexity", "token_accuracy", "length_probe", "word_probe"]
    assert list(fitting(run)) == names
    assert list(found) == names
    assert found.notes == []
    for result in found.values():
        assert result.value is not None
        assert result.interval is None or result.interval[0] <= result.value <= result.interval[1]


def test_scores_are_of_the_texts_of_the_measured_sentences(run: Run, found: Measurement) -> None:
    rows = measured(run).rows.tolist()
    test = load("clauses").test
    translations = [each.translation for each in run.translate([test.texts["source"][row] for row in rows])]
    references = [test.texts["target"][row] for row in rows]
    assert found["bleu"].value == pytest.approx(bleu(translations, references).value)
    assert found["chrf"].value == pytest.approx(chrf(translations, references).value)
    assert found["bleu"].remark == "nrefs:1|case:mixed|eff:no|tok:13a|smooth:exp|version:2.6.0"
    assert found["chrf"].remark == "nrefs:1|case:mixed|eff:yes|nc:6|nw:0|space:no|version:2.6.0"


def test_bleu_by_length_covers_every_sentence(run: Run, found: Measurement) -> None:
    lengths = (measured(run).measured["source"] != 0).sum(1).double() - 1
    bins = found["long_bleu"]["bins"]
    assert sum(each["num_samples"] for each in bins) == NUM
    assert bins[0]["shortest"] == lengths.min()
    assert bins[-1]["longest"] == lengths.max()
    assert all(low["longest"] < high["shortest"] for low, high in pairwise(bins))
    last = bins[-1]
    assert found["long_bleu"].value == last["value"]
    assert found["long_bleu"].remark == (
        f"sources of {last['shortest']} to {last['longest']} tokens; the mean has {float(lengths.mean()):.3g}"
    )


def test_perplexity_and_accuracy_are_over_all_tokens(run: Run, found: Measurement) -> None:
    pairs = measured(run).measured
    network = run.networks["luong"].double()
    with torch.no_grad():
        logits = network(pairs["source"], pairs["target"][:, :-1])
    network.float()
    told = pairs["target"][:, 1:]
    real = told != 0
    nats = -logits.log_softmax(2).gather(2, told[..., None])[..., 0][real]
    assert found["perplexity"].value == pytest.approx(math.exp(nats.mean()), rel=1e-4)
    assert found["perplexity"]["num_tokens"] == int(real.sum())
    assert found["perplexity"].remark == f"{float(nats.mean()):.3g} nats per token, each after the right ones"
    right = (logits.argmax(2) == told)[real].double().mean()
    assert found["token_accuracy"].value == pytest.approx(float(right))


def test_probes_read_what_a_state_holds_and_nothing_else(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    subject = Subject(run, run.dataset(), Settings(num_samples=500), None)
    words = len(subject.translator.kind.source_vocabulary)

    def holds(source: torch.Tensor) -> torch.Tensor:
        return torch.zeros(len(source), words).scatter_(1, source, 1.0)

    monkeypatch.setattr(type(subject.translator), "last_states", lambda self, source: holds(source))
    knows = last_state.words(subject)
    assert knows["value"] == pytest.approx(1)
    assert knows["floor"] == 0.5
    assert last_state.about_words(Result(knows)) == (
        f"area under the ROC curve, mean of {knows['num_words']} words, read from the encoder's last state"
    )
    monkeypatch.setattr(
        type(subject.translator), "last_states", lambda self, source: (source != 0).sum(1, keepdim=True).float()
    )
    assert last_state.length(subject)["value"] == pytest.approx(1, abs=1e-3)
    generator = torch.Generator().manual_seed(0)
    monkeypatch.setattr(
        type(subject.translator), "last_states", lambda self, source: torch.randn(len(source), 4, generator=generator)
    )
    assert last_state.length(subject)["value"] == pytest.approx(0, abs=0.05)
    assert last_state.words(subject)["value"] == pytest.approx(0.5, abs=0.02)


def test_a_transformer_has_no_last_state(tmp_path: Path) -> None:
    run = translator(tmp_path, "translate-transformer", layers=1)
    message = f"run {run.name} has no last state to probe: its decoder always looks at all source tokens."
    with pytest.raises(UsageError) as caught:
        etude.measure(run, metrics=["word_probe"], num_samples=NUM)
    assert str(caught.value) == message
    found = etude.measure(run, num_samples=NUM, say=lambda line: None)
    assert found.notes == [f"left out {name}: {message}" for name in ("length_probe", "word_probe")]


def test_ridge_regression_is_least_squares_with_a_small_penalty() -> None:
    draw = np.random.default_rng(0)
    train, test, weights = draw.normal(size=(300, 5)), draw.normal(size=(20, 5)), draw.normal(size=(5, 3))
    found = ridge_probe(train, test, targets=train @ weights + 2)
    np.testing.assert_allclose(found, test @ weights + 2, atol=0.01)
    with pytest.raises(UsageError, match=r"^train of \(300, 5\), targets of \(2, 3\), test of \(20, 5\); allowed: "):
        ridge_probe(train, test, targets=weights[:2])

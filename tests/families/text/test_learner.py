"""How sentences become steps: like lengths side by side, each sentence once, unknown words as drawn."""

from dataclasses import replace
from typing import Any

import pytest
import torch

from etude.compute import Execution
from etude.data import Dataset, load
from etude.data.text.vocabulary import UNK
from etude.families.text.learner import TextLearner
from etude.families.text.recipe import TextClassification
from etude.models.text_classifiers import PAD
from etude.recipes import change, get
from etude.training.learners import create_learner

EXECUTION = Execution(device="cpu", threads=1, precision="fp32", compiled=False)


@pytest.fixture(scope="module")
def opinions() -> Dataset:
    dataset = load("opinions")
    return replace(dataset, train=dataset.train.take(torch.arange(300)))


def learner_of(dataset: Dataset, **changes: Any) -> TextLearner:
    recipe = change(get("text-classifier"), **{"batch_size": 32, **changes})
    assert isinstance(recipe, TextClassification)
    learner = create_learner(recipe, dataset, EXECUTION)
    assert isinstance(learner, TextLearner)
    return learner


def test_a_step_has_sentences_of_like_lengths_and_an_epoch_each_sentence_once(opinions: Dataset) -> None:
    learner, tokens = learner_of(opinions), opinions.train["tokens"]
    rows = torch.arange(10, 300)
    steps = learner.epoch(rows, opinions.train.columns, 1)
    assert steps.shape == (9, 32)
    assert len(steps.unique()) == steps.numel()
    assert set(steps.flatten().tolist()) <= set(rows.tolist())
    lengths = (tokens != PAD).sum(dim=1)[steps]  # (steps, batch)
    shortest, longest = lengths.amin(dim=1), lengths.amax(dim=1)
    order = (1000 * shortest + longest).argsort(stable=True)
    # Sorted, the steps follow one another: none but the last length of one is in the next.
    assert (longest[order][:-1] <= shortest[order][1:]).all()
    assert not torch.equal(order, torch.arange(9))
    wasted = (longest[:, None] - lengths).sum() / lengths.sum()
    assert wasted < 0.1


def test_epochs_differ_and_a_seed_repeats_them(opinions: Dataset) -> None:
    rows, columns = torch.arange(300), opinions.train.columns
    one, two = (learner_of(opinions, seed=3).epoch(rows, columns, epoch) for epoch in (1, 2))
    assert torch.equal(learner_of(opinions, seed=3).epoch(rows, columns, 1), one)
    assert not torch.equal(one, two)
    assert len(set(one.flatten().tolist()) ^ set(two.flatten().tolist())) > 0  # other sentences sit it out
    assert not torch.equal(learner_of(opinions, seed=4).epoch(rows, columns, 1), one)


def test_a_batch_is_cut_to_its_longest_sentence(opinions: Dataset) -> None:
    learner, columns = learner_of(opinions, word_dropout=0.0), opinions.train.columns
    lengths = (columns["tokens"] != PAD).sum(dim=1)
    rows = lengths.argsort()[:5]
    batch = learner.batch(columns, rows, learner.draws())
    longest = int(lengths[rows].max())
    assert longest < columns["tokens"].shape[1]
    assert torch.equal(batch["tokens"], columns["tokens"][rows, :longest])
    assert torch.equal(batch["labels"], columns["labels"][rows])


def test_word_dropout_makes_its_share_of_the_tokens_unknown_and_no_pad(opinions: Dataset) -> None:
    learner, columns = learner_of(opinions, word_dropout=0.3, batch_size=300), opinions.train.columns
    rows = torch.arange(300)
    before = columns["tokens"].clone()
    batch = learner.batch(columns, rows, learner.draws())
    tokens, real = columns["tokens"][:, : batch["tokens"].shape[1]], batch["tokens"] != PAD
    assert torch.equal(real, tokens != PAD)
    assert torch.equal(columns["tokens"], before)
    changed = batch["tokens"] != tokens
    assert (batch["tokens"][changed] == UNK).all()
    share = (changed.sum() / real.sum()).item()
    assert abs(share - 0.3) < 4 * (0.3 * 0.7 / real.sum().item()) ** 0.5
    assert not torch.equal(learner.batch(columns, rows, learner.draws())["tokens"], batch["tokens"])


@pytest.mark.parametrize("average", [0.0, 0.9])
def test_the_running_average_is_what_is_evaluated(opinions: Dataset, average: float) -> None:
    learner = learner_of(opinions, optimizer=replace(get("text-classifier").optimizer, average=average))
    assert list(learner.networks) == (["average", "bag"] if average else ["bag"])
    assert list(learner.optimizers) == ["bag"]
    name = next(iter(learner.networks))
    with torch.no_grad():
        for parameter in learner.networks[name].parameters():
            parameter.zero_()
        learner.networks[name].head.bias.copy_(torch.tensor([1.0, 0.0]))  # pyright: ignore
    found = learner.evaluate_end(opinions.test)
    assert found["test/accuracy/negative"] == 1
    assert found["test/accuracy/positive"] == 0
    assert found["test/accuracy"] == pytest.approx(float((opinions.test.labels == 0).double().mean()))
    right, wrong = torch.tensor([1.0, 0.0]).log_softmax(dim=0)
    assert found["test/loss"] == pytest.approx(-float((right + wrong) / 2), rel=1e-3)
    assert learner.evaluate_epoch(opinions.test.take(torch.arange(0)), opinions.test) == {}

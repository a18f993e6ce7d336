"""How a translator learns: its batches, its loss, and what it can do after a few seconds."""

from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import etude
from etude import recipes
from etude.compute import Execution
from etude.data import Dataset, load
from etude.data.text.vocabulary import BOS, EOS, PAD
from etude.families.descent import EagerDescent
from etude.families.recipe import Optimizer
from etude.families.translation.learner import TranslationLearner
from etude.families.translation.recipe import Translation
from etude.metrics import bleu, chrf
from etude.speed.steps import eager_step
from etude.training import Display
from etude.training.learners import create_learner

CPU = Execution(device="cpu", threads=1, precision="fp32", compiled=False)


@cache
def data() -> Dataset:
    return load("clauses")


def recipe(name: str = "translate-luong", **changes: Any) -> Translation:
    chosen = recipes.change(recipes.get(name), **{"data": "clauses", "width": 16, "batch_size": 32, **changes})
    assert isinstance(chosen, Translation)
    return chosen


def learner_of(chosen: Translation) -> TranslationLearner:
    learner = create_learner(chosen, data(), CPU)
    assert isinstance(learner, TranslationLearner)
    return learner


def lengths(tokens: Tensor) -> Tensor:
    return (tokens != PAD).sum(1)


def test_an_epoch_takes_each_pair_once_in_steps_of_like_lengths() -> None:
    learner, columns = learner_of(recipe()), data().train.columns
    rows = torch.randperm(len(data().train), generator=torch.Generator().manual_seed(1))[:1000]
    steps = learner.epoch(rows, columns, 1)
    assert steps.shape == (1000 // 32, 32)
    assert len(steps.flatten().unique()) == steps.numel()
    assert set(steps.flatten().tolist()) <= set(rows.tolist())
    source = lengths(columns["source"])[steps]
    spread = (source.amax(1) - source.amin(1)).double()
    shuffled = source.flatten()[torch.randperm(steps.numel())].view_as(steps)
    assert spread.mean() < 0.2 * (shuffled.amax(1) - shuffled.amin(1)).double().mean()
    order = source.double().mean(1)
    assert not torch.equal(order, order.sort().values)  # steps of short sentences do not all come first


def test_the_order_is_the_same_for_one_seed_and_epoch_alone() -> None:
    learner, rows, columns = learner_of(recipe()), torch.arange(500), data().train.columns
    first = learner.epoch(rows, columns, 1)
    assert torch.equal(first, learner.epoch(rows, columns, 1))
    assert not torch.equal(first, learner.epoch(rows, columns, 2))
    assert not torch.equal(first, learner_of(recipe(seed=1)).epoch(rows, columns, 1))
    mates = [frozenset(step) for step in first.tolist()]
    assert set(mates) != {frozenset(step) for step in learner.epoch(rows, columns, 2).tolist()}


def test_a_batch_is_cut_to_its_longest_sentences() -> None:
    learner, columns = learner_of(recipe(teacher_forcing=0.5)), data().train.columns
    rows = lengths(columns["source"]).argsort()[:32]
    batch = learner.batch(columns, rows, learner.draws())
    for name in ("source", "target"):
        longest = int(lengths(columns[name][rows]).max())
        assert longest < columns[name].shape[1]
        assert torch.equal(batch[name], columns[name][rows][:, :longest])
    assert batch["forced"].shape == (32, batch["target"].shape[1] - 1)


def test_teacher_forcing_draws_its_share() -> None:
    assert learner_of(recipe()).draws() == {}
    learner = learner_of(recipe(teacher_forcing=0.3))
    shares = torch.cat([learner.draws()["forced"].double() for _ in range(30)])
    assert float(shares.mean()) == pytest.approx(0.3, abs=0.02)
    assert not learner_of(recipe(teacher_forcing=0)).draws()["forced"].any()


def test_the_loss_of_a_step_is_over_real_tokens_after_those_before_them() -> None:
    learner = learner_of(recipe(dropout=0, label_smoothing=0.1))
    columns = data().train.columns
    batch = learner.batch(columns, torch.arange(32), {})
    logits = learner.trained.network(batch["source"], batch["target"][:, :-1]).double()
    total, count = 0.0, 0
    for row, sentence in zip(logits, batch["target"][:, 1:].tolist(), strict=True):
        for scores, token in zip(row.log_softmax(1), sentence, strict=True):
            if token != PAD:
                total -= 0.9 * float(scores[token].detach()) + 0.1 * float(scores.detach().mean())
                count += 1
    assert (batch["target"] == PAD).any()
    assert (batch["target"] == EOS).sum() == 32
    losses = learner.step(batch, EagerDescent(learner.networks, learner.optimizers))
    assert float(losses["loss"]) == pytest.approx(total / count, rel=1e-5)


def test_the_decoder_goes_on_from_its_own_tokens_where_it_is_not_forced() -> None:
    losses = []
    for share in (1.0, 0.0):
        learner = learner_of(recipe(dropout=0, teacher_forcing=share))
        batch = learner.batch(data().train.columns, torch.arange(32), learner.draws())
        losses.append(float(learner.step(batch, EagerDescent(learner.networks, learner.optimizers))["loss"]))
    network = learner_of(recipe(dropout=0)).trained.network
    target_in = batch["target"][:, :-1]
    own = torch.full_like(target_in, BOS)
    for t in range(1, own.shape[1]):
        own[:, t] = network(batch["source"], own)[:, t - 1].argmax(1)
    logits = network(batch["source"], own)
    told = batch["target"][:, 1:]
    expected = torch.nn.functional.cross_entropy(
        logits.flatten(0, 1), told.flatten(), ignore_index=PAD, label_smoothing=0.1
    )
    assert losses[1] == pytest.approx(float(expected.detach()), rel=1e-5)
    assert losses[0] != losses[1]


def test_evaluation_has_no_dropout_and_forces_every_token() -> None:
    split = data().test.take(torch.arange(40))
    found = []
    for dropout, share in ((0.5, 0.0), (0.0, 1.0)):
        learner = learner_of(recipe(dropout=dropout, teacher_forcing=share))
        found.append(learner.evaluate_epoch(split, split))
        assert learner.trained.network.training
    assert found[0] == found[1]
    network = learner.trained.network.eval()
    logits = network(split["source"], split["target"][:, :-1]).detach().double()
    told = split["target"][:, 1:]
    nats = -logits.log_softmax(2).gather(2, told[..., None])[..., 0][told != PAD]
    assert found[0]["validation/loss"] == pytest.approx(float(nats.mean()), rel=1e-6)
    assert found[0]["validation/perplexity"] == pytest.approx(float(nats.mean().exp()), rel=1e-6)
    right = (logits.argmax(2) == told)[told != PAD].double()
    assert found[0]["validation/token_accuracy"] == pytest.approx(float(right.mean()))


def test_scores_are_those_of_the_texts_against_the_sentences_as_they_were() -> None:
    learner, split = learner_of(recipe(beam=3)), data().test.take(torch.arange(30))
    values = learner.evaluate_end(split)
    learner.trained.network.eval()
    written = learner.trained.written(split["source"], beam=3)
    assert values["test/bleu"] == bleu(written, split.texts["target"]).value
    assert values["test/chrf"] == chrf(written, split.texts["target"]).value


def test_the_running_average_of_the_weights_is_what_is_evaluated() -> None:
    optimizer = Optimizer(name="sgd", learning_rate=0.5, average=0.99)
    learner = learner_of(replace(recipe(dropout=0), optimizer=optimizer))
    assert set(learner.optimizers) == {"luong"}
    step, rows = eager_step(learner, data().train), learner.epoch(torch.arange(640), data().train.columns, 1)
    for number in range(5):
        step(rows[number][None], optimizer.rates_at(number, 100))
    average, network = learner.networks["average"], learner.networks["luong"]
    assert learner.trained.network is average
    assert all(not torch.equal(a, b) for a, b in zip(average.parameters(), network.parameters(), strict=True))


def test_the_preview_shows_test_sentences_with_their_translations() -> None:
    learner = learner_of(recipe())
    lines = learner.preview().lines
    learner.trained.network.eval()
    test = data().test
    assert len(lines) == 11
    assert lines[0] == f"source       {test.texts['source'][0]}"
    assert lines[1] == f"reference    {test.texts['target'][0]}"
    assert lines[2] == f"translation  {learner.trained.written(test['source'][:1], beam=1)[0]}".rstrip()
    assert lines[3] == ""


@pytest.mark.parametrize(
    ("name", "changes", "floor"),
    [
        ("translate-luong", {"attention": "dot", "epochs": 2}, 70),
        ("translate-luong", {"attention": "dot", "epochs": 1, "teacher_forcing": 0.7}, 15),
        ("translate-gru", {"epochs": 1}, 25),
        ("translate-transformer", {"epochs": 1}, 25),
    ],
)
def test_it_learns_to_translate_in_seconds(name: str, changes: dict[str, Any], floor: float, tmp_path: Path) -> None:
    changes = {"width": 64, "dropout": 0.0, "label_smoothing": 0.0, "beam": 2, **changes}
    rate = {"translate-luong": 5e-3, "translate-gru": 1e-2, "translate-transformer": 3e-3}[name]
    chosen = recipe(name, **changes)
    few = replace(data(), validation=data().test.take(torch.arange(100, 150)), test=data().test.take(torch.arange(100)))
    run = etude.train(
        replace(chosen, optimizer=replace(chosen.optimizer, learning_rate=rate)),
        data=few,
        runs_dir=tmp_path,
        display=Display(quiet=True),
        threads=1,
        precision="fp32",
    )
    last = run.metrics().last()
    assert last["test/bleu"] > floor
    (text,) = run.translate(data().test.texts["source"][0])
    assert text.alignment is not None
    assert text.alignment.shape == (len(text.tokens), len(text.source_tokens))

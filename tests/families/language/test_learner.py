"""Training: truncated backpropagation beside a plain loop of PyTorch's, the state that is carried, what is refused."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from etude import Dataset, recipes
from etude.compute import Execution
from etude.data import load
from etude.errors import UsageError
from etude.families.language.learner import CHUNKS_BEFORE, LanguageLearner
from etude.families.language.recipe import CHAR_LSTM, CHAR_TRANSFORMER, Language
from etude.families.preview import Text
from etude.families.recipe import Optimizer
from etude.recipes import change
from etude.speed.steps import eager_step
from etude.training.learners import create_learner

EAGER = Execution(device="cpu", threads=1, precision="fp32", compiled=False)
SGD = Optimizer(name="sgd", learning_rate=0.5)
COLUMNS, CHUNK = 3, 4
TEXT = Dataset.of("the cat sat on the mat. " * 20, name="cats")


def small(recipe: Language = CHAR_LSTM, **changes: Any) -> Language:
    few = {"width": 6, "layers": 1, "dropout": 0.0, "batch_size": COLUMNS, "bptt": CHUNK, "optimizer": SGD}
    changed = change(recipe, **{**few, **changes})
    assert isinstance(changed, Language)
    return changed


def learner_of(recipe: Language, dataset: Dataset = TEXT) -> LanguageLearner:
    learner = create_learner(recipe, dataset, EAGER)
    assert isinstance(learner, LanguageLearner)
    return learner


def take(learner: LanguageLearner, num_steps: int, dataset: Dataset = TEXT) -> list[float]:
    """The losses of the first steps of an epoch."""
    step = eager_step(learner, dataset.train)
    rows = learner.epoch(torch.arange(len(dataset.train)), dataset.train.columns, 1)
    rates = learner.settings.rates_at(0, 100)
    return [step(each[None], rates)[0, 0].item() for each in rows[:num_steps]]


class Plain:
    """The same training as a tutorial writes it, on a copy of the learner's network."""

    def __init__(self, learner: LanguageLearner, detach: str) -> None:
        self.recipe, self.detach = learner.recipe, detach
        own = learner.networks["lstm"]
        self.embedding = nn.Embedding.from_pretrained(own.get_parameter("embedding.weight").clone(), freeze=False)
        self.lstm, self.linear = nn.LSTM(6, 6, batch_first=True), nn.Linear(6, len(learner.text.vocabulary))
        self.lstm.load_state_dict(own.get_submodule("layers.0").state_dict())
        self.linear.load_state_dict(own.get_submodule("to_scores").state_dict())
        self.parameters = [*self.embedding.parameters(), *self.lstm.parameters(), *self.linear.parameters()]

    def train(self, text: Tensor, num_steps: int) -> list[float]:
        """On text (N,) in columns; the losses."""
        length = (len(text) - 1) // (COLUMNS * CHUNK) * CHUNK
        inputs, targets = (text[start:][: COLUMNS * length].view(COLUMNS, length) for start in (0, 1))
        state, losses = None, []
        for number in range(num_steps):
            place = slice(number * CHUNK, (number + 1) * CHUNK)
            if self.detach == "never":  # from the beginning of the text, with the weights of now
                vectors, _ = self.lstm(self.embedding(inputs[:, : place.stop]))
                vectors = vectors[:, place]
            elif self.detach == "step":
                outputs = []
                for time in range(place.start, place.stop):
                    state = None if state is None else tuple(each.detach() for each in state)
                    output, state = self.lstm(self.embedding(inputs[:, time : time + 1]), state)
                    outputs.append(output)
                vectors = torch.cat(outputs, dim=1)
            else:
                state = None if state is None else tuple(each.detach() for each in state)
                vectors, state = self.lstm(self.embedding(inputs[:, place]), state)
            state = None if self.recipe.carry_state == "off" else state
            loss = F.cross_entropy(self.linear(vectors).flatten(0, 1), targets[:, place].flatten())
            gradients = torch.autograd.grad(loss, self.parameters)
            with torch.no_grad():
                for parameter, gradient in zip(self.parameters, gradients, strict=True):
                    parameter -= 0.5 * gradient
            losses.append(loss.item())
        return losses


@pytest.mark.parametrize(
    ("detach", "carry"), [("chunk", "on"), ("chunk", "off"), ("step", "on"), ("step", "off"), ("never", "on")]
)
def test_steps_are_those_of_a_plain_loop(detach: str, carry: str) -> None:
    learner = learner_of(small(detach=detach, carry_state=carry))
    plain = Plain(learner, detach)
    text = torch.cat([TEXT.train["symbols"], TEXT.train["targets"][-1:]])
    assert take(learner, 6) == pytest.approx(plain.train(text, 6), rel=1e-5)
    own = learner.networks["lstm"]
    torch.testing.assert_close(own.get_parameter("embedding.weight"), plain.embedding.weight)
    torch.testing.assert_close(
        dict(own.get_submodule("layers.0").named_parameters()), dict(plain.lstm.named_parameters())
    )


def test_a_gradient_that_is_never_cut_goes_through_fifteen_chunks_before() -> None:
    text = Dataset.of("abcdefgh" * 400, name="letters")
    learner = learner_of(small(detach="never"), text)
    take(learner, 20, text)
    rows = learner.epoch(torch.arange(len(text.train)), text.train.columns, 1).view(-1, COLUMNS, CHUNK)
    assert torch.equal(learner.state["there"], torch.ones(CHUNKS_BEFORE))
    assert torch.equal(
        learner.state["before"], torch.cat([*text.train["symbols"][rows[20 - CHUNKS_BEFORE : 20]]], dim=1)
    )


def test_the_state_begins_with_zeros_at_each_epoch_and_is_carried_within() -> None:
    learner = learner_of(small())
    num_rows = len(TEXT.train)
    rows = learner.epoch(torch.arange(num_rows), TEXT.train.columns, 1)
    goes_on = [learner.batch(TEXT.train.columns, each, {})["goes_on"].item() for each in rows]
    assert goes_on == [0.0] + [1.0] * (len(rows) - 1)
    assert torch.equal(rows, learner.epoch(torch.arange(num_rows), TEXT.train.columns, 2))
    apart = learner_of(small(carry_state="off"))
    rows = apart.epoch(torch.arange(num_rows), TEXT.train.columns, 1)
    assert not any(apart.batch(TEXT.train.columns, each, {})["goes_on"].item() for each in rows)


def test_a_batch_is_the_chunk_of_each_column_and_what_follows() -> None:
    learner, train = learner_of(small()), TEXT.train
    rows = learner.epoch(torch.arange(len(train)), train.columns, 1)
    batch = learner.batch(train.columns, rows[2], {})
    length = len(train) // (COLUMNS * CHUNK) * CHUNK
    for column in range(COLUMNS):
        place = column * length + 2 * CHUNK
        assert torch.equal(batch["symbols"][column], train["symbols"][place : place + CHUNK])
        assert torch.equal(batch["targets"][column], train["symbols"][place + 1 : place + CHUNK + 1])


def test_a_loss_on_answers_is_their_mean_over_an_epoch() -> None:
    cue = load("cue")
    frozen = replace(SGD, learning_rate=1e-30)
    recipe = small(data="cue", bptt=5, batch_size=8, loss_on="answer", optimizer=frozen)
    learner = learner_of(recipe, cue)
    losses = take(learner, 1_000, cue)
    assert len(losses) == len(cue.train) // 40
    scores = learner.evaluate_epoch(cue.train, cue.test)
    assert sum(losses) / len(losses) == pytest.approx(scores["validation/loss"], rel=1e-4)
    all_symbols = take(learner_of(replace(recipe, loss_on="all"), cue), 1_000, cue)
    assert scores["validation/loss"] != pytest.approx(sum(all_symbols) / len(all_symbols), rel=1e-3)


def test_metrics_are_those_of_the_whole_text() -> None:
    learner, text = learner_of(small()), TEXT.test
    scores = learner.evaluate_end(text)
    network = learner.networks["lstm"].eval()
    with torch.no_grad():
        logits = network(text["symbols"][None])[0][0]
    nats = F.cross_entropy(logits.double(), text["targets"])
    assert scores == {
        "test/loss": pytest.approx(nats.item(), rel=1e-6),
        "test/nats_per_character": pytest.approx(nats.item(), rel=1e-6),
        "test/bits_per_byte": pytest.approx(nats.item() / 0.6931471805599453, rel=1e-6),
        "test/perplexity": pytest.approx(nats.exp().item(), rel=1e-6),
        "test/accuracy": pytest.approx((logits.argmax(1) == text["targets"]).double().mean().item()),
    }


def test_characters_and_bytes_are_counted_not_symbols() -> None:
    text = Dataset.of("the bœuf sat on the mât. " * 40, name="cats", reading=recipes.get("char-lstm").reading)
    words = load("python-docs", tokenizer="subwords", vocabulary_size=600)
    for dataset in (text, words):
        learner = learner_of(small(), dataset)
        scores = learner.evaluate_end(dataset.test)
        told = dataset.kind.vocabulary.decode(dataset.test["targets"].tolist())  # pyright: ignore[reportAttributeAccessIssue]
        total = scores["test/loss"] * len(dataset.test)
        # A word at the start of the text is told with a space before it.
        assert scores["test/nats_per_character"] == pytest.approx(total / len(told), rel=2 / len(told))
        assert scores["test/bits_per_byte"] == pytest.approx(
            total / len(told.encode()) / 0.6931471805599453, rel=2 / len(told)
        )


def test_a_preview_is_a_text_and_the_same_each_time() -> None:
    learner = learner_of(small())
    one, two = learner.preview(), learner.preview()
    assert isinstance(one, Text)
    assert one == two
    assert len("\n".join(one.lines)) == 401
    assert learner_of(small(data="cue"), load("cue")).preview() is None


def test_the_average_of_the_weights_is_evaluated_and_writes() -> None:
    learner = learner_of(small(optimizer=replace(SGD, average=0.9)))
    take(learner, 5)
    first = learner.evaluate_end(TEXT.test)
    learner.networks["lstm"].get_parameter("to_scores.bias").data.zero_()
    assert learner.evaluate_end(TEXT.test) == first
    learner.networks["average"].get_parameter("to_scores.bias").data.zero_()
    assert learner.evaluate_end(TEXT.test) != first


@pytest.mark.parametrize(
    ("recipe", "changes", "message"),
    [
        (
            CHAR_LSTM,
            {"detach": "never", "carry_state": "off"},
            "out of range: --detach never (allowed: chunk or step with --carry-state off, which carries nothing to the "
            "next chunk).",
        ),
        (CHAR_LSTM, {"heads": 2}, "out of range: --heads 2 (allowed: unset; only a transformer has it)."),
        (CHAR_LSTM, {"context": 9}, "out of range: --context 9 (allowed: unset; only a transformer has it)."),
        (CHAR_LSTM, {"bptt": 0}, "out of range: --bptt 0 (allowed: 1 to 10000)."),
        (CHAR_LSTM, {"dropout": 1.0}, "out of range: --dropout 1.0 (allowed: in [0, 1))."),
        (CHAR_TRANSFORMER, {"width": 9, "heads": 2}, "out of range: --heads 2 (allowed: a divisor of the width, 9)."),
        (
            CHAR_LSTM,
            {"network": "net.py:Net", "width": 9},
            "out of range: --width 9 (allowed: unset for a network of your own; as in net.py:Net(width=16)).",
        ),
    ],
)
def test_what_a_recipe_does_not_allow(recipe: Language, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError) as error:
        replace(recipe, **changes)
    assert str(error.value) == message


def test_a_loss_on_answers_needs_a_text_that_asks() -> None:
    with pytest.raises(UsageError) as error:
        learner_of(small(loss_on="answer"))
    assert str(error.value) == "--loss-on answer: tiny-shakespeare asks nothing; train on cue, or leave it out."

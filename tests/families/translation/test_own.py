"""Translators from a person's file: they train, translate and resume as étude's own; what is wrong is said first."""

from pathlib import Path
from typing import Any

import pytest
import torch

import etude
from etude import recipes
from etude.data import load
from etude.data.text.vocabulary import BOS
from etude.errors import Interrupted, UsageError
from etude.families import own_networks
from etude.families.translation import own
from etude.families.translation.decoding import translated
from etude.families.translation.own import OwnTranslator
from etude.training import Display
from made_up import translator
from training.test_resume import StopAfter, contents

pytestmark = pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors")
FILE = Path(__file__).parents[2] / "networks" / "seq2seq.py"


def examined(name: str) -> Any:
    own_networks.admit(FILE)
    recipe = recipes.change(recipes.get("translate-luong"), network=f"{FILE}:{name}", data="clauses")
    return own.examine(recipe, load("clauses").kind)  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize("name", ["Seq2Seq(hid_dim=8)", "Transformer(width=8)"])
def test_they_train_translate_and_resume_exactly(name: str, tmp_path: Path) -> None:
    network = f"{FILE}:{name}"
    whole = translator(tmp_path / "whole", network=network, name="run", train_images=64)
    with pytest.raises(Interrupted):
        translator(tmp_path / "stopped", network=network, name="run", train_images=64, display=StopAfter(2))
    resumed = etude.resume(etude.load(tmp_path / "stopped" / "run"), display=Display(quiet=True))
    assert contents(resumed) == contents(whole)
    (found,) = whole.translate("Ein Hund hat gestern den Fisch gesehen.")
    assert found.alignment is None
    last = whole.metrics().last()
    assert 0 < last["test/perplexity"] < 1000
    assert found.translation


@pytest.mark.parametrize("name", ["Seq2Seq", "Transformer"])
def test_decoding_again_from_the_start_is_what_forward_gives(name: str) -> None:
    own_networks.admit(FILE)
    kind = load("clauses").kind
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = OwnTranslator(own_networks.make(f"{FILE}:{name}", kind)).double().eval()
    source = load("clauses").test["source"][:5]
    assert network.in_parts == (name == "Transformer")
    for row, tokens in zip(source, translated(network, source), strict=True):
        row = row[row != 0][None]
        logits = network(row, torch.tensor([[BOS, *tokens]]))[0]
        logits[:, :3] = -torch.inf
        assert logits.argmax(1)[: len(tokens)].tolist() == tokens


def test_notes_and_traits_of_good_ones() -> None:
    found = examined("Seq2Seq")
    assert found.notes == ()
    assert found.draws
    assert found.traits.bf16
    assert found.traits.eager == "its batches differ in length"
    assert set(found.parameters) == {"Seq2Seq"}
    assert examined("Transformer").notes == ()
    pads = examined("MindsPads").notes
    assert pads == (
        "MindsPads gives other scores when pads follow a source: mask what is 0, or a translation depends on the "
        "sentences beside it.",
    )


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "LooksAhead",
            "LooksAhead looks ahead: its scores of a token depend on target tokens after it, which it will have to "
            "write itself; mask them, as nn.Transformer does with tgt_is_causal, or read them one by one.",
        ),
        (
            "Softmax",
            "Softmax: its outputs look like a softmax; return the logits, the numbers before it.",
        ),
        (
            "OneScore",
            "OneScore gives shape (3, 81) for 3 pairs; allowed: (3, 5, 81), a score for each target token, as with "
            "target_vocabulary_size=81.",
        ),
    ],
)
def test_what_is_wrong_is_said_before_training(name: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        examined(name)
    assert str(caught.value) == message

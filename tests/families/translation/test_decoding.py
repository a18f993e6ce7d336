"""Decoding: greedy against a plain loop, a wide beam against every sentence there is; what is never written."""

import itertools
import math
from typing import Any

import pytest
import torch
from torch import Tensor

from etude.data.text.vocabulary import BOS, EOS, PAD, UNK
from etude.families.translation.decoding import MOST_EXTRA, search, translated
from etude.families.translation.recurrent import LuongTranslator
from etude.families.translation.transformer import Transformer
from etude.families.translation.translator import Translator


class ByTable(Translator):
    """Scores of the next token from the source's first token, the number of tokens so far and the last one."""

    def __init__(self, size: int, most_tokens: int, seed: int = 0) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        self.table = 2 * torch.randn(10, most_tokens + 1, size, size, generator=generator, dtype=torch.float64)

    def all_at_once(self, source: Tensor, target_in: Tensor) -> Tensor:
        raise NotImplementedError

    def read(self, source: Tensor) -> Any:
        return source[:, 0]

    def start(self, memory: Any) -> Any:
        return torch.zeros_like(memory)

    def write(self, memory: Any, state: Any, tokens: Tensor) -> tuple[Tensor, Any]:
        return self.table[memory, state, tokens], state + 1


def best_of_all(network: ByTable, first: int, most_tokens: int) -> list[int]:
    """The sentence of at most this many tokens, EOS among them, with the highest mean log-probability."""
    size = network.table.shape[2]
    words = [token for token in range(size) if token not in (PAD, UNK, BOS, EOS)]
    best, best_score = [], -math.inf
    for length in range(most_tokens):
        for sentence in itertools.product(words, repeat=length):
            total, last = 0.0, BOS
            for step, token in enumerate([*sentence, EOS]):
                total += float(network.table[first, step, last].log_softmax(0)[token])
                last = token
            if total / (length + 1) > best_score:
                best, best_score = [*sentence, EOS], total / (length + 1)
    return best


@pytest.mark.parametrize("seed", range(5))
def test_a_beam_that_holds_everything_finds_the_best_sentence_of_all(seed: int) -> None:
    network, source = ByTable(7, most_tokens=4, seed=seed), torch.tensor([[5, EOS], [6, EOS], [5, EOS]])
    found = search(network, source, beam=200, room=torch.tensor([4, 4, 4]))
    for row, sentence in zip(source, found.tolist(), strict=True):
        best = best_of_all(network, int(row[0]), 4)
        assert sentence == best + [PAD] * (4 - len(best))


@pytest.mark.parametrize("network", [LuongTranslator, Transformer])
def test_a_beam_of_one_takes_the_most_likely_token_each_time(network: type) -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        sizes = {"width": 8, "dropout": 0.0}
        if network is Transformer:
            translator: Translator = Transformer(12, 9, num_layers=1, num_heads=2, **sizes)
        else:
            translator = LuongTranslator(12, 9, attention="dot", encoder="recurrent", **sizes)
        for parameter in translator.parameters():
            torch.nn.init.normal_(parameter, std=0.7)
        if isinstance(translator, LuongTranslator):  # so that some sentences end before there is no more room
            translator.vocabulary.bias.data[EOS] += 2
        source = torch.randint(4, 12, (20, 6))
    source[:, 5] = EOS
    source[3:9, 2] = EOS
    source[3:9, 3:] = PAD
    translator = translator.double()
    found = translated(translator, source)
    ended = 0
    for row, sentence in zip(source, found, strict=True):
        row = row[row != PAD][None]
        target = [BOS]
        while len(target) <= 2 * row.shape[1] + MOST_EXTRA:
            logits = translator(row, torch.tensor([target]))[0, -1]
            logits[[PAD, UNK, BOS]] = -torch.inf
            if int(logits.argmax()) == EOS:
                ended += 1
                break
            target.append(int(logits.argmax()))
        assert sentence == target[1:]
    assert ended > 0


def plain_beam(network: ByTable, first: int, *, beam: int, room: int) -> list[int]:
    """Beam search of one sentence, with lists in place of tensors."""
    alive: list[tuple[float, list[int]]] = [(0.0, [])]
    ended: list[tuple[float, list[int]]] = []
    for length in range(1, room + 1):
        grown = []
        for score, sentence in alive:
            last = sentence[-1] if sentence else BOS
            following = network.table[first, length - 1, last].log_softmax(0)
            grown += [
                (score + float(following[token]), [*sentence, token])
                for token in range(len(following))
                if token not in (PAD, UNK, BOS)
            ]
        grown.sort(key=lambda each: -each[0])
        ended += [(score / length, sentence) for score, sentence in grown[:beam] if sentence[-1] == EOS]
        if len(ended) >= beam:
            break
        alive = [(score, sentence) for score, sentence in grown if sentence[-1] != EOS][:beam]
    best = max(ended or alive)[1]
    return best[:-1] if best[-1] == EOS else best


@pytest.mark.parametrize("beam", [1, 2, 5])
def test_a_beam_is_the_plain_one(beam: int) -> None:
    network, source = ByTable(40, most_tokens=2 * 2 + MOST_EXTRA), torch.arange(4, 10)[:, None].repeat(1, 2)
    network.table[..., EOS] += 1
    source[:, 1] = EOS
    found = translated(network, source, beam=beam)
    expected = [plain_beam(network, int(row[0]), beam=beam, room=2 * 2 + MOST_EXTRA) for row in source]
    assert found == expected
    assert len({len(sentence) for sentence in expected}) > 1


def test_a_batch_gives_what_each_sentence_gives_alone() -> None:
    network = ByTable(15, most_tokens=2 * 2 + MOST_EXTRA)
    source = torch.tensor([[5, EOS], [6, EOS], [7, EOS], [8, EOS]])
    together = translated(network, source, beam=3)
    assert together == [translated(network, row[None], beam=3)[0] for row in source]


def test_special_tokens_are_never_written_and_sentences_end_where_there_is_no_more_room() -> None:
    network = ByTable(8, most_tokens=14)
    network.table[..., [PAD, UNK, BOS]] += 20
    network.table[..., EOS] -= 40
    for beam in (1, 3):
        (sentence,) = translated(network, torch.tensor([[5, EOS]]), beam=beam)
        assert len(sentence) == 2 * 2 + MOST_EXTRA
        assert set(sentence) <= {4, 5, 6, 7}

"""BLEU of a corpus (Papineni et al. 2002): the geometric mean of clipped n-gram precisions and a brevity penalty."""

import copy
import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from etude.verify.contract import Case, Check, Convention, mistake
from etude.verify.contracts.sequences.calling import as_function
from etude.verify.inputs import generator
from etude.verify.observation import Observation, Refused, tensor_result

Words = Sequence[str]


def _ngrams(words: Words, n: int) -> "Counter[tuple[str, ...]]":
    return Counter(tuple(words[start : start + n]) for start in range(len(words) - n + 1))


def _clipped(found: "Counter[tuple[str, ...]]", right: "Counter[tuple[str, ...]]") -> int:
    return sum((found & right).values())


def _geometric(precisions: list[float]) -> float:
    return math.exp(sum(map(math.log, precisions)) / len(precisions)) if all(precisions) else 0.0


def _brevity(found: int, right: int) -> float:
    return math.exp(min(0.0, 1 - right / found)) if found else 0.0


def bleu(
    hypotheses: Sequence[Words | str],
    references: Sequence[Any],
    *,
    longest: int = 4,
    matches: Callable[[Any, Any], int] = _clipped,
    mean: Callable[[list[float]], float] = _geometric,
    brevity: Callable[[int, int], float] = _brevity,
    scored: Callable[[list[Any]], list[Any]] = lambda pairs: pairs,
    by_sentence: bool = False,
    exchanged: bool = False,
) -> float:
    """BLEU in [0, 1] of token lists against one reference each (or a list with one)."""
    pairs = [(_words(one), _words(other)) for one, other in zip(hypotheses, references, strict=True)]
    pairs = scored([pair[::-1] for pair in pairs] if exchanged else pairs)
    switches = {"longest": longest, "matches": matches, "mean": mean, "brevity": brevity}
    if by_sentence:
        return sum(_corpus([pair], **switches) for pair in pairs) / len(pairs)
    return _corpus(pairs, **switches)


def _words(sentence: Any) -> Words:
    if isinstance(sentence, str):
        return sentence.split()
    return sentence[0] if isinstance(sentence[0], list) else sentence


def _corpus(
    pairs: list[tuple[Words, Words]],
    longest: int,
    matches: Callable[[Any, Any], int],
    mean: Callable[[list[float]], float],
    brevity: Callable[[int, int], float],
) -> float:
    precisions = []
    for n in range(1, longest + 1):
        total = sum(max(0, len(found) - n + 1) for found, _ in pairs)
        precisions.append(sum(matches(_ngrams(f, n), _ngrams(r, n)) for f, r in pairs) / max(1, total))
    return mean(precisions) * brevity(sum(len(found) for found, _ in pairs), sum(len(right) for _, right in pairs))


def _observe(candidate: Any, case: Mapping[str, Any], seen: Observation | None) -> Observation:
    value = as_function(candidate)(*copy.deepcopy(list(case.values())))
    if isinstance(value, Tensor):
        value = tensor_result(value, shape=()).item()
    if isinstance(value, bool) or not isinstance(value, int | float | np.number) or abs(value) > 1e9:
        raise Refused(type(value).__name__, f"it returned {type(value).__name__}; expected BLEU, a number")
    percent = float(value) > 1.5  # 38.5 means 38.5 %
    return Observation({"result": torch.tensor(float(value) / (100 if percent else 1), dtype=torch.float64)})


def _cases(first: int) -> tuple[Case, ...]:
    """Three corpora of three sentences: shorter, longer and as long as their references, each with some 4-gram."""
    words = ["the", "a", "man", "dog", "red", "house", "runs", "sees", "old", "near"]
    cases = []
    for n, (dropped, added) in enumerate(((3, 0), (0, 3), (2, 2))):
        random = generator(first + n)
        sentences = []
        for length in (7, 9, 12):
            right = [words[index] for index in torch.randint(0, len(words), (length,), generator=random).tolist()]
            found = right[: length - dropped]
            found[-1:] = [right[0]] * (1 + added)  # said once too often
            sentences.append((found, right))
        order = torch.randperm(3, generator=random).tolist()
        found, right = zip(*(sentences[place] for place in order), strict=True)
        cases.append({"hypotheses": list(found), "references": list(right)})
    cases[0]["hypotheses"][1] = list(cases[0]["references"][1])  # one sentence is right, and so weighs more
    return tuple(cases)


def _listed(case: Case) -> Case:
    return {**case, "references": [[each] for each in case["references"]]}


def _strings(case: Case) -> Case:
    return {name: [" ".join(each) for each in sentences] for name, sentences in case.items()}


_BLEU = "min(1, e^(1 − r/c)) · (p₁ p₂ p₃ p₄)^¼"
_PENALTY = "min(1, e^(1 − r/c)), c words in all hypotheses, r in all references"
_CORPUS = "matches and totals of all sentences added up, then one division"


def _unclipped(found: Any, right: Any) -> int:
    return sum(count for each, count in found.items() if each in right)


CHECKS = (
    Check(
        name="bleu",
        call="bleu(hypotheses, references) → BLEU of the corpus up to 4-grams, in [0, 1] or percent, not smoothed; "
        "lists of token lists (or references in lists of one, or strings)",
        right=bleu,
        mistakes=(
            mistake("mean of the sentences' BLEU", "1/N Σ BLEU(sentence)", _CORPUS, by_sentence=True),
            mistake("only the first sentence is scored", "references transposed: zip stops after one",
                    "a reference for each hypothesis", scored=lambda pairs: pairs[:1]),
            mistake("no brevity penalty", "(p₁ p₂ p₃ p₄)^¼", _BLEU, brevity=lambda found, right: 1.0),
            mistake("brevity penalty not limited to 1", "e^(1 − r/c)", _PENALTY,
                    brevity=lambda found, right: math.exp(1 - right / max(1, found))),
            mistake("brevity penalty the wrong way round", "min(1, e^(1 − c/r))", _PENALTY,
                    brevity=lambda found, right: math.exp(min(0.0, 1 - found / max(1, right)))),
            mistake("brevity penalty is c/r", "min(1, c/r)", _PENALTY,
                    brevity=lambda found, right: min(1.0, found / max(1, right))),
            mistake("counts not clipped", "every n-gram that occurs in the reference",
                    "no more often than it occurs there", matches=_unclipped),
            mistake("arithmetic mean of the precisions", "(p₁ + p₂ + p₃ + p₄) / 4", "(p₁ p₂ p₃ p₄)^¼",
                    mean=lambda precisions: sum(precisions) / len(precisions)),
            mistake("root forgotten", "p₁ p₂ p₃ p₄", "(p₁ p₂ p₃ p₄)^¼", mean=math.prod),
            mistake("single words only", "p₁", "(p₁ p₂ p₃ p₄)^¼", longest=1),
            mistake("up to pairs of words", "(p₁ p₂)^½", "(p₁ p₂ p₃ p₄)^¼", longest=2),
            mistake("hypotheses and references exchanged", "recall, and a penalty for length", _BLEU, exchanged=True),
        ),
        conventions=(
            Convention("a list of references for each sentence", form=_listed),
            Convention("sentences are strings, split at spaces", form=_strings),
        ),
        seeded=_cases,
        observe=_observe,
        points=2,
    ),
)  # fmt: skip

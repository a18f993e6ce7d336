"""Decoding token by token: with the right words given (teacher forcing; Williams and Zipser 1989), and greedily."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from etude.verify.contract import Case, Check, Convention, mistake
from etude.verify.contracts.sequences.calling import as_function, takes
from etude.verify.contracts.sequences.properties import ALONE, FUTURE, same
from etude.verify.inputs import generator, normal
from etude.verify.observation import Observation, Refused, tensor_result
from etude.verify.sampling import fact

Step = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]
"""Tokens (batch,) and the state before them → logits (batch, vocabulary) of the next ones, and the new state."""
_VOCABULARY, _HIDDEN, _BOS, _EOS = 6, 4, 0, 1
_LONGEST = 9


def decode(
    step: Step,
    state: Tensor,
    targets: Tensor,
    teacher_forcing: float,
    *,
    forced: Callable[[float], bool] = lambda share: share > 0.5,
    given: int = 0,
    guess: Callable[[Tensor], Tensor] = lambda logits: logits.argmax(1),
    carried: bool = True,
    fed: str = "last",
    stacked: str = "batch first",
) -> Tensor:
    """Logits for targets[:, 1:], (batch, length − 1, vocabulary); each step is fed the last target or its own guess."""
    tokens, all_logits = targets[:, 0], []
    for t in range(1, targets.shape[1]):
        if forced(teacher_forcing) and t > 1 - given:
            tokens = targets[:, t - 1 + given]
        logits, new = step(tokens, state)
        state = new if carried else state
        tokens = guess(logits) if fed == "last" else targets[:, 0]
        all_logits.append(logits)
    if "zeros" in stacked:
        all_logits.insert(0, torch.zeros_like(all_logits[0]))
    return torch.stack(all_logits, 0 if "time first" in stacked else 1)


def greedy_decode(
    step: Step,
    state: Tensor,
    bos: int,
    eos: int,
    max_length: int,
    *,
    pick: Callable[[Tensor], Tensor] = lambda logits: logits.argmax(1),
    carried: bool = True,
    fed: str = "last",
    stops: Callable[[Tensor], Tensor] = torch.all,
    fewer: int = 0,
) -> Tensor:
    """The likeliest token at each step, (batch, up to max_length), until every sentence has said `eos`."""
    tokens = torch.full((len(state),), bos)
    ended, said = torch.zeros(len(state), dtype=torch.bool), [tokens]
    for _ in range(max_length - fewer):
        logits, new = step(tokens if fed == "last" else torch.full_like(tokens, bos), state)
        state = new if carried else state
        tokens = pick(logits).masked_fill(ended, eos)
        said.append(tokens)
        ended = ended | (tokens == eos)
        if stops(ended):
            break
    return torch.stack(said[1:], 1) if len(said) > 1 else torch.zeros(len(state), 0, dtype=torch.long)


# --- what a call shows ---


class _Decoder:
    """A small recurrent decoder with weights that the seed determines."""

    def __init__(self, seed: int) -> None:
        dtype = torch.get_default_dtype()
        shapes = (_VOCABULARY, _HIDDEN), (_HIDDEN, _HIDDEN), (_HIDDEN, _VOCABULARY)
        self.words, self.recurrent, self.readout = (normal(s, seed + n, 1.5).to(dtype) for n, s in enumerate(shapes))

    def __call__(self, tokens: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        if not isinstance(tokens, Tensor) or tokens.shape != state.shape[:1]:
            given = f"of shape {tuple(tokens.shape)}" if isinstance(tokens, Tensor) else f"as {type(tokens).__name__}"
            raise ValueError(f"step takes tokens of shape ({len(state)},) and got them {given}")
        state = torch.tanh(self.words[tokens] + state @ self.recurrent)  # (batch, hidden)
        logits = state @ self.readout
        logits[:, _BOS] = logits[:, 1:].mean(1)  # neither the likeliest nor the least likely
        return logits, state


def _start(case: Mapping[str, Any]) -> tuple[_Decoder, Tensor]:
    state = normal((case["sentences"], _HIDDEN), case["seed"] + 5).to(torch.get_default_dtype())
    return _Decoder(case["seed"]), state


def _observe_decode(candidate: Any, case: Mapping[str, Any], seen: Observation | None) -> Observation:
    """The logits with and without teacher forcing."""
    step, state = _start(case)
    sentences, length = len(state), case["length"]
    targets = torch.randint(2, _VOCABULARY, (sentences, length), generator=generator(case["seed"] + 6))
    targets[:, 0], targets[:, -1] = _BOS, _EOS
    function = as_function(candidate)

    def run(targets: Tensor, share: float) -> Tensor:
        result = function(step, state.clone(), targets.clone(), share)
        if isinstance(result, list | tuple) and result and all(isinstance(each, Tensor) for each in result):
            shapes = {each.shape for each in result}
            result = torch.stack(list(result), 1) if shapes == {(sentences, _VOCABULARY)} else result[0]
        return tensor_result(result).detach()

    with_it, without = run(targets, 1.0), run(targets, 0.0)
    half = length // 2
    later = targets.clone()
    later[:, half:] = later[:, half:] % (_VOCABULARY - 2) + 2
    changed = run(later, 1.0)
    time = int(with_it.ndim > 1 and with_it.shape[0] == sentences)
    unchanged = with_it.shape == changed.shape and with_it.ndim > time and with_it.shape[time] >= half
    return Observation(
        {
            FUTURE: fact(unchanged and same(changed.narrow(time, 0, half), with_it.narrow(time, 0, half))),
            "logits with teacher forcing": with_it,
            "logits without": without,
        }
    )


def _observe_greedy(candidate: Any, case: Mapping[str, Any], seen: Observation | None) -> Observation:
    """The words of each sentence before its end, whatever follows it."""
    step, state = _start(case)
    state = state if seen is None or seen.state is None else state[: seen.state]
    function = as_function(candidate)

    def run(state: Tensor) -> Tensor:
        return _sentences(function(step, state.clone(), _BOS, _EOS, _LONGEST), len(state))

    if seen is None and not takes(run, state) and takes(run, state[:1]):
        state = state[:1]  # it decodes one sentence only
    result = run(state)
    each = torch.cat([run(state[row : row + 1]) for row in range(len(state))])
    return Observation({ALONE: fact(torch.equal(each, result)), "result": result}, state=len(state))


def _sentences(result: Any, count: int) -> Tensor:
    """(count, longest + 1): the words before the end, then −1. `Refused` if it is not one row of tokens for each."""
    several = list(result) if isinstance(result, list | tuple) else [result]
    rows = [tensor_result(each).tolist() if isinstance(each, Tensor) else each for each in several]
    rows = rows[0] if isinstance(result, Tensor) and result.ndim else rows
    if count == 1 and all(isinstance(each, int) for each in rows):
        rows = [rows]
    if len(rows) != count or not all(isinstance(each, list | tuple) for each in rows):
        raise Refused("rows", f"it returned {len(rows)} rows; expected {count}, a list of tokens for each sentence")
    if not all(isinstance(token, int) and not isinstance(token, bool) for row in rows for token in row):
        raise Refused("tokens", "it returned something else than whole numbers; expected tokens")
    found = torch.full((count, _LONGEST + 1), -1)
    for number, row in enumerate(rows):
        words = list(row[1:] if row[:1] == [_BOS] else row)
        words = words[: words.index(_EOS)] if _EOS in words else words
        for place, word in enumerate(words[: _LONGEST + 1]):
            found[number, place] = min(max(word, -2), 2**31)
    return found


# --- inputs ---


def _decode_cases(first: int) -> tuple[Case, ...]:
    return tuple({"seed": first + 10 * n, "sentences": 2, "length": 4 + n} for n in range(3))


def _greedy_cases(first: int) -> tuple[Case, ...]:
    return tuple({"seed": first + 10 * n, "sentences": 4} for n in range(4))


_FED = "step t is fed targets[:, t − 1]"
_CARRIED = ("state not carried", "every step starts from the first state", "logits, state = step(tokens, state)")
_GUESS = "argmax of the logits"

CHECKS = (
    Check(
        name="decode",
        call="decode(step, state, targets, teacher_forcing) → logits for targets[:, 1:], (batch, length − 1, "
        "vocabulary); step(tokens (batch,), state) → logits (batch, vocabulary), state; teacher_forcing 1.0 or 0.0",
        right=decode,
        mistakes=(
            mistake("teacher forcing the wrong way round", "fed targets at 0.0, its own guesses at 1.0",
                    "fed targets at 1.0, its own guesses at 0.0", forced=lambda share: share < 0.5),
            mistake("teacher forcing left on", "fed targets at 0.0 too: evaluation is given the answers",
                    "fed its own guesses at 0.0", forced=lambda share: True),
            mistake("teacher forcing never on", "fed its own guesses at 1.0 too", "fed targets at 1.0",
                    forced=lambda share: False),
            mistake("fed the word that it is to say", "step t is fed targets[:, t]", _FED, given=1),
            mistake(*_CARRIED, carried=False),
            mistake("fed the start token at every step", "step(targets[:, 0], state)", _FED, fed="start",
                    forced=lambda share: False),
            mistake("its guesses never fed back", "fed the start token at 0.0", "fed argmax of the last logits at 0.0",
                    fed="start"),
            mistake("the least likely token fed back", "argmin of the logits", _GUESS,
                    guess=lambda logits: logits.argmin(1)),
        ),
        conventions=(
            Convention("(length − 1, batch, vocabulary): time first", {"stacked": "time first"}),
            Convention("(batch, length, vocabulary), the first step zeros", {"stacked": "zeros"}),
            Convention("(length, batch, vocabulary): time first, the first step zeros",
                       {"stacked": "time first, zeros"}),
        ),
        seeded=_decode_cases,
        observe=_observe_decode,
        points=2,
    ),
    Check(
        name="greedy_decode",
        call="greedy_decode(step, state, bos, eos, max_length) → tokens (batch, length) or lists; step(tokens "
        "(batch,), state) → logits (batch, vocabulary), state",
        right=greedy_decode,
        mistakes=(
            mistake(*_CARRIED, carried=False),
            mistake("fed the start token at every step", "step(bos, state)", "step(last token, state)", fed="start"),
            mistake("the least likely token", "argmin of the logits", _GUESS, pick=lambda logits: logits.argmin(1)),
            mistake("the second likeliest token", "topk(2)[1] of the logits", _GUESS,
                    pick=lambda logits: logits.topk(2, 1).indices[:, 1]),
            mistake("all stop with the first that ends", "stop if any sentence has said eos",
                    "stop if all have said eos", stops=torch.any),
            mistake("only one token", "return after the first step", "up to max_length tokens",
                    stops=lambda ended: True),
        ),
        conventions=(Convention("max_length counts the start token", {"fewer": 1}),),
        seeded=_greedy_cases,
        observe=_observe_greedy,
        points=2,
    ),
)  # fmt: skip

"""Truncated backpropagation through time (Williams and Peng 1990): chunks of a long text with a carried state."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from etude.verify.contract import Case, Check, Convention, mistake
from etude.verify.contracts.sequences.calling import as_function
from etude.verify.contracts.sequences.properties import same
from etude.verify.inputs import generator, normal
from etude.verify.observation import Observation, Refused, in_default_dtype, tensor_result
from etude.verify.sampling import fact

State = Tensor | tuple[Tensor, ...]
_VOCABULARY, _HIDDEN, _CHUNK = 5, 4, 3


def batchify(
    tokens: Tensor,
    batch_size: int,
    *,
    cut: Callable[[Tensor, int], Tensor] = lambda tokens, n: tokens[: len(tokens) // n * n],
    laid: Callable[[Tensor, int], Tensor] = lambda tokens, n: tokens.view(n, -1),
) -> Tensor:
    """A text (length,) as batch_size rows, each a piece of it in order; what does not fill a row is left out."""
    return laid(cut(tokens, batch_size), batch_size)


def _detached(state: State) -> State:
    return state.detach() if isinstance(state, Tensor) else tuple(each.detach() for each in state)


def _chunks(tokens: Tensor, chunk: int, overlap: int) -> list[tuple[Tensor, Tensor]]:
    """Inputs and targets of each chunk; with an overlap of 0 the target across each border is lost."""
    last = tokens.shape[1] - 1
    pieces = [tokens[:, start : start + chunk + overlap] for start in range(0, last, chunk)]
    return [(each[:, :-1], each[:, 1:]) for each in pieces if each.shape[1] > 1]


def _cross_entropy(logits: Tensor, targets: Tensor) -> Tensor:
    return F.cross_entropy(logits.flatten(0, 1), targets.flatten())


def train_tbptt(
    net: nn.Module,
    optimizer: torch.optim.Optimizer,
    tokens: Tensor,
    chunk: int,
    *,
    carried: bool = True,
    detach: str = "chunk",
    reset_gradients: bool = True,
    step_at: str = "chunk",
    overlap: int = 1,
    targets_are: Callable[[Tensor, Tensor], Tensor] = lambda inputs, targets: targets,
    loss_of: Callable[[Tensor, Tensor], Tensor] = _cross_entropy,
    remembers: bool = False,
) -> None:
    """One pass over tokens (batch, length): for each chunk a step on its mean loss, the state carried but detached."""
    state = getattr(net, "kept", None) if remembers else None
    total = torch.zeros(())
    for inputs, targets in _chunks(tokens, chunk, overlap):
        if state is not None and detach != "never":
            state = _detached(state)
        if reset_gradients and step_at == "chunk":
            optimizer.zero_grad()
        if detach == "step":
            logits = []
            for token in inputs.split(1, 1):
                each, state = net(token, None if state is None else _detached(state))
                logits.append(each)
            logits = torch.cat(logits, 1)
        else:
            logits, state = net(inputs, state if carried else None)
        loss = loss_of(logits, targets_are(inputs, targets))
        if step_at == "end":
            total = total + loss
        else:
            loss.backward()
            if step_at == "chunk":
                optimizer.step()
    if step_at == "end":
        optimizer.zero_grad()
        total.backward()
        optimizer.step()
    if remembers and state is not None:
        net.__dict__["kept"] = _detached(state)


def nats_per_token(
    net: nn.Module,
    tokens: Tensor,
    chunk: int,
    *,
    carried: bool = True,
    evaluating: bool = True,
    overlap: int = 1,
    whole_chunks_only: bool = False,
    mean: Callable[[Tensor, Tensor], Tensor] = lambda losses, counts: (losses * counts).sum() / counts.sum(),
    unit: Callable[[Tensor], Tensor] = lambda nats: nats,
    targets_are: Callable[[Tensor, Tensor], Tensor] = lambda inputs, targets: targets,
) -> float:
    """Mean cross-entropy of tokens[:, 1:] in nats, read chunk by chunk in eval mode with the state carried."""
    net.train(not evaluating)
    state, losses, counts = None, [], []
    with torch.no_grad():
        for inputs, targets in _chunks(tokens, chunk, overlap):
            if whole_chunks_only and inputs.shape[1] < chunk:
                continue
            logits, state = net(inputs, state if carried else None)
            losses.append(_cross_entropy(logits, targets_are(inputs, targets)))
            counts.append(torch.tensor(targets.numel()))
    return float(unit(mean(torch.stack(losses), torch.stack(counts))))


# --- what a call shows ---


class _Network(nn.Module):
    """A small recurrent language model that notes what it reads and from which state; in train mode it differs."""

    def __init__(self, seed: int, pair: bool, uniform: bool = False) -> None:
        super().__init__()
        shapes = (_VOCABULARY, _HIDDEN), (_HIDDEN, _HIDDEN), (_HIDDEN, _VOCABULARY)
        self.words, self.recurrent, self.readout = (nn.Parameter(torch.zeros(shape)) for shape in shapes)
        scales = 0.3, 1.0, 0.0 if uniform else 0.3  # gradients have a norm below 1: who clips them is right, too
        with torch.no_grad():
            for n, (parameter, scale) in enumerate(zip(self.parameters(), scales, strict=True)):
                parameter.copy_(normal(parameter.shape, seed + n, scale))
        self.pair = pair
        self.read: list[Tensor] = []
        self.given: list[tuple[Tensor, ...]] = []
        self.left: list[tuple[Tensor, ...]] = []

    def forward(self, tokens: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        if not isinstance(tokens, Tensor) or tokens.ndim != 2:
            raise ValueError("net takes tokens of shape (batch, steps)")
        zeros = torch.zeros(len(tokens), _HIDDEN)
        given = ((zeros, zeros) if self.pair else (zeros,)) if state is None else state
        given = (given,) if isinstance(given, Tensor) else tuple(given)
        self.read.append(tokens.detach().clone())
        self.given.append(given)
        h, hidden = given[0], []
        c = given[-1]
        for token in tokens.unbind(1):
            c = torch.tanh(self.words[token] + h @ self.recurrent + (0.5 * c if self.pair else 0.0))
            h = c.sin() if self.pair else c
            hidden.append(0.5 * h if self.training else h)  # what dropout is: another function in train mode
        left = (h, c) if self.pair else (h,)
        self.left.append(left)
        return torch.stack(hidden, 1) @ self.readout, left if self.pair else h


def _text(case: Mapping[str, Any]) -> Tensor:
    return torch.randint(0, _VOCABULARY, (2, case["length"]), generator=generator(case["seed"]))


def _observe_batchify(candidate: Any, case: Mapping[str, Any], seen: Observation | None) -> Observation:
    tokens, batch_size = in_default_dtype(case).values()
    return Observation({"result": tensor_result(as_function(candidate)(tokens, batch_size)).long()})


def _observe_training(candidate: Any, case: Mapping[str, Any], seen: Observation | None) -> Observation:
    """What the network reads in each of two passes, how states cross the borders of chunks, where the weights end."""
    net, tokens = _Network(case["seed"], case.get("pair", False)), _text(case)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.5)
    function = as_function(candidate)
    starts: list[int] = []
    for _ in range(2):
        starts.append(len(net.read))
        try:
            function(net, optimizer, tokens.clone(), _CHUNK)
        except Refused as error:
            if any(words in str(error) for words in ("second time", "inplace operation")):
                raise Refused("graph", f"{error}: is the state detached between chunks?") from None
            raise
    if len(net.read) == starts[1] or starts[1] == 0:
        raise Refused("not called", "it never calls net(tokens, state)")
    first_pass = net.read[: starts[1]]
    steps = torch.tensor([0, *(each.shape[1] for each in first_pass)]).cumsum(0).tolist()
    borders = [n for n in range(1, starts[1]) if steps[n] % _CHUNK == 0]
    inside = [n for n in range(1, starts[1]) if n not in borders]
    return Observation(
        {
            "the state is carried into the next chunk": fact(
                all(same(torch.cat(net.given[n]), torch.cat(net.left[n - 1])) for n in range(1, starts[1]))
            ),
            "the gradient across a chunk's border is 0": fact(
                not any(each.requires_grad for n in borders for each in net.given[n])
            ),
            "the gradient flows inside a chunk": fact(all(net.given[n][0].requires_grad for n in inside)),
            "each pass starts from a state of zeros": fact(
                not any(each.any() for n in starts for each in net.given[n])
            ),
            "tokens read": torch.cat(first_pass, 1),
            "weights": nn.utils.parameters_to_vector(net.parameters()).detach(),
        }
    )


def _observe_evaluation(candidate: Any, case: Mapping[str, Any], seen: Observation | None) -> Observation:
    tokens = _text(case)
    function = as_function(candidate)
    modes: list[bool] = []

    def run(chunk: int, uniform: bool = False) -> Tensor:
        net = _Network(case["seed"], case.get("pair", False), uniform).train()
        net.register_forward_hook(lambda *_: modes.append(net.training))
        value = function(net, tokens.clone(), chunk)
        if isinstance(value, Tensor):
            return tensor_result(value.detach(), shape=()).double()
        if isinstance(value, bool) or not isinstance(value, int | float | np.number) or abs(value) > 1e9:
            raise Refused(
                type(value).__name__, f"it returned {type(value).__name__}; expected nats per token, a number"
            )
        return torch.tensor(float(value), dtype=torch.float64)

    result, once = run(_CHUNK), run(case["length"])
    return Observation(
        {
            "chunks give the same as one long pass": fact(same(result, once)),
            "in eval mode": fact(not any(modes)),
            "nats per token of a uniform model (log V)": run(_CHUNK, uniform=True),
            "result": result,
        }
    )


# --- inputs ---


def _texts(*lengths: int) -> Callable[[int], tuple[Case, ...]]:
    return lambda first: tuple({"seed": first + 10 * n, "length": length} for n, length in enumerate(lengths))


def _pair(case: Case) -> Case:
    return {**case, "pair": True}


def _text_cases(first: int) -> tuple[Case, ...]:
    return tuple(
        {"tokens": torch.randint(0, 99, (length,), generator=generator(first + n)), "batch_size": batch_size}
        for n, (length, batch_size) in enumerate(((12, 3), (11, 2), (9, 4)))
    )


_ROWS = "tokens[: length // n · n].view(n, −1): each row a piece of the text"
_DETACH = "state.detach() before each chunk"
_STEP = "for each chunk: zero_grad, forward, backward, step"
_ALL = "inputs tokens[:, a : a + S], targets tokens[:, a + 1 : a + S + 1]"
_LOST = ("target across the border lost", "inputs and targets cut from the same S tokens: S − 1 targets", _ALL)
_UNSHIFTED = ("targets not shifted", "targets are the inputs", _ALL)
_RESET = ("state reset at every chunk", "net(inputs, None): nothing reaches further back than S", "net(inputs, state)")

_PAIR = Convention("the state is a pair, as of nn.LSTM", form=_pair)


def _unshifted(inputs: Tensor, targets: Tensor) -> Tensor:
    return inputs


CHECKS = (
    Check(
        name="batchify",
        call="batchify(tokens, batch_size) → (batch_size, length), each row a piece of the text (length,), the rest "
        "left out",
        right=batchify,
        mistakes=(
            mistake("columns interleaved", "view(−1, n): neighbours in a column are n words apart", _ROWS,
                    laid=lambda tokens, n: tokens.view(-1, n)),
            mistake("rows interleaved", "view(−1, n).t(): neighbours in a row are n words apart", _ROWS,
                    laid=lambda tokens, n: tokens.view(-1, n).t()),
            mistake("what does not fill a row is not left out", "tokens.view(n, −1) of any length", _ROWS,
                    cut=lambda tokens, n: tokens),
            mistake("one token of each row left out", "(length − 1) // n", _ROWS,
                    cut=lambda tokens, n: tokens[: (len(tokens) - 1) // n * n]),
        ),
        conventions=(Convention("(length, batch_size): a column is a piece of the text",
                                {"laid": lambda tokens, n: tokens.view(n, -1).t()}),),
        seeded=_text_cases,
        observe=_observe_batchify,
    ),
    Check(
        name="train_tbptt",
        call="train_tbptt(net, optimizer, tokens, chunk): one pass over tokens (batch, length), a step for each chunk "
        "on its mean cross-entropy, the state carried and detached; net(tokens, state or None) → logits, state",
        right=train_tbptt,
        mistakes=(
            mistake("no detach", "the second backward goes through the first chunk", _DETACH, detach="never"),
            mistake("detach at every step", "state.detach() before each token: no gradient through time", _DETACH,
                    detach="step"),
            mistake(*_RESET, carried=False),
            mistake("state not reset at the start of a pass", "the state of the last pass is kept",
                    "state = None first", remembers=True),
            mistake("one step after all chunks, without detach", "(Σ losses).backward(): nothing is truncated", _STEP,
                    detach="never", step_at="end"),
            mistake("one step after all chunks", "(Σ losses).backward(), one step", _STEP, step_at="end"),
            mistake("gradients not reset", "g ← g + ∂L", "g ← 0 + ∂L", reset_gradients=False),
            mistake("no optimizer step", "backward only", _STEP, step_at="never"),
            mistake("loss at the last step only", "cross-entropy of logits[:, −1]", "mean over all steps of the chunk",
                    loss_of=lambda logits, targets: F.cross_entropy(logits[:, -1], targets[:, -1])),
            mistake("sum over the tokens", "Σ over the tokens", "mean over the tokens",
                    loss_of=lambda logits, targets: _cross_entropy(logits, targets) * targets.numel()),
            mistake(*_UNSHIFTED, targets_are=_unshifted),
            mistake(*_LOST, overlap=0),
        ),
        seeded=_texts(3 * _CHUNK + 1, 2 * _CHUNK + 1),
        conventions=(_PAIR,),
        observe=_observe_training,
        points=3,
    ),
    Check(
        name="nats_per_token",
        call="nats_per_token(net, tokens, chunk) → mean cross-entropy of tokens[:, 1:], a number, in eval mode with "
        "the state carried from chunk to chunk; net(tokens, state or None) → logits, state",
        right=nats_per_token,
        mistakes=(
            mistake(*_RESET, carried=False),
            mistake("a short last chunk weighted as a whole one", "mean of the chunks' means", "Σ nats / Σ tokens",
                    mean=lambda losses, counts: losses.mean()),
            mistake("a short last chunk left out", "whole chunks only", "all of tokens[:, 1:]", whole_chunks_only=True),
            mistake("in train mode", "dropout is on", "net.eval()", evaluating=False),
            mistake("bits instead of nats", "Σ nats / log 2", "nats", unit=lambda nats: nats / torch.tensor(2.0).log()),
            mistake("perplexity", "e^nats", "nats", unit=torch.exp),
            mistake("sum over the tokens", "Σ nats", "Σ nats / Σ tokens",
                    mean=lambda losses, counts: losses @ counts.to(losses)),
            mistake(*_UNSHIFTED, targets_are=_unshifted),
            mistake(*_LOST, overlap=0),
        ),
        seeded=_texts(2 * _CHUNK + 2, 3 * _CHUNK),
        conventions=(_PAIR,),
        observe=_observe_evaluation,
        points=2,
    ),
)  # fmt: skip

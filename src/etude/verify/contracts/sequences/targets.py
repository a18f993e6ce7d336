"""What a sequence model is trained on: inputs and targets one step apart, and cross-entropy without the pads."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from etude.verify.contract import Case, Check, Convention, mistake
from etude.verify.contracts.sequences.calling import as_function, takes
from etude.verify.contracts.sequences.properties import PADS, same
from etude.verify.inputs import generator, normal
from etude.verify.observation import Observation, Refused, gradients, in_default_dtype, tensor_result, tracked
from etude.verify.sampling import fact

_VOCABULARY = 7


def inputs_and_targets(
    tokens: Tensor,
    *,
    inputs: Callable[[Tensor], Tensor] = lambda tokens: tokens[:, :-1],
    targets: Callable[[Tensor], Tensor] = lambda tokens: tokens[:, 1:],
) -> tuple[Tensor, Tensor]:
    """What a model reads and what it is to say, one step apart, (batch, length − 1) each, of (batch, length)."""
    return inputs(tokens), targets(tokens)


def _mean(losses: Tensor, real: Tensor) -> Tensor:
    return losses[real].mean()


def sequence_loss(
    logits: Tensor,
    targets: Tensor,
    pad_index: int,
    *,
    reduce: Callable[[Tensor, Tensor], Tensor] = _mean,
    scores: Callable[[Tensor], Tensor] = lambda logits: logits,
    fixed_pad: int | None = None,
    detached: bool = False,
) -> Tensor:
    """Cross-entropy, mean over the real tokens, of logits (batch, length, vocabulary) and targets (batch, length)."""
    losses = F.cross_entropy(scores(logits).flatten(0, -2), targets.flatten(), reduction="none").view_as(targets)
    loss = reduce(losses, targets != (pad_index if fixed_pad is None else fixed_pad))
    return loss.detach() if detached else loss


# --- what a call shows ---


def _observe_shift(candidate: Any, case: Mapping[str, Any], seen: Observation | None) -> Observation:
    (tokens,) = in_default_dtype(case).values()
    result = as_function(candidate)(tokens)
    if not isinstance(result, tuple | list) or len(result) != 2:
        raise Refused(type(result).__name__, f"it returned a {type(result).__name__}; expected inputs and targets")
    inputs, targets = (tensor_result(each, what) for each, what in zip(result, ("inputs", "targets"), strict=True))
    return Observation({"inputs": inputs.long(), "targets": targets.long()})


def _observe_loss(candidate: Any, case: Mapping[str, Any], seen: Observation | None) -> Observation:
    logits, targets, pad = in_default_dtype(case).values()
    function = as_function(candidate, pad)
    flat = _wants_flat(function) if seen is None else seen.state

    def run(logits: Tensor) -> Tensor:
        given = (logits.flatten(0, 1), targets.flatten()) if flat else (logits, targets.clone())
        return tensor_result(function(*given), shape=())

    loss = run(tracked(logits))
    other = run(logits.detach().masked_fill((targets == pad)[..., None], 5.0))
    return Observation(
        {
            PADS: fact(same(other.detach(), loss.detach())),
            "has a gradient": fact(loss.requires_grad),
            "loss of a uniform model (log V)": run(torch.zeros_like(logits)).detach(),
            "result": loss.detach(),
            "gradient of logits": gradients(loss, logits)[0],
        },
        state=flat,
    )


def _wants_flat(function: Callable[..., Any]) -> bool:
    """Whether it refuses logits (batch, length, vocabulary) but takes them flattened."""
    logits, targets = torch.zeros(2, 3, _VOCABULARY), torch.full((2, 3), _VOCABULARY - 1)
    return not takes(function, logits, targets) and takes(function, logits.flatten(0, 1), targets.flatten())


# --- inputs ---


def _token_cases(first: int) -> tuple[Case, ...]:
    return tuple(
        {"tokens": torch.randint(1, 99, shape, generator=generator(first + n))}
        for n, shape in enumerate(((1, 4), (2, 5), (4, 3)))
    )


def _loss_cases(first: int) -> tuple[Case, ...]:
    """As many words as steps in the last, so that a wrong axis fits."""
    cases = []
    for n, (length, pad) in enumerate(((4, 2), (3, 0), (_VOCABULARY, 1))):
        random = generator(first + n)
        targets = torch.randint(0, _VOCABULARY - 1, (3, length), generator=random)
        targets += (targets >= pad).long()  # real tokens are never the pad
        lengths = torch.tensor([1, length, length - 1])[torch.randperm(3, generator=random)]
        targets = targets.masked_fill(torch.arange(length) >= lengths[:, None], pad)
        cases.append({"logits": normal((3, length, _VOCABULARY), first + 50 + n), "targets": targets, "pad_index": pad})
    return tuple(cases)


def _stream(case: Case) -> Case:
    return {"tokens": case["tokens"].flatten()}


def _time_first(case: Case) -> Case:
    return {"tokens": case["tokens"].T.contiguous()}


def _turned(logits: Tensor) -> Tensor:
    """(batch, length, …) read as if it were (length, batch, …)."""
    return logits.transpose(0, 1).reshape_as(logits) if logits.ndim == 3 else logits


def _mean_of_means(losses: Tensor, real: Tensor) -> Tensor:
    return ((losses * real).sum(-1) / real.sum(-1)).mean()


_SHIFTED = "inputs tokens[:, :−1], targets tokens[:, 1:]"
_CE = "1/real tokens · Σ over real tokens of −log p(target)"
_FIRST_AXIS = {"inputs": lambda tokens: tokens[:-1], "targets": lambda tokens: tokens[1:]}

CHECKS = (
    Check(
        name="inputs_and_targets",
        call="inputs_and_targets(tokens) → tokens[:, :−1], tokens[:, 1:] of (batch, length)",
        right=inputs_and_targets,
        mistakes=(
            mistake("targets not shifted", "targets tokens[:, :−1]: the model copies its input", _SHIFTED,
                    targets=lambda tokens: tokens[:, :-1]),
            mistake("neither is cut: targets are the inputs", "inputs tokens, targets tokens", _SHIFTED,
                    inputs=lambda tokens: tokens, targets=lambda tokens: tokens),
            mistake("inputs and targets exchanged",
                    "inputs tokens[:, 1:], targets tokens[:, :−1]: the model says what came before", _SHIFTED,
                    inputs=lambda tokens: tokens[:, 1:], targets=lambda tokens: tokens[:, :-1]),
            mistake("end token never trained", "inputs tokens[:, :−2], targets tokens[:, 1:−1]", _SHIFTED,
                    inputs=lambda tokens: tokens[:, :-2], targets=lambda tokens: tokens[:, 1:-1]),
            mistake("shifted by two", "inputs tokens[:, :−2], targets tokens[:, 2:]", _SHIFTED,
                    inputs=lambda tokens: tokens[:, :-2], targets=lambda tokens: tokens[:, 2:]),
            mistake("last target is the first token", "targets tokens.roll(−1)", _SHIFTED,
                    inputs=lambda tokens: tokens, targets=lambda tokens: tokens.roll(-1, -1)),
        ),
        conventions=(
            Convention("for one stream (length,)", _FIRST_AXIS, _stream),
            Convention("tokens are (length, batch)", _FIRST_AXIS, _time_first),
        ),
        seeded=_token_cases,
        observe=_observe_shift,
    ),
    Check(
        name="sequence_loss",
        call="sequence_loss(logits, targets, pad_index) → cross-entropy, mean over real tokens; logits (batch, length, "
        "vocabulary) and targets (batch, length), or both flattened; or a class "
        "SequenceLoss(pad_index)(logits, targets)",
        right=sequence_loss,
        mistakes=(
            mistake("pads in the loss", "mean over all positions", _CE, reduce=lambda losses, real: losses.mean()),
            mistake("divided by all positions", "Σ over real tokens / (batch · length)", _CE,
                    reduce=lambda losses, real: losses[real].sum() / real.numel()),
            mistake("sum over the tokens", "Σ over real tokens", _CE, reduce=lambda losses, real: losses[real].sum()),
            mistake("divided by the sentences", "Σ over real tokens / batch", _CE,
                    reduce=lambda losses, real: losses[real].sum() / len(real)),
            mistake("mean of the sentences' means", "a short sentence weighs as much as a long one", _CE,
                    reduce=_mean_of_means),
            mistake("softmax before cross-entropy", "cross_entropy(softmax(logits)): softmax twice",
                    "cross_entropy(logits)", scores=lambda logits: logits.softmax(-1)),
            mistake("logits in another order than targets", "logits.transpose(0, 1).reshape(−1, V) beside "
                    "targets.reshape(−1)", "both flattened in one order", scores=_turned),
            mistake("pad_index hard-coded to 0", "targets ≠ 0", "targets ≠ pad_index", fixed_pad=0),
            mistake("sign", "mean of log p(target)", _CE, reduce=lambda losses, real: -losses[real].mean()),
            mistake("not reduced", "one number per token", "one number", reduce=lambda losses, real: losses * real),
            mistake("cut off from the gradient", "loss.detach() or loss.item()", "the loss keeps its graph",
                    detached=True),
        ),
        seeded=_loss_cases,
        observe=_observe_loss,
        points=2,
    ),
)  # fmt: skip

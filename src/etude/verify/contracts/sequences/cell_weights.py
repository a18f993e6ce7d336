"""The weights of a learner's recurrent cell as PyTorch stacks them, however its class keeps them."""

from collections.abc import Callable, Iterator
from itertools import permutations

import torch
from torch import Tensor, nn

from etude.verify.observation import Refused, one_line

Weights = list[Tensor]
"""w_ih (gates · hidden, inputs), w_hh (gates · hidden, hidden), b_ih and b_hh (gates · hidden,)."""


def stacked(module: nn.Module, gates: int, inputs: int, hidden: int, state_first: Callable[[], bool]) -> Weights:
    """Weights that a class keeps stacked or per gate, transposed or joined for [x, h] or [h, x]; `Refused` if others.

    `inputs` and `hidden` differ, so that shapes tell what a matrix multiplies. `state_first` says whether joined
    matrices multiply [h, x].
    """
    matrices = [each for each in module.parameters() if _is_matrix(each)]
    turned = any(each.shape[0] in (inputs, inputs + hidden) and each.shape[1] % hidden == 0 for each in matrices)
    rows: dict[str, list[Tensor]] = {"ih": [], "hh": []}
    biases: dict[str, list[Tensor]] = {"ih": [], "hh": []}
    for owner in module.modules():
        own = [each.detach().clone() for each in owner.parameters(recurse=False)]
        kinds: list[str] = []
        for matrix in filter(_is_matrix, own):
            parts = _split(matrix.T if turned else matrix, inputs, hidden, state_first)
            kinds.append("hh" if list(parts) == ["hh"] else "ih")
            for kind, part in parts.items():
                rows[kind].append(part)
        vectors = [each.flatten() for each in own if not _is_matrix(each)]
        kinds = kinds if len(kinds) == len(vectors) else ["ih"] * len(vectors)  # one bias for both
        for kind, vector in zip(kinds, vectors, strict=True):
            biases[kind].append(vector)
    size = gates * hidden
    w_ih, w_hh = _joined(rows["ih"], (size, inputs)), _joined(rows["hh"], (size, hidden))
    b_ih, b_hh = (_joined(biases[kind], (size,)) for kind in ("ih", "hh"))
    if not rows["ih"] or not rows["hh"] or {len(each) for each in (w_ih, w_hh, b_ih, b_hh)} != {size}:
        shapes = one_line(str([tuple(each.shape) for each in module.parameters()]))
        raise Refused(
            "weights",
            f"its weights have shapes {shapes}; expected ({hidden}, {inputs}), ({hidden}, {hidden}) and biases "
            f"({hidden},) for each of {gates}, stacked or apart",
        )
    return [w_ih, w_hh, b_ih, b_hh]


def _split(matrix: Tensor, inputs: int, hidden: int, state_first: Callable[[], bool]) -> dict[str, Tensor]:
    """What of it multiplies the input and what the state."""
    if matrix.shape[1] != inputs + hidden:
        return {"hh" if matrix.shape[1] == hidden else "ih": matrix}
    if state_first():
        return {"hh": matrix[:, :hidden], "ih": matrix[:, hidden:]}
    return {"ih": matrix[:, :inputs], "hh": matrix[:, inputs:]}


def _joined(parts: list[Tensor], shape: tuple[int, ...]) -> Tensor:
    """Zeros if there are none; what does not fit together has no rows."""
    if not parts:
        return torch.zeros(shape)
    return torch.cat(parts) if all(each.shape[1:] == shape[1:] for each in parts) else torch.zeros(0, *shape[1:])


def _is_matrix(parameter: Tensor) -> bool:
    return parameter.ndim == 2 and min(parameter.shape) > 1


def arrangements(weights: Weights, gates: int, may_turn: bool) -> Iterator[Weights]:
    """The same weights with their gates in every order; with `may_turn` also with one gate's sign turned.

    A class's gates have no order but its own. Where σ(−a) = 1 − σ(a), turned weights make z of 1 − z: a class that
    learns its own weights may take either.
    """
    for order in permutations(range(gates)):
        ordered = [torch.cat([each.chunk(gates)[gate] for gate in order]) for each in weights]
        yield ordered
        for turned in range(gates) if may_turn else ():
            signs = torch.ones(gates).index_fill(0, torch.tensor(turned), -1.0)
            yield [
                each * signs.repeat_interleave(len(each) // gates).view(-1, *[1] * (each.ndim - 1)) for each in ordered
            ]

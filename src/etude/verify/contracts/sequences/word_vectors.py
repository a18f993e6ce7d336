"""Word vectors: a table with one row per word, and a row of zeros for the pad."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from etude.verify.contract import Case, Check, mistake
from etude.verify.contracts.sequences.calling import is_class
from etude.verify.inputs import generator, normal
from etude.verify.networks import build
from etude.verify.observation import Observation, Refused, call, gradients, in_default_dtype, tensor_result
from etude.verify.sampling import fact


class Embedding(nn.Module):
    """Row `indices` of a table: (*indices.shape, dim); the padding row is zero and does not learn."""

    def __init__(
        self,
        num_embeddings: int,
        dim: int,
        padding_idx: int,
        *,
        fixed_padding: int | None = None,
        zero: bool = True,
        learns: bool = False,
        row: Callable[[Tensor, Tensor], Tensor] = lambda table, indices: table[indices],
    ) -> None:
        super().__init__()
        self.padding = padding_idx if fixed_padding is None else fixed_padding
        self.weight = nn.Parameter(torch.randn(num_embeddings, dim))
        self.learns, self.row = learns, row
        if zero:
            with torch.no_grad():
                self.weight[self.padding] = 0.0

    def forward(self, indices: Tensor) -> Tensor:
        rows = self.row(self.weight, indices)
        if self.learns:
            return rows
        is_pad = torch.arange(len(self.weight))[:, None] == self.padding
        return self.row(torch.where(is_pad, self.weight.detach(), self.weight), indices)


def _observe_embedding(candidate: Any, case: Mapping[str, Any], seen: Observation | None) -> Observation:
    """The rows looked up, and what the table learns; a class's table is found by its shape and given the numbers."""
    indices, weight, padding = in_default_dtype(case).values()
    if is_class(candidate):
        module = build(candidate, *weight.shape, padding, name="the class")
        shapes = tuple(weight.shape), tuple(weight.T.shape)
        table = next((each for each in module.parameters() if tuple(each.shape) in shapes), None)
        if table is None:
            raise Refused("weights", f"it has no parameter of shape {tuple(weight.shape)}, the table")
        turned = tuple(table.shape) != tuple(weight.shape)
        zero = fact((table.detach().select(int(turned), padding) == 0).all())
        with torch.no_grad():
            table.copy_(weight.T if turned else weight)
        result = tensor_result(call(module, indices, name="its forward"), "its forward")
        if not table.requires_grad:
            raise Refused("no gradient", "its table does not require a gradient; expected an nn.Parameter")
        (gradient,) = gradients((result + 1) ** 2, table)
        gradient = gradient.T if turned else gradient
    else:
        weight = weight.requires_grad_()
        result, zero = tensor_result(call(candidate, indices, weight.clone(), padding)), fact(True)
        (gradient,) = gradients((result + 1) ** 2, weight)
    return Observation(
        {"the padding row starts at 0": zero, "result": result.detach(), "gradient of the table": gradient}
    )


def _table(seed: int, dim: int) -> Case:
    padding = int(torch.randint(1, 5, (), generator=generator(seed)))
    weight = normal((5, dim), seed + 1)
    weight[padding] = 0.0
    return {"indices": torch.tensor([[0, padding, 1], [padding, 4, 0]]), "weight": weight, "padding_idx": padding}


CHECKS = (
    Check(
        name="embedding",
        call="embedding(indices, weight, padding_idx) → (*indices.shape, dim); or a class "
        "Embedding(num_embeddings, dim, padding_idx)(indices); the padding row is 0 and does not learn",
        right=Embedding,
        mistakes=(
            mistake("padding row not zero", "N(0, 1) in every row", "0 in row padding_idx", zero=False),
            mistake("padding row learns", "a gradient in row padding_idx", "no gradient in row padding_idx",
                    learns=True),
            mistake("padding_idx hard-coded to 0", "word 0 does not learn", "the padding row does not learn",
                    fixed_padding=0),
            mistake("table transposed", "weight[:, i]", "weight[i]", row=lambda table, i: table.T[i]),
            mistake("indices counted from 1", "weight[i − 1]", "weight[i]", row=lambda table, i: table[i - 1]),
            mistake("index shape lost", "(n, dim)", "(*indices.shape, dim)", row=lambda table, i: table[i.flatten()]),
            mistake("dim first", "(dim, *indices.shape)", "(*indices.shape, dim)",
                    row=lambda table, i: table[i].movedim(-1, 0)),
            mistake("tokens averaged", "mean over the tokens", "one row per token",
                    row=lambda table, i: table[i].mean(1)),
        ),
        seeded=lambda first: tuple(_table(first + n, dim) for n, dim in ((1, 6), (11, 3), (21, 4))),
        observe=_observe_embedding,
    ),
)  # fmt: skip

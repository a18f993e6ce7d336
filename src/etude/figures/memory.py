"""How far back a language model looks: gradients of the loss by lag, as training cuts them and uncut."""

import torch
from matplotlib.figure import Figure
from torch import Tensor, nn

from etude.drawing.lags import gradients_by_lag
from etude.errors import UsageError
from etude.families.abilities import Predicts
from etude.figures.material import Material
from etude.inspection.sequences.lookups import Lookup, Lookups

NUM_CHUNKS, MOST_SYMBOLS, MOST_TEXTS = 4, 1_000, 64


def memory(material: Material) -> Figure:
    """The gradient of the loss at the last symbol of a chunk with respect to the symbols before it, against their lag.

    It is taken of pieces of the test text. What is 0 is not drawn.
    """
    run, test = material.run, material.dataset.test
    trained: Predicts = run.trained  # pyright: ignore[reportAssignmentType]  (the figure needs the ability)
    chunk = trained.chunk
    length = chunk * max(1, min(NUM_CHUNKS, MOST_SYMBOLS // chunk, len(test) // chunk))
    if len(test) < length:
        raise UsageError(f"figure 'memory' needs a chunk of {chunk} symbols, and the test text has {len(test)}.")
    # The last symbols of the pieces are spread over the text; where it asks something, they are those that ask.
    ends = test.columns.get("answers", torch.ones(len(test), dtype=torch.bool)).nonzero()[:, 0]
    ends = ends[ends >= length - 1]
    ends = ends[torch.linspace(0, len(ends) - 1, min(MOST_TEXTS, len(ends))).long()]
    symbols = test["symbols"][ends[:, None] + torch.arange(1 - length, 1)]  # (texts, length)
    curves = {
        name: by_lag(run.model, trained, symbols, test["targets"][ends], cut=cut)
        for name, cut in (("not cut", False), ("as training cuts it", True))
    }
    return gradients_by_lag(curves, title=material.title("Gradient of the loss by lag"))


def by_lag(network: nn.Module, trained: Predicts, symbols: Tensor, targets: Tensor, *, cut: bool) -> list[float]:
    """Root mean square over texts of the norm of the gradient, by lag; symbols (N, T), targets (N,)."""
    looked_up: list[tuple[Tensor, Tensor]] = []

    def watch(lookup: Lookup, rows: Tensor) -> Tensor:
        leaf = rows.detach().requires_grad_()
        looked_up.append((leaf, lookup.places))
        return leaf

    with torch.enable_grad(), Lookups(network, [symbols], watch):
        loss = trained.last_nats(symbols, targets, cut=cut).sum()
    gradients = torch.autograd.grad(loss, [leaf for leaf, _ in looked_up], allow_unused=True)
    squares = torch.zeros(symbols.shape)
    for gradient, (_, places) in zip(gradients, looked_up, strict=True):
        if gradient is not None:
            squares.view(-1).index_add_(0, places.flatten(), gradient.square().flatten(places.dim()).sum(-1).flatten())
    return squares.mean(dim=0).sqrt().flip(0).tolist()

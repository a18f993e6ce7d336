"""Every class of operation against a count by hand, forward and backward, and against PyTorch's own counter."""

from collections.abc import Callable
from math import prod

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from etude.inspection.inspecting import inspect
from etude.inspection.trace.flops import Cost, cost
from etude.inspection.trace.tracing import trace
from etude.models import recurrent
from etude.models.recurrent import Recurrent
from inspection.architectures import ARCHITECTURES


class Pair(nn.Module):
    """A module of two inputs, given one and a part of it repeated."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, x: Tensor) -> Tensor:
        return self.module(x, torch.ones(len(x), 5))


class Apply(nn.Module):
    """A parameter of the given shape, and a function of it and the input: both gradients are needed."""

    def __init__(self, function: Callable[..., Tensor], *shape: int) -> None:
        super().__init__()
        self.function, self.weight = function, nn.Parameter(torch.rand(shape) + 0.5)

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x, self.weight)


def unary(function: Callable[[Tensor], Tensor], *shape: int) -> tuple[nn.Module, tuple[int, ...]]:
    """The function of a parameter alone."""
    return Apply(lambda x, w: function(w), *shape), (1,)


N = 2 * 3 * 8 * 8
# name: (module, input shape, MACs, FLOPs, backward FLOPs)
BY_HAND: dict[str, tuple[nn.Module, tuple[int, ...], int, int, int]] = {
    # Linear: n·in·out MACs; backward: weight gradient the same, input gradient only behind a parameter, bias a sum.
    "linear": (nn.Linear(5, 7), (3, 5), 3 * 5 * 7, 2 * 3 * 5 * 7, 2 * 3 * 5 * 7 + 3 * 7),
    "linear without bias": (nn.Linear(5, 7, bias=False), (3, 5), 105, 210, 210),
    "linear on a sequence": (nn.Linear(5, 7), (3, 4, 5), 4 * 105, 8 * 105, 8 * 105 + 4 * 21),
    "two linear": (
        nn.Sequential(nn.Linear(5, 7, bias=False), nn.Linear(7, 2, bias=False)), (3, 5),
        3 * 35 + 3 * 14, 2 * (3 * 35 + 3 * 14), 2 * (3 * 35 + 2 * 3 * 14),
    ),
    # Convolution: outputs · in/groups · taps.
    "conv": (nn.Conv2d(3, 4, 5, padding=2, bias=False), (2, 3, 8, 8), 512 * 75, 1024 * 75, 1024 * 75),
    "conv with bias": (nn.Conv2d(3, 4, 5), (1, 3, 8, 8), 4 * 16 * 75, 8 * 16 * 75, 8 * 16 * 75 + 4 * 16),
    "strided conv": (nn.Conv2d(3, 4, 3, 2, 1, bias=False), (1, 3, 8, 8), 4 * 16 * 27, 8 * 16 * 27, 8 * 16 * 27),
    "grouped conv": (nn.Conv2d(4, 8, 3, groups=2, bias=False), (1, 4, 5, 5), 8 * 9 * 18, 16 * 9 * 18, 16 * 9 * 18),
    "dilated conv": (nn.Conv2d(1, 1, 3, dilation=2, bias=False), (1, 1, 8, 8), 16 * 9, 32 * 9, 32 * 9),
    "two convs": (
        nn.Sequential(nn.Conv2d(1, 2, 3, bias=False), nn.Conv2d(2, 1, 3, bias=False)), (1, 1, 8, 8),
        2 * 36 * 9 + 16 * 18, 2 * (2 * 36 * 9 + 16 * 18), 2 * (2 * 36 * 9 + 2 * 16 * 18),
    ),
    "conv1d": (nn.Conv1d(2, 3, 3, bias=False), (1, 2, 10), 3 * 8 * 6, 6 * 8 * 6, 6 * 8 * 6),
    "conv3d": (nn.Conv3d(2, 3, 2, bias=False), (1, 2, 4, 4, 4), 3 * 27 * 16, 6 * 27 * 16, 6 * 27 * 16),
    # Transposed convolution: every input element meets out channels · taps, also where the result is cropped.
    "transposed conv": (
        nn.ConvTranspose2d(3, 4, 4, 2, 1, bias=False), (1, 3, 5, 5), 75 * 4 * 16, 150 * 4 * 16, 150 * 4 * 16
    ),
    "matmul": (Apply(lambda x, w: x @ w, 4, 6), (2, 3, 4), 2 * 3 * 4 * 6, 4 * 3 * 4 * 6, 4 * 3 * 4 * 6),
    "batched matmul": (Apply(torch.bmm, 2, 4, 6), (2, 3, 4), 144, 288, 288),
    "einsum": (Apply(lambda x, w: torch.einsum("bij,jk->bik", x, w), 4, 6), (2, 3, 4), 144, 288, 288),
    "vector": (Apply(lambda x, w: x @ w, 4), (3, 4), 12, 24, 24),
    # Elementwise: 1 per element; the gradient by its formula.
    "add": (Apply(lambda x, w: x + w, 2, 3, 8, 8), (2, 3, 8, 8), 0, N, 0),
    "add, broadcast": (Apply(lambda x, w: x + w, 8), (2, 3, 8, 8), 0, N, N),
    "multiply": (Apply(lambda x, w: x * w, 2, 3, 8, 8), (2, 3, 8, 8), 0, N, N),
    "scaled add": (Apply(lambda x, w: torch.add(x, w, alpha=3), 2, 3, 8, 8), (2, 3, 8, 8), 0, 2 * N, N),
    "relu": (*unary(F.relu, 2, 3, 8, 8), 0, N, N),
    "leaky relu": (*unary(F.leaky_relu, 2, 3, 8, 8), 0, N, N),
    "sigmoid": (*unary(torch.sigmoid, 2, 3, 8, 8), 0, N, 3 * N),
    "tanh": (*unary(torch.tanh, 2, 3, 8, 8), 0, N, 3 * N),
    "gelu": (*unary(F.gelu, 2, 3, 8, 8), 0, N, 2 * N),
    "silu": (*unary(F.silu, 2, 3, 8, 8), 0, N, 2 * N),
    "exp": (*unary(torch.exp, 2, 3, 8, 8), 0, N, N),
    "softmax": (*unary(lambda w: F.softmax(w, -1), 2, 3, 8, 8), 0, 5 * N, 4 * N),
    "log softmax": (*unary(lambda w: F.log_softmax(w, -1), 2, 3, 8, 8), 0, 5 * N, 4 * N),
    # Reductions: 1 per input element; the gradient of a sum is a view, of a mean a quotient.
    "sum": (*unary(lambda w: w.sum(), 2, 3, 8, 8), 0, N, 0),
    "mean": (*unary(lambda w: w.mean((2, 3)), 2, 3, 8, 8), 0, N, N),
    # Pooling: one comparison per further tap; a sum per tap and a quotient.
    "max-pool": (*unary(lambda w: F.max_pool2d(w, 2), 2, 3, 8, 8), 0, 3 * N // 4, N // 4),
    "overlapping max-pool": (*unary(lambda w: F.max_pool2d(w, 3, 1, 1), 2, 3, 8, 8), 0, 8 * N, N),
    "avg-pool": (*unary(lambda w: F.avg_pool2d(w, 2), 2, 3, 8, 8), 0, N, N // 4 * 5),
    "adaptive avg-pool": (*unary(lambda w: F.adaptive_avg_pool2d(w, 4), 2, 3, 8, 8), 0, N, N // 4 + N),
    "global avg-pool": (*unary(lambda w: F.adaptive_avg_pool2d(w, 1), 2, 3, 8, 8), 0, N, N),
    # Normalisation: 2 per element with given statistics, 8 with its own; backward 5 + 1.
    "batch-norm": (nn.BatchNorm2d(3), (2, 3, 8, 8), 0, 2 * N, 5 * N),
    "batch-norm in the middle": (nn.Sequential(nn.Conv2d(3, 3, 1, bias=False), nn.BatchNorm2d(3)), (2, 3, 8, 8),
                                 3 * N, 2 * 3 * N + 2 * N, 2 * 3 * N + 6 * N),
    "layer norm": (nn.LayerNorm(8), (2, 3, 8, 8), 0, 8 * N, 13 * N),
    "group norm": (nn.GroupNorm(1, 3), (2, 3, 8, 8), 0, 8 * N, 13 * N),
    # Data movement is free.
    "glu": (*unary(lambda w: F.glu(w, 1), 2, 4, 8, 8), 0, 2 * 256, 2 * 512),
    "norm": (*unary(lambda w: w.norm(), 2, 3, 8, 8), 0, 2 * N, 2 * N),
    "flatten, permute, cat": (
        Apply(lambda x, w: torch.cat([x.flatten(1), w.permute(1, 0).reshape(1, -1)], 1), 2, 3), (1, 2, 3), 0, 0, 0
    ),
    "nearest": (*unary(lambda w: F.interpolate(w, scale_factor=2.0), 2, 3, 8, 8), 0, 0, 4 * N),
    "bilinear": (*unary(lambda w: F.interpolate(w, scale_factor=2.0, mode="bilinear"), 2, 3, 8, 8), 0, 28 * N, 32 * N),
    "embedding": (nn.Sequential(nn.Embedding(9, 4)), (-1, 6), 0, 0, 6 * 4),
    "embedding bag": (nn.EmbeddingBag(9, 4, mode="sum"), (-1, 6), 0, 6 * 4, 6 * 4),
    # the weight's norm (square, sum) and scale 3 · 12; back 5 · 12
    "weight norm": (nn.utils.parametrizations.weight_norm(nn.Linear(4, 3, bias=False)), (2, 4), 24, 48 + 36, 48 + 60),
    "transposed conv, groups": (
        nn.ConvTranspose2d(4, 6, 3, 2, groups=2, bias=False), (1, 4, 5, 5), 4 * 25 * 3 * 9, 2 * 2700, 2 * 2700
    ),
    "dropout at rest": (nn.Sequential(nn.Linear(4, 4, bias=False), nn.Dropout(0.5)), (1, 4), 16, 32, 32),
    "where": (Apply(lambda x, w: torch.where(x > 0.5, w, x), 4), (3, 4), 0, 0, 12),  # the gradient is summed over rows
    # x1ᵀ A x2 for each output: 2 products and a sum for each weight, as 2 FLOPs per MAC
    "bilinear product": (Pair(nn.Bilinear(4, 5, 3, bias=False)), (2, 4), 2 * 3 * 4 * 5, 2 * 2 * 3 * 4 * 5, -1),
    "transform": (Apply(lambda x, w: torch.fft.fft(torch.complex(x * w, x)).abs(), 1), (1, 8), 0, 136, -1),
    "real transform": (Apply(lambda x, w: torch.fft.rfft(x * w).abs(), 1), (1, 8), 0, 8 + 5 * 8 * 3 // 2 + 5, -1),
    "sampled": (Apply(lambda x, w: F.grid_sample(x, w, align_corners=True), 1, 4, 4, 2), (1, 3, 8, 8), 0, 7 * 48, -1),
    "distances": (Apply(torch.cdist, 5, 4), (3, 4), 0, 3 * 15 * 4, -1),
    "sparse product": (Apply(lambda x, w: torch.sparse.mm(x.to_sparse(), w), 5, 4), (1, 5), 5 * 4, 40, -1),
    "scaled product": (Apply(lambda x, w: torch.baddbmm(x, w, w), 2, 3, 3), (2, 3, 3), 54, 108, -1),
    "sum of products": (Apply(lambda x, w: torch.addbmm(x, w, w), 2, 3, 3), (3, 3), 54, 108, -1),
    # Attention, one head, width 4, length 3: in 3·3·4·4, scores and mixture 2·3·3·4, out 3·4·4.
    "attention": (
        Apply(lambda x, w: F.scaled_dot_product_attention(x * w, x, x, scale=1.0), 1), (1, 1, 3, 4), 2 * 9 * 4,
        # x·w 12; 2 FLOPs per MAC; two scalings by 1 (query, key) 12 each; softmax 5 · 9
        12 + 4 * 9 * 4 + 24 + 45,
        # products: gradients of scores and of query; softmax 4 · 9; scaling 12; product with x 12 and its sum 12
        2 * 2 * 9 * 4 + 36 + 12 + 12 + 12,
    ),
    # LSTM: per step 4·hidden·(in + hidden) MACs; 5 steps.
    "lstm": (nn.LSTM(3, 4, bias=False), (5, 1, 3), 5 * 16 * 7, -1, -1),
    "gru": (nn.GRU(3, 4, bias=False), (5, 1, 3), 5 * 12 * 7, -1, -1),
    "rnn": (nn.RNN(3, 4, bias=False), (5, 1, 3), 5 * 4 * 7, 2 * 5 * 4 * 7 + 5 * 4 * 2, -1),
}  # fmt: skip


def example(shape: tuple[int, ...]) -> Tensor:
    return torch.zeros(1, shape[1], dtype=torch.long) if shape[0] < 0 else torch.rand(shape)


@pytest.mark.parametrize("name", BY_HAND)
def test_counts_equal_those_by_hand(name: str) -> None:
    module, shape, macs, flops, backward = BY_HAND[name]
    found = inspect(module, example(shape))
    assert found.uncounted == []
    assert found.cost.macs == macs
    assert flops < 0 or found.cost.flops == flops
    assert found.backward
    assert backward < 0 or found.backward.flops == backward


@pytest.mark.parametrize("name", [name for name in ARCHITECTURES if name not in ("vae", "lstm", "gru both ways")])
def test_products_equal_pytorchs_own_count(name: str) -> None:
    build = ARCHITECTURES[name]
    module, shape, keywords = build()
    module.eval()
    x = torch.rand(shape)
    found = inspect(module, x, **keywords)
    with torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH):
        with FlopCounterMode(display=False) as forward:
            out = module(x, **keywords)
        out = out[0] if isinstance(out, tuple) else out
        assert 2 * found.cost.macs == forward.get_total_flops()
        wanted = list(module.parameters())
        grouped = any(
            getattr(part, "groups", 1) > 1 for part in module.modules()
        )  # PyTorch counts their weights' gradient
        if wanted and not grouped:  # as if there were no groups; the counts by hand above cover them
            with FlopCounterMode(display=False) as backward:
                torch.autograd.grad(out.sum(), wanted, allow_unused=True)
            assert found.backward
            assert 2 * found.backward.macs == backward.get_total_flops()


def test_frozen_layers_need_no_weight_gradient() -> None:
    module = nn.Sequential(nn.Linear(5, 7, bias=False), nn.Linear(7, 2, bias=False))
    module[0].requires_grad_(False)
    found = inspect(module, torch.rand(3, 5))
    assert found.backward == Cost(3 * 14, 2 * 3 * 14)
    assert found.trainable_parameters == 14


def test_what_is_not_in_the_table_is_marked_and_never_guessed() -> None:
    found = inspect(
        nn.Sequential(nn.Linear(3, 3), Apply(lambda x, w: torch.linalg.matrix_exp(x * w), 1)), torch.rand(3, 3)
    )
    last = found.layers[-1]
    assert last.cost is None
    assert "linalg_matrix_exp" in found.uncounted
    assert found.cost.macs == 27
    assert any(text.startswith("not counted: ") and text.endswith("are lower bounds.") for text in found.findings)


CAUSAL = torch.ones(6, 6).tril().bool()


@pytest.mark.parametrize("options", [{}, {"is_causal": True}, {"attn_mask": CAUSAL}, {"attn_mask": CAUSAL.float()}])
def test_attention_keeps_its_products_whatever_its_mask(options: dict[str, object]) -> None:
    q = torch.rand(1, 2, 6, 4)
    found = inspect(Apply(lambda x, w: F.scaled_dot_product_attention(x * w, x, x, **options), 1), q)  # type: ignore[arg-type]
    assert found.cost.macs == 2 * 2 * 6 * 6 * 4
    assert found.uncounted == []


def test_known_costs_of_a_layer_stand_beside_what_is_missing() -> None:
    class Half(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = nn.Linear(3, 3)

        def forward(self, x: Tensor) -> Tensor:
            return F.multi_head_attention_forward(  # one row with many operations
                x,
                x,
                x,
                3,
                1,
                torch.eye(9, 3),
                None,
                None,
                None,
                False,
                0.0,
                torch.linalg.matrix_exp(self.inner.weight),
                None,
            )[0]

    found = inspect(nn.Sequential(nn.Linear(3, 3), Half()), torch.rand(4, 1, 3))
    (missing,) = [layer for layer in found.layers if layer.uncounted]
    assert missing.cost is None
    assert found.cost.macs == 4 * 9 + 4 * 3 * 9 + 2 * 4 * 4 * 3 + 4 * 9
    part = next(layer for layer in found.layers if layer.op == "multi_head_attention_forward")
    part.uncounted, part.partly = ["x"], True
    assert found.cost.macs == 4 * 9 + 4 * 3 * 9 + 2 * 4 * 4 * 3 + 4 * 9
    assert "≥ 240" in found.text()


def test_arguments_by_keyword_cost_the_same() -> None:
    record = trace(Apply(lambda x, w: torch.add(input=x, other=w, alpha=3), 4), torch.rand(4))
    assert record.operations[-1].cost == Cost(0, 8)


def test_operations_of_other_libraries_are_not_counted() -> None:
    record = trace(Apply(lambda x, w: x * w, 1), torch.rand(2))
    func = record.operations[-1].func
    assert cost(func, (torch.rand(2), 2.0), {}, torch.rand(2)) == Cost(0, 2)
    assert cost(torch.ops.quantized.linear.default, (), {}, torch.rand(2)) is None  # type: ignore[attr-defined]


@pytest.mark.parametrize("heads", [1, 2, 4])
def test_multihead_attention_is_one_layer_with_all_its_products(heads: int) -> None:
    length, width = 6, 8
    found = inspect(nn.MultiheadAttention(width, heads, batch_first=True), *[torch.rand(2, length, width)] * 3)
    (layer,) = found.layers
    assert layer.op == "MultiheadAttention"
    assert layer.parameters == 4 * width * width + 4 * width
    # in and out projections, scores, mixture; the number of heads does not matter
    assert layer.cost
    assert layer.cost.macs == 2 * (4 * length * width * width + 2 * length * length * width)


def test_recurrent_layers_are_one_layer_with_a_count_per_step() -> None:
    for gates, make in ((4, nn.LSTM), (3, nn.GRU), (1, nn.RNN)):
        found = inspect(make(3, 5, num_layers=2, bidirectional=True), torch.rand(7, 2, 3))
        (layer,) = found.layers
        per_step = 2 * gates * 5 * (3 + 5) + 2 * gates * 5 * (10 + 5)
        assert layer.cost
        assert layer.cost.macs == 7 * 2 * per_step
        assert layer.parameters == sum(prod(p.shape) for p in make(3, 5, num_layers=2, bidirectional=True).parameters())


@pytest.mark.parametrize(
    ("function", "macs"),
    [
        (torch.linalg.inv, 6**3),
        (lambda x: torch.linalg.solve(x, x[:, :2]), 6**3 // 3 + 6 * 6 * 2),
        (lambda x: torch.linalg.solve(x, x[:, 0]), 6**3 // 3 + 6 * 6),
        (torch.linalg.cholesky, 6**3 // 6),
        (torch.linalg.det, 6**3 // 3),
        (lambda x: torch.linalg.solve_triangular(x, x[:, :2], upper=True), 6 * 6 * 2 // 2),
        (lambda x: torch.cholesky_solve(x[:, :2], x), 6 * 6 * 2),
        (torch.cholesky_inverse, 6**3 // 3),
    ],
)
def test_factorisations_are_made_of_multiply_accumulates(function: Callable[[Tensor], Tensor], macs: int) -> None:
    found = inspect(Apply(lambda x, w: function(x) * w, 1), torch.eye(6))
    assert found.uncounted == []
    assert found.cost.macs == macs
    product = prod(found.layers[-1].outputs[0].shape)  # with w: one for each entry of the result
    assert found.cost.flops == 2 * macs + product


CELLS = {"rnn": (1, 2), "gru": (3, 10), "lstm": (4, 13)}
"""Gates, and elementwise operations per unit and step: rnn sum, tanh; gru two gates with their sums, r·u, sum, tanh,
h - n, product, sum; lstm sums and functions of four gates, f·c, i·g, sum, tanh, product."""


@pytest.mark.parametrize("kind", CELLS)
def test_recurrent_layers_and_cells_cost_what_their_formulas_say(kind: str) -> None:
    steps, batch, width, hidden = 5, 2, 3, 4
    gates, elementwise = CELLS[kind]
    per_step = batch * (2 * gates * hidden * (width + hidden) + elementwise * hidden)
    layer, cell = getattr(nn, kind.upper()), getattr(nn, f"{kind.upper()}Cell")
    assert inspect(layer(width, hidden), torch.rand(steps, batch, width)).cost.flops == steps * per_step
    assert inspect(cell(width, hidden), torch.rand(batch, width)).cost.flops == per_step
    # étude's GRU computes (1 - z)·n + z·h with one operation more
    ours = inspect(Recurrent(recurrent.CELLS[kind](width, hidden)), torch.rand(batch, steps, width))
    assert [row.op for row in ours.layers] == ["Recurrent"]
    assert ours.layers[0].parameters == gates * hidden * (width + hidden + 2)
    assert ours.cost.flops == steps * (per_step + (batch * hidden if kind == "gru" else 0))


def test_a_projected_and_a_deep_lstm_have_the_products_of_their_matrices() -> None:
    steps, width, hidden, small = 5, 3, 6, 2
    found = inspect(nn.LSTM(width, hidden, 2, proj_size=small, bidirectional=True), torch.rand(steps, 1, width))
    one_way = [4 * hidden * (given + small) + hidden * small for given in (width, 2 * small)]
    assert found.cost.macs == steps * 2 * sum(one_way)
    assert found.parameters == sum(
        p.numel() for p in nn.LSTM(width, hidden, 2, proj_size=small, bidirectional=True).parameters()
    )


def test_the_layers_of_a_transformer_cost_what_their_formulas_say() -> None:
    width, heads, inner, target, memory = 8, 2, 16, 5, 7
    layer = nn.TransformerDecoderLayer(width, heads, inner, batch_first=True)
    found = inspect(layer, torch.rand(1, target, width), torch.rand(1, memory, width))
    own = 4 * target * width**2 + 2 * target**2 * width
    cross = (2 * target + 2 * memory) * width**2 + 2 * target * memory * width
    assert found.cost.macs == own + cross + 2 * target * width * inner
    assert found.parameters == 8 * width**2 + 8 * width + 2 * width * inner + inner + width + 6 * width
    with FlopCounterMode(display=False) as counter:
        layer.train()(torch.rand(1, target, width), torch.rand(1, memory, width))
    assert counter.get_total_flops() == 2 * found.cost.macs

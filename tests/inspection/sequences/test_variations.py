"""Named axes, loops over time as one row, and costs against length."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from etude.inspection.field.receptive_field import Fields
from etude.inspection.inspecting import inspect
from etude.inspection.layers import Grouping
from etude.inspection.sequences.facts import SequenceFacts
from etude.inspection.trace.tracing import trace
from inspection.sequences.networks import Lengths, Loop, Model, Tagger, Translator, ids


def facts(module: nn.Module, *inputs: Tensor, **keywords: Any) -> SequenceFacts:
    found = inspect(module, *inputs, **keywords).sequence
    assert found is not None
    return found


def flops(module: nn.Module, *inputs: Tensor) -> int:
    """Of all layers, counted where the sequences are this long."""
    layers = Grouping(trace(module, *inputs), Fields(None, (), {}, [])).layers
    return sum(layer.cost.flops for layer in layers if layer.cost)


def axes(found: SequenceFacts) -> dict[str, list[str]]:
    named = {f"{row.layer.path} {row.layer.op}": row.axes for row in found.rows}
    return {key: [" ".join(names or ()) for names in value] for key, value in named.items()}


@pytest.mark.parametrize("length", [4, 12])  # a length that is also a number of features
def test_batch_and_time_first(length: int) -> None:
    for time_first, order in ((False, "N T D"), (True, "T N D")):
        layer = nn.GRU(4, 8, 2, batch_first=not time_first)
        found = facts(Tagger(layer, time_first=time_first), ids(4, length))
        assert axes(found)["layer GRU"] == [order, "L N D"]
        assert axes(found)["out Linear"] == ["N T D"]
        assert (found.outputs, found.input_axes) == ((("N", "T", "D"),), {0: ("N", "T")})


def test_a_network_that_takes_time_first_is_read_so() -> None:
    for module in (Tagger(nn.LSTM(4, 8)), Loop(axis=0)):
        found = inspect(module, ids(12, 3))
        assert found.sequence
        assert (found.sequence.input_axes, found.sequence.sequences.lengths) == ({0: ("T", "N")}, (12,))
        assert found.sequence.outputs == (("T", "N", "D"),)
    assert found.fields.axes == (0,)
    assert inspect(Tagger(nn.LSTM(4, 8)), ids(12, 3)).heading().startswith("Tagger on 12×3 (T N), eval mode;")


def test_heads_are_named() -> None:
    named = axes(facts(Model(), ids()))
    assert named["block.attention scaled_dot_product_attention"] == ["N H T D"]
    assert named["positions Embedding"] == ["T D"]
    weights = nn.MultiheadAttention(8, 2, batch_first=True)
    x = torch.rand(1, 5, 8)
    assert axes(facts(weights, x, x, x))[" MultiheadAttention"] == ["N T D", "N T T"]


def test_a_loop_over_time_is_one_row_with_the_sum_of_its_steps() -> None:
    found = inspect(Loop(), ids(2, 12))
    assert found.sequence
    rows = {row.layer.path: row for row in found.sequence.rows if row.layer.path}
    assert [(path, row.layer.op, row.calls) for path, row in rows.items()] == [
        ("embedding", "Embedding", 1), ("cell", "LSTMCell", 12), ("out", "Linear", 12),
    ]  # fmt: skip
    assert [row.layer.parameters for row in rows.values()] == [11 * 4, 4 * 8 * (4 + 8 + 2), 8 * 3 + 3]
    assert rows["cell"].layer.cost
    assert rows["cell"].layer.cost.macs == 12 * 2 * 4 * 8 * (4 + 8)
    assert sum(row.layer.cost.flops for row in found.sequence.rows if row.layer.cost) == found.cost.flops
    assert len(found.layers) > 24  # the JSON has every step
    assert "cell       LSTMCell ×12" in found.text()


def test_every_cost_against_length_is_the_count_at_that_length() -> None:
    """The polynomial is made of shorter sequences; a longer one is counted here."""
    for module in (Model(num_positions=30), Loop(), Tagger(nn.LSTM(4, 8, batch_first=True))):
        found = facts(module, ids(1, 7))
        assert found.forward
        assert found.forward.at((30,)) == flops(module, ids(1, 30))


def test_attention_is_quadratic_with_the_terms_of_its_formula() -> None:
    """For each pair of steps 2·d for its score, as much for the context, and 5 for the softmax of each head."""
    found = facts(nn.TransformerEncoderLayer(8, 2, 16, batch_first=True).eval(), torch.rand(1, 12, 8))
    (row,) = found.quadratic
    assert (row.layer.op, row.flops and row.flops.growth("T")) == ("MultiheadAttention", "T²")
    assert found.forward
    assert found.forward.terms[(2,)] == 4 * 8 + 5 * 2
    layers = 2 * (4 * 8 * 8 + 2 * 8 * 16)  # projections and the two layers of the feed-forward network
    assert found.forward.terms[(1,)] == layers + 16 + 2 * 8 + 2 * 8 * 8 + 2 * 8  # ReLU, sums, norms, scaling
    line = found.lines(inspect(nn.Identity(), torch.rand(1)).cost, None)[3]
    assert line.startswith("quadratic: self_attn MultiheadAttention: 42·T FLOPs per token, 29.")
    b, c = found.forward.terms[(1,)], found.forward.terms[(2,)]
    assert line.endswith(f"half of it at T = {round(b / c):,}.")


def test_source_and_target_have_lengths_of_their_own() -> None:
    found = facts(Translator(), ids(1, 9), torch.randint(7, (1, 6)))
    assert (found.sequences.letters, found.sequences.lengths, found.sequences.tokens) == (("S", "T"), (9, 6), 15)
    rows = {row.layer.path: row.flops and row.flops.growth("ST") for row in found.quadratic}
    assert rows == {
        "body.encoder.layers.0.self_attn": "S²",
        "body.decoder.layers.0.self_attn": "T²",
        "body.decoder.layers.0.multihead_attn": "S·T",
    }
    assert found.forward
    assert found.forward.at((30, 20)) == flops(Translator(), ids(1, 30), torch.randint(7, (1, 20)))
    same = facts(Translator(), ids(1, 9), torch.randint(7, (1, 9)))
    assert (same.sequences.letters, same.sequences.tokens) == (("T",), 9)


def test_masks_states_and_lengths_change_with_the_sequence() -> None:
    found = facts(Lengths(), ids(2, 12), torch.tensor([12, 12]))
    assert found.outputs == (("N", "D"),)
    layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
    mask, causal = torch.zeros(2, 12, dtype=torch.bool), torch.ones(12, 12).triu(1).bool()
    assert facts(layer, torch.rand(2, 12, 8), src_mask=causal, src_key_padding_mask=mask).quadratic
    for batch in (1, 2):
        state = torch.rand(1, batch, 8)
        assert facts(nn.GRU(4, 8, batch_first=True), torch.rand(batch, 12, 4), state).forward


def test_what_reads_no_sequence_has_no_facts() -> None:
    for module, x in (
        (nn.Conv2d(3, 4, 3), torch.rand(1, 3, 8, 8)),
        (nn.Linear(4, 2), torch.rand(1, 5, 4)),
        (nn.Embedding(5, 3), torch.tensor([1, 2])),
    ):
        found = inspect(module, x)
        assert found.sequence is None
        assert "sequence" not in found.to_dict()
        assert "axes" not in found.text()


def test_a_network_of_one_length_says_so() -> None:
    class Fixed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embedding, self.out = nn.Embedding(11, 4), nn.Linear(48, 2)

        def forward(self, x: Tensor) -> Tensor:
            return self.out(self.embedding(x).flatten(1))

    found = inspect(Fixed(), ids())
    assert found.sequence is None
    (finding,) = found.findings
    assert finding.startswith("one length only: with 10 steps, out (Linear) fails on an input of shape 1×40: ")

    class Three(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.table = nn.Embedding(11, 4)

        def forward(self, a: Tensor, b: Tensor, c: Tensor) -> Tensor:
            return self.table(a).sum(1) + self.table(b).sum(1) + self.table(c).sum(1)

    assert inspect(Three(), ids(1, 9), ids(1, 8), ids(1, 7)).findings[-1] == (
        "growth not measured: the inputs have 3 lengths, and two can be told apart."
    )


def test_a_network_of_one_batch_size_says_so() -> None:
    class One(Tagger):
        def forward(self, ids: Tensor) -> Tensor:
            return super().forward(ids) + torch.zeros(1, ids.shape[1], 3).expand(2, -1, -1)[:1].repeat(
                len(ids) - 1, 1, 1
            )

    found = inspect(One(nn.GRU(4, 8, batch_first=True)), ids(2))
    (finding,) = found.findings
    assert finding.startswith("one batch size only: with 3 examples, One.forward fails on an input of shape 3×6: ")


def test_costs_that_are_not_counted_or_fit_no_formula() -> None:
    class Cubic(Tagger):
        def forward(self, ids: Tensor) -> Tensor:
            x = super().forward(ids)
            return x @ x.mT @ x @ x.mT @ (x @ x.mT)

    class Exponential(Tagger):
        def forward(self, ids: Tensor) -> Tensor:
            x = super().forward(ids)
            return torch.linalg.matrix_exp(x.mT @ x)

    for network in (Cubic, Exponential):
        found = inspect(network(nn.GRU(4, 8, batch_first=True)), ids())
        assert found.sequence
        assert found.sequence.forward is None
        assert "growth: not known, since the counts of the layers marked with ? are not polynomials." in found.remarks()
        assert any("?" in line.split() for line in found.text().splitlines())
        (line,) = [text for text in found.remarks() if text.startswith("per token")]
        assert line.startswith("per token: at least ") == (network is Exponential)


def test_what_the_network_prints_is_printed_once(capsys: pytest.CaptureFixture[str]) -> None:
    class Prints(Tagger):
        def forward(self, ids: Tensor) -> Tensor:
            print("forward")
            return super().forward(ids)

    inspect(Prints(nn.GRU(4, 8, batch_first=True)), ids())
    assert capsys.readouterr().out.count("forward") == 1

# ruff: noqa: E501 (messages are compared as they are printed)
"""What depends on what, and findings about how a network reads sequences."""

import pytest
import torch
from torch import Tensor, nn

from etude.inspection.inspecting import Inspection, inspect
from inspection.sequences.networks import Loop, Model, Sentiment, Tagger, TinyGPT, Translator, ids

MIXED = "batch and time are confused somewhere (batch_first, or a view in place of a transpose)."


def both() -> nn.LSTM:
    return nn.LSTM(4, 8, bidirectional=True, batch_first=True)


def found(module: nn.Module, *inputs: Tensor) -> Inspection:
    return inspect(module, *(inputs or (ids(),)))


@pytest.mark.parametrize(
    ("module", "causal"),
    [
        (lambda: Tagger(nn.GRU(4, 8, batch_first=True)), True),
        (lambda: Tagger(nn.LSTM(4, 4, bidirectional=True, batch_first=True)), False),
        (lambda: Loop(), True),
        (lambda: Model(), True),
        (lambda: Model(masked=False), False),
        (lambda: Sentiment(nn.GRU(4, 8, batch_first=True), 8, lambda out, _: out.mean(1)), None),
    ],
)
def test_the_order_is_found_out_by_changing_later_steps(module: type[nn.Module], causal: bool | None) -> None:
    inspection = found(module())
    assert inspection.sequence
    assert inspection.sequence.found
    assert inspection.sequence.found.causal is causal
    lines = {True: "order: a step of the output depends on the steps up to it only.",
            False: "order: a step of the output depends on later steps, too."}  # fmt: skip
    told = [text for text in inspection.remarks() if text.startswith("order")]
    assert told == ([] if causal is None else [lines[causal]])


def test_a_decoder_is_causal_in_what_it_writes() -> None:
    inspection = found(Translator(), ids(1, 9), torch.randint(7, (1, 6)))
    assert inspection.sequence
    assert inspection.sequence.found
    assert inspection.sequence.found.causal is True
    assert inspection.findings == []


def test_a_network_that_is_causal_by_its_name_only_is_told() -> None:
    assert found(TinyGPT()).findings == []
    assert found(TinyGPT(masked=False)).findings == [
        "not causal: TinyGPT is causal by its name, but a step of the output changes with later steps; mask them."
    ]

    class NoMask(Translator):
        def forward(self, source: Tensor, target: Tensor) -> Tensor:
            return self.out(self.body(self.source(source), self.target(target)))

    assert found(NoMask(), ids(1, 9), torch.randint(7, (1, 6))).findings == [
        "not causal: TransformerDecoderLayer is causal by its name, but a step of the output changes with later steps; mask them."
    ]


def test_examples_that_change_one_another_are_told() -> None:
    right = Sentiment(both(), 16, lambda out, state: state[0].transpose(0, 1).flatten(1))
    assert found(right).findings == []
    view = Sentiment(both(), 16, lambda out, state: state[0].view(out.shape[0], -1))
    (finding,) = found(view).findings
    assert finding.startswith("mixed batch: the output for one example changes with the others, by ")
    assert finding.endswith(f" % of its size: {MIXED}")


def test_two_layers_that_disagree_about_time_are_told() -> None:
    class Disagree(Tagger):
        def __init__(self) -> None:
            super().__init__(nn.LSTM(4, 8, batch_first=True))
            self.attention = nn.MultiheadAttention(8, 2)

        def forward(self, ids: Tensor) -> Tensor:
            x = self.layer(self.embedding(ids))[0]
            return self.attention(x, x, x, need_weights=False)[0]

    first, second, *_ = found(Disagree()).findings[-2:]
    assert first == (
        "two axes of time: attention (MultiheadAttention) reads the first axis of the input as time, layer (LSTM) the second one; give both the same batch_first."
    )
    assert second.endswith(MIXED)


def test_one_step_of_many_sequences_is_told() -> None:
    assert found(Tagger(nn.GRU(4, 8))).findings == [
        "one step: layer (GRU) reads the first axis of the input as time, which makes 12 sequences of 1 step; set batch_first=True, or give time first: --input 12,N."
    ]
    assert found(Tagger(nn.GRU(4, 8, batch_first=True)), ids(12, 1)).findings == [
        "one step: layer (GRU) reads the second axis of the input as time, which makes 12 sequences of 1 step; give the batch first: --input 12."
    ]


def test_pads_that_count_are_told() -> None:
    def gru(read: object, layer: nn.Module | None = None) -> list[str]:
        return found(Sentiment(layer or nn.GRU(4, 8, batch_first=True), 8, read, padding=0)).findings

    (finding,) = gru(lambda out, state: state[-1])
    assert finding.startswith("pads count: the output changes by ")
    assert finding.endswith(
        " % of its size when 3 pads (symbol 0) follow a sequence; mask them, read each sequence at its end, or let a batch have one length."
    )
    assert [text for text in gru(lambda out, state: out[:, 0]) if text.startswith("pads")] == []
    assert found(Sentiment(nn.GRU(4, 8, batch_first=True), 8, lambda out, state: state[-1])).findings == []  # no pads

    class Masked(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embedding = nn.Embedding(11, 4, padding_idx=0)
            self.encoder = nn.TransformerEncoderLayer(4, 2, 8, batch_first=True)

        def forward(self, ids: Tensor) -> Tensor:
            seen = ids != 0
            out = self.encoder(self.embedding(ids), src_key_padding_mask=~seen)
            return (out * seen[..., None]).sum(1) / seen.sum(1, keepdim=True)

    assert found(Masked()).findings == []


LAST = "last step of both directions: the network takes the last output of layer (LSTM), whose backward half has read one step; take the states that it returns, or the first step of that half."


@pytest.mark.parametrize(
    ("layer", "read", "told"),
    [
        (both, lambda out, _: out[:, -1], True),
        (both, lambda out, _: out[:, -1, :], True),
        (both, lambda out, _: out.transpose(0, 1)[-1], True),
        (both, lambda out, _: out.permute(1, 0, 2)[11], True),
        (both, lambda out, _: out[:, 0], False),
        (both, lambda out, _: out.mean(1), False),
        (both, lambda out, _: torch.cat([out[:, -1, :8], out[:, 0, 8:]], 1), False),
        (both, lambda out, _: torch.cat([out[..., :8][:, -1], out[..., 8:][:, 0]], 1), False),
        (both, lambda out, _: out[:, -1] + out[:, 0], False),
        (lambda: nn.LSTM(4, 16, batch_first=True), lambda out, _: out[:, -1], False),
    ],
)  # fmt: skip
def test_the_last_step_of_both_directions_is_told(layer: type[nn.Module], read: object, told: bool) -> None:
    assert [text for text in found(Sentiment(layer(), 16, read)).findings if text.startswith("last")] == [LAST] * told


def test_learned_positions_limit_the_length() -> None:
    inspection = found(Model())
    assert "length: 16 at most; positions has 16 rows." in inspection.remarks()
    with pytest.raises(Exception, match=r"It has 16 rows"):
        inspect(Model(), ids(1, 17))
    inspect(Model(), ids(1, 16))

    class Cut(Model):
        def forward(self, ids: Tensor) -> Tensor:
            return super().forward(ids[:, -16:])

    assert not any(text.startswith("length") for text in found(Cut()).remarks())

    class Buffer(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.symbols = nn.Embedding(11, 4)
            self.register_buffer("table", torch.rand(1, 31, 4))

        def forward(self, ids: Tensor) -> Tensor:
            return self.symbols(ids) + self.get_buffer("table")[:, 1 : ids.shape[1] + 1]

    assert "length: 30 at most; table has 31 rows." in found(Buffer()).remarks()


def test_json_holds_what_the_report_says() -> None:
    told = found(Model()).to_dict()["sequence"]
    assert (told["lengths"], told["tokens"], told["longest"], told["causal"]) == ({"T": 12}, 12, 16, True)
    assert told["input_axes"] == {0: ("N", "T")}
    assert told["output_axes"] == (("N", "T", "D"),)
    assert set(told["forward_flops"]) == {"T²", "T"}
    assert told["flops_per_token"] == sum(
        told["forward_flops"][name] * 12**power for name, power in (("T²", 1), ("T", 0))
    )
    attention = next(row for row in told["layers"] if row["op"] == "scaled_dot_product_attention")
    assert (attention["grows"], attention["calls"]) == ("T²", 1)

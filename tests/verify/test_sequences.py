"""The contract of sequence models: references, conventions, every way to keep weights, every message."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from etude.verify import CheckResult, find
from etude.verify.contract import Check
from etude.verify.contracts.sequences import attention, bleu, cells, positions, self_attention, targets
from etude.verify.contracts.sequences.cell_weights import stacked
from etude.verify.inputs import normal
from etude.verify.loader import Loaded
from etude.verify.matching import judge
from etude.verify.observation import Refused

CHECKS = {check.name: check for check in find("sequences").checks}


def verdict(name: str, candidate: Any) -> CheckResult:
    return judge(CHECKS[name], candidate)


def reason(name: str, candidate: Any) -> str:
    """What is wrong, without the reminder of the call."""
    result = verdict(name, candidate)
    assert (result.status, result.mistake) == ("wrong", None)
    return result.message.removesuffix(f"; call: {CHECKS[name].call}.")


# --- the right answers against PyTorch and torchmetrics ---


def _copied(cell: nn.Module, weights: tuple[Tensor, ...]) -> nn.Module:
    with torch.no_grad():
        for parameter, weight in zip(cell.parameters(), weights, strict=True):
            parameter.copy_(weight)
    return cell.double()


@pytest.mark.parametrize(
    ("right", "reference", "gates"),
    [(cells.rnn_cell, nn.RNNCell, 1), (cells.gru_cell, nn.GRUCell, 3), (cells.lstm_cell, nn.LSTMCell, 4)],
)
def test_cells_are_those_of_pytorch(right: Callable[..., Any], reference: type[nn.Module], gates: int):
    weights = tuple(normal(shape, n) for n, shape in enumerate([(5 * gates, 4), (5 * gates, 5), *[(5 * gates,)] * 2]))
    x, h, c = normal((3, 4), 10), normal((3, 5), 11), normal((3, 5), 12)
    cell = _copied(reference(4, 5).double(), weights)
    if gates == 4:
        for mine, theirs in zip(right(x, h, c, *weights), cell(x, (h, c)), strict=True):
            torch.testing.assert_close(mine, theirs)
    else:
        torch.testing.assert_close(right(x, h, *weights), cell(x, h))


def test_attention_is_that_of_pytorch():
    query, key, value = (normal((2, length, 6), length) for length in (3, 4, 4))
    keep = torch.tensor([[True, True, False, True], [True, False, False, False]])[:, None]
    expected = F.scaled_dot_product_attention(query, key, value, attn_mask=keep)
    torch.testing.assert_close(attention.scaled_dot_product_attention(query, key, value, keep), expected)
    x = normal((2, 5, 6), 9)
    expected = F.scaled_dot_product_attention(x, 2 * x, -x, is_causal=True)
    torch.testing.assert_close(self_attention.causal_attention(x, 2 * x, -x), expected)
    q, k, v = (each.view(2, 5, 3, 2).transpose(1, 2) for each in (x, 2 * x, -x))
    expected = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)
    torch.testing.assert_close(self_attention.multi_head_attention(x, 2 * x, -x, 3), expected)


def test_the_loss_is_that_of_pytorch():
    logits, words = normal((3, 4, 7), 1), torch.tensor([[1, 2, 0, 0], [3, 4, 5, 6], [6, 0, 0, 0]])
    expected = F.cross_entropy(logits.transpose(1, 2), words, ignore_index=0)
    torch.testing.assert_close(targets.sequence_loss(logits, words, 0), expected)


def test_positions_are_the_papers_at_known_places():
    table = positions.PositionalEncoding(4).table(3)
    assert table.shape == (3, 4)
    known = [[0, 1, 0, 1], [0.8414710, 0.5403023, 0.0099998, 0.9999500], [0.9092974, -0.4161468, 0.0199987, 0.9998000]]
    torch.testing.assert_close(table, torch.tensor(known), atol=1e-6, rtol=0)


def test_bleu_is_that_of_torchmetrics(reference: Callable[[str], Any]):
    bleu_score = reference("torchmetrics.functional.text").bleu_score
    for seed in range(5):
        for case in CHECKS["bleu"].seeded(1000 * seed):
            hypotheses, references = ([" ".join(words) for words in case[name]] for name in case)
            expected = bleu_score(hypotheses, [[each] for each in references]).item()
            assert bleu.bleu(case["hypotheses"], case["references"]) == pytest.approx(expected, rel=1e-6)


# --- conventions ---


def gru(order: str, *, reset_first: bool = False) -> Callable[..., Tensor]:
    def gru_cell(x: Tensor, h: Tensor, w: Tensor, u: Tensor, b: Tensor, d: Tensor) -> Tensor:
        return cells.gru_cell(x, h, w, u, b, d, order=order, reset="before" if reset_first else "after")

    return gru_cell


@pytest.mark.parametrize(
    ("name", "candidate", "note"),
    [
        ("gru_cell", gru("rzn"), ""),
        ("gru_cell", gru("zrn"), "note: gates in the order z, r, n (PyTorch: r, z, n)."),
        (
            "gru_cell",
            gru("rzn", reset_first=True),
            "note: reset gate before the product, U (r ⊙ h), as in Cho et al. 2014 (PyTorch: r ⊙ (U h)).",
        ),
        (
            "gru_cell",
            gru("nrz", reset_first=True),
            "note: reset gate before the product, U (r ⊙ h), as in Cho et al. 2014 (PyTorch: r ⊙ (U h)); "
            "gates in the order n, r, z (PyTorch: r, z, n).",
        ),
        (
            "last_state",
            lambda outputs, lengths: outputs[lengths - 1, range(len(lengths))],
            "note: outputs are (length, batch, hidden), as of nn.LSTM without batch_first.",
        ),
        (
            "causal_mask",
            lambda length: torch.triu(torch.full((length, length), -1e9), 1)[None, None],
            "note: added to the scores.",
        ),
        (
            "causal_mask",
            lambda length: torch.ones(length, length).triu(1) == 1,
            "note: True (or 1) hides a position, as in nn.MultiheadAttention; in scaled_dot_product_attention it keeps "
            "one.",
        ),
        ("inputs_and_targets", lambda tokens: (tokens[:-1], tokens[1:]), "note: for one stream (length,)."),
        (
            "batchify",
            lambda tokens, n: torch.stack(tokens.split(len(tokens) // n)[:n], 1),
            "note: (length, batch_size): a column is a piece of the text.",
        ),
    ],
)
def test_each_convention_passes_with_its_note(name: str, candidate: Callable[..., Any], note: str):
    result = verdict(name, candidate)
    assert (result.status, result.mistake, result.message) == ("pass", None, note)
    assert result.points == CHECKS[name].points


def dot_product(name: str, hidden: Callable[[Tensor], Tensor]) -> Callable[..., Tensor]:
    """Attention whose mask is called `name`; `hidden` says which keys it hides."""
    source = f"def attend(query, key, value, {name}, dropout=None):\n    return run(query, key, value, {name})"

    def run(query: Tensor, key: Tensor, value: Tensor, mask: Tensor) -> Tensor:
        scores = query @ key.transpose(1, 2) / query.shape[-1] ** 0.5
        return scores.masked_fill(hidden(mask).reshape(len(query), 1, -1), -1e9).softmax(-1) @ value

    names: dict[str, Any] = {"run": run}
    exec(source, names)
    return names["attend"]


def test_a_mask_means_what_its_name_says():
    assert verdict("scaled_dot_product_attention", dot_product("mask", lambda mask: ~mask)).message == ""
    result = verdict("scaled_dot_product_attention", dot_product("key_padding_mask", lambda mask: mask))
    assert result.message == "note: True in key_padding_mask hides a key, as the name says."
    result = verdict("scaled_dot_product_attention", dot_product("valid_lens", lambda n: torch.arange(5) >= n[:, None]))
    assert result.message == "note: valid_lens is the number of real keys."
    result = verdict("scaled_dot_product_attention", dot_product("mask", lambda mask: mask))
    assert result.mistake == "mask inverted"
    assert result.message == (
        "your output equals this mistake on every input tried (3); yours: True hides a key; if you mean it so, call it "
        "padding_mask, right: True in mask keeps a key. Read by a convention: hidden scores are −10⁹."
    )


def test_a_mask_of_numbers_may_be_subtracted():
    def attend(query: Tensor, key: Tensor, value: Tensor, mask: Tensor) -> Tensor:
        return (query @ key.mT / query.shape[-1] ** 0.5 - 1e9 * (1 - mask)).softmax(-1) @ value

    assert verdict("scaled_dot_product_attention", attend).status == "pass"


def test_time_may_come_first_if_the_name_says_so():
    class PositionalEncoding(nn.Module):
        def __init__(self, dim: int) -> None:
            super().__init__()
            self.table = positions.PositionalEncoding(dim).table(50)[:, None]

        def forward(self, x: Tensor) -> Tensor:
            return x + self.table[: len(x)]

    class TimeFirst(PositionalEncoding):
        def forward(self, x_time_first: Tensor) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
            return super().forward(x_time_first)

    assert verdict("positional_encoding", PositionalEncoding).mistake == "positions indexed by the batch"
    result = verdict("positional_encoding", TimeFirst)
    assert (result.status, result.message) == (
        "pass",
        "note: time comes before the batch, as the argument's name says.",
    )


def test_z_may_keep_either_state_in_a_class_but_not_where_the_weights_are_given():
    class GRUCell(nn.Module):
        def __init__(self, inputs: int, hidden: int) -> None:
            super().__init__()
            self.z, self.r, self.n = (nn.Linear(inputs + hidden, hidden) for _ in range(3))

        def forward(self, x: Tensor, h: Tensor) -> Tensor:
            z, r = (gate(torch.cat([x, h], 1)).sigmoid() for gate in (self.z, self.r))
            return (1 - z) * h + z * self.n(torch.cat([x, r * h], 1)).tanh()

    def gru_cell(*inputs: Tensor) -> Tensor:
        return cells.gru_cell(*inputs, update=lambda z, n, h: z * n + (1 - z) * h)

    assert verdict("gru_cell", GRUCell).status == "pass"
    assert verdict("gru_cell", gru_cell).mistake == "z and 1 − z swapped"


# --- how a class may keep the weights of its cell ---

INPUTS, HIDDEN = 2, 3
WEIGHTS = [normal(shape, n) for n, shape in enumerate([(9, INPUTS), (9, HIDDEN), (9,), (9,)])]


def module(*parameters: Tensor, own: bool = False) -> nn.Module:
    """One whose parameters are these, each in a layer of its own or all in one."""
    made = nn.Module()
    for n, each in enumerate(parameters):
        if own:
            made.add_module(f"layer{n}", module(each))
        else:
            made.register_parameter(f"p{n}", nn.Parameter(each))
    return made


def by_gate(*which: int) -> list[Tensor]:
    return [WEIGHTS[kind].chunk(3)[gate] for gate in range(3) for kind in which]


@pytest.mark.parametrize(
    ("made", "state_first", "biases"),
    [
        (module(*WEIGHTS), False, 2),
        (module(*(each.T for each in WEIGHTS[:2]), *WEIGHTS[2:]), False, 2),
        (module(*by_gate(0, 1, 2, 3)), False, 2),
        (module(*by_gate(0, 1, 2)), False, 1),
        (module(*by_gate(0, 1)), False, 0),
        (module(*(each.T for each in by_gate(0, 1)), *by_gate(2)), False, 1),
        (module(*(each.T for each in by_gate(0, 1)), *(each[None] for each in by_gate(2))), False, 1),
        (module(torch.cat(WEIGHTS[:2], 1), WEIGHTS[2]), False, 1),
        (module(torch.cat(WEIGHTS[1::-1], 1), WEIGHTS[2]), True, 1),
        (module(torch.cat(WEIGHTS[1::-1], 1).T, WEIGHTS[2]), True, 1),
    ],
    ids=["stacked", "transposed", "per gate", "one bias", "no bias", "per gate, transposed", "rows", "joined",
         "state first", "state first, transposed"],
)  # fmt: skip
def test_weights_are_found_however_a_class_keeps_them(made: nn.Module, state_first: bool, biases: int):
    found = stacked(made.double(), 3, INPUTS, HIDDEN, lambda: state_first)
    expected = [*WEIGHTS[: 2 + biases], *[torch.zeros(9, dtype=torch.float64)] * (2 - biases)]
    for mine, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(mine.double(), theirs)


def test_weights_of_layers_are_told_apart_by_layer():
    layers = module(own=True)
    for name, kinds in (("x", (0, 2)), ("h", (1, 3))):
        layers.add_module(name, module(*(WEIGHTS[kind] for kind in kinds)))
    for mine, theirs in zip(stacked(layers, 3, INPUTS, HIDDEN, lambda: False), WEIGHTS, strict=True):
        torch.testing.assert_close(mine, theirs)


@pytest.mark.parametrize("made", [module(), module(WEIGHTS[0]), module(*WEIGHTS[:2], torch.ones(5)),
                                  module(torch.ones(9, 7), WEIGHTS[1])])  # fmt: skip
def test_other_weights_are_refused(made: nn.Module):
    with pytest.raises(Refused) as error:
        stacked(made, 3, INPUTS, HIDDEN, lambda: False)
    shapes = str([tuple(each.shape) for each in made.parameters()])
    assert str(error.value) == (
        f"its weights have shapes {shapes}; expected (3, 2), (3, 3) and biases (3,) for each of 3, stacked or apart"
    )


# --- names ---


def test_a_class_is_found_by_its_name_in_camel_case():
    class GRUCell: ...

    assert Loaded({"GRUCell": GRUCell}).named("gru_cell") is GRUCell
    assert Loaded({"GRUCell": GRUCell, "gru_cell": len}).named("gru_cell") is len
    assert Loaded({"GRUCell": nn.GRUCell}).named("gru_cell") is None  # imported, not the learner's
    assert Loaded({"gruCell": len}).named("gru_cell") is None


# --- messages ---


class Returns(nn.Module):
    def __init__(self, vocabulary_size: int, pad_index: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocabulary_size, 3)

    def forward(self, tokens: Tensor) -> Tensor:
        return self.embedding(tokens)


class Frozen(nn.Module):
    def __init__(self, num: int, dim: int, padding: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(num, dim), requires_grad=False)

    def forward(self, indices: Tensor) -> Tensor:
        return self.weight[indices]


class NoTable(nn.Module):
    def __init__(self, num: int, dim: int, padding: int) -> None:
        super().__init__()

    def forward(self, indices: Tensor) -> Tensor:
        return indices


class OddAttention(nn.Module):
    def __init__(self, *sizes: int) -> None:
        super().__init__()
        self.linear = nn.Linear(3, 3)

    def forward(self, query: Tensor, keys: Tensor, values: Tensor, mask: Tensor) -> Tensor:
        return values[:, 0]


@pytest.mark.parametrize(
    ("name", "candidate", "message"),
    [
        ("lstm_cell", lambda x, h, c, *w: h, "it returned 1 result; expected h and c"),
        ("gru_cell", lambda x, h, *w: (h, x), "it returned 2 results; expected a tensor"),
        ("rnn_cell", lambda x, h, *w: x, "it has shape (3, 2); expected (3, 3)"),
        (
            "additive_attention",
            OddAttention,
            "its weights have shapes [(3, 3), (3,)]; expected (5, 2), (5, 4) and (5,)",
        ),
        ("embedding", NoTable, "it has no parameter of shape (5, 6), the table"),
        ("embedding", Frozen, "its table does not require a gradient; expected an nn.Parameter"),
        ("encoder", Returns, "its forward has shape (4, 5, 3); expected (4, features)"),
        ("causal_mask", lambda length: torch.ones(length), "it has shape (2,); expected (2, 2)"),
        ("inputs_and_targets", lambda tokens: tokens, "it returned a Tensor; expected inputs and targets"),
        (
            "decode",
            lambda step, state, targets, share: step(targets, state)[0],
            "it raised ValueError: step takes tokens of shape (2,) and got them of shape (2, 4)",
        ),
        (
            "greedy_decode",
            lambda step, state, bos, eos, n: step(bos, state)[0],
            "it raised ValueError: step takes tokens of shape (4,) and got them as int",
        ),
        (
            "greedy_decode",
            lambda *given: [[2], [3]],
            "it returned 2 rows; expected 4, a list of tokens for each sentence",
        ),
        (
            "greedy_decode",
            lambda step, state, *given: [["a"]] * len(state),
            "it returned something else than whole numbers; expected tokens",
        ),
        ("train_tbptt", lambda *given: None, "it never calls net(tokens, state)"),
        (
            "train_tbptt",
            lambda net, optimizer, tokens, chunk: net(tokens[0]),
            "it raised ValueError: net takes tokens of shape (batch, steps)",
        ),
        ("nats_per_token", lambda *given: "2.0", "it returned str; expected nats per token, a number"),
        ("bleu", lambda *given: "38.5", "it returned str; expected BLEU, a number"),
    ],
)  # fmt: skip
def test_messages(name: str, candidate: Any, message: str):
    assert reason(name, candidate) == message


def test_a_state_that_is_not_detached_is_told():
    def train_tbptt(net: nn.Module, optimizer: Any, tokens: Tensor, chunk: int) -> None:
        state = None
        for x in tokens.split(chunk, 1):
            logits, state = net(x, state)
            optimizer.zero_grad()
            logits.square().mean().backward()

    result = verdict("train_tbptt", train_tbptt)
    assert result.mistake == "no detach"


def test_a_property_that_does_not_hold_is_named():
    """An encoder that no mutant equals: its rows are divided by the largest of the batch."""

    class Encoder(Returns):
        def forward(self, tokens: Tensor) -> Tensor:
            real = (tokens != 0)[:, :, None]
            states = (self.embedding(tokens) * real).sum(1) / real.sum(1)
            return torch.cat([states, states[:1].expand_as(states)], 1)

    result = verdict("encoder", Encoder)
    assert (result.status, result.mistake) == ("wrong", None)
    assert result.message == (
        f"this does not hold: a sentence's output does not change with its batch-mates; call: {CHECKS['encoder'].call}."
    )
    assert result.counterexample == (
        "seed = 1: this does not hold: a sentence's output does not change with its batch-mates"
    )


def test_a_later_word_that_is_read_is_named():
    def causal_attention(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        return self_attention.causal_attention(query, key, value) + value.mean(1, keepdim=True)

    assert reason("causal_attention", causal_attention) == "this does not hold: nothing comes from the future"


def test_code_that_raises_in_another_form_is_not_named_by_it():
    """tokens + 1 is no known mistake; on one stream it raises as a mutant does."""
    result = verdict("inputs_and_targets", lambda tokens: (tokens[:, :-1] + 1, tokens[:, 1:] + 1))
    assert (result.status, result.mistake) == ("wrong", None)


# --- code of well-known tutorials ---


def test_an_encoder_of_one_state_per_layer_passes():
    """PyTorch's chatbot tutorial: time first inside, lengths sorted outside, directions added."""

    class Encoder(nn.Module):
        def __init__(self, vocabulary_size: int, pad_index: int, hidden_size: int = 6, n_layers: int = 2) -> None:
            super().__init__()
            self.hidden_size = hidden_size
            self.embedding = nn.Embedding(vocabulary_size, hidden_size, padding_idx=pad_index)
            self.gru = nn.GRU(hidden_size, hidden_size, n_layers, bidirectional=True)

        def forward(self, input_seq: Tensor, input_lengths: Tensor) -> tuple[Tensor, Tensor]:
            embedded = self.embedding(input_seq.t())
            packed = nn.utils.rnn.pack_padded_sequence(embedded, input_lengths, enforce_sorted=False)
            outputs, hidden = self.gru(packed)
            outputs, _ = nn.utils.rnn.pad_packed_sequence(outputs)
            outputs = outputs[:, :, : self.hidden_size] + outputs[:, :, self.hidden_size :]
            return outputs, hidden[-2] + hidden[-1]

    assert verdict("encoder", Encoder).status == "pass"


def test_heads_may_come_first_and_a_mask_be_wanted():
    """As in The Annotated Transformer: h, d_model; the mask has no default."""

    class MultiHeadAttention(nn.Module):
        def __init__(self, h: int, d_model: int, dropout: float) -> None:
            super().__init__()
            self.h, self.dropout = h, nn.Dropout(dropout)
            self.q, self.k, self.v, self.o = (nn.Linear(d_model, d_model) for _ in range(4))

        def forward(self, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None) -> Tensor:
            q, k, v = (layer(x).unflatten(2, (self.h, -1)).transpose(1, 2)
                       for layer, x in ((self.q, query), (self.k, key), (self.v, value)))  # fmt: skip
            weights = (q @ k.mT / q.shape[-1] ** 0.5).softmax(-1)
            return self.o((self.dropout(weights) @ v).transpose(1, 2).flatten(2))

    assert verdict("multi_head_attention", MultiHeadAttention).status == "pass"


def test_the_pad_may_be_any_argument_of_an_encoder():
    class Encoder(nn.Module):
        def __init__(self, vocab_size: int, emb_dim: int, hid_dim: int, dropout: float, pad_idx: int) -> None:
            super().__init__()
            self.embedding, self.dropout = nn.Embedding(vocab_size, emb_dim, pad_idx), nn.Dropout(dropout)
            self.output = nn.Linear(emb_dim, hid_dim)

        def forward(self, tokens: Tensor) -> Tensor:
            return self.output(self.dropout(self.embedding(tokens)).sum(1))

    assert verdict("encoder", Encoder).status == "pass"


def test_clipped_gradients_are_right_too():
    def train_tbptt(net: nn.Module, optimizer: torch.optim.Optimizer, tokens: Tensor, chunk: int) -> None:
        state = None
        for x, y in zip(tokens[:, :-1].split(chunk, 1), tokens[:, 1:].split(chunk, 1), strict=True):
            logits, state = net(x, state if state is None else state.detach())
            optimizer.zero_grad()
            F.cross_entropy(logits.flatten(0, 1), y.flatten()).backward()
            nn.utils.clip_grad_norm_(net.parameters(), 1.0)
            optimizer.step()

    for seed in range(10):
        assert judge(CHECKS["train_tbptt"], train_tbptt, seed=seed).status == "pass"


def test_mutants_of_one_check_are_told_apart_for_other_seeds():
    check: Check = CHECKS["encoder"]
    for seed in range(1, 4):
        named = [judge(check, check.mutant(each), seed=seed).mistake for each in check.mistakes]
        assert named == [each.name for each in check.mistakes]

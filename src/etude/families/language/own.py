"""A language model from a person's file: symbols (N, T) and a state to scores (N, T, V) and the next state."""

from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves, tree_map_only

from etude.data.kinds import RunningText
from etude.errors import UsageError
from etude.families.family import Examined, Network, Networks, count_parameters
from etude.families.language.chunks import carries, scaled
from etude.families.language.networks import networks_of
from etude.families.language.recipe import Language
from etude.families.own_networks import make, name_of
from etude.families.stands import stands
from etude.families.trial import Trial, looks_like, materialise


def build(recipe: Language, kind: RunningText) -> Networks:
    """The network that the recipe names."""
    module = make(recipe.network, kind, dropout=recipe.dropout)
    materialise(module, partial(module, _symbols(kind, 2, 3)))
    return networks_of(recipe, kind, name_of(recipe.network), module)


def _symbols(kind: RunningText, num_columns: int, num_symbols: int) -> Tensor:
    """Made-up symbols (num_columns, num_symbols)."""
    generator = torch.Generator().manual_seed(0)
    return torch.randint(len(kind.vocabulary), (num_columns, num_symbols), generator=generator)


def examine(recipe: Language, kind: RunningText) -> Examined:
    """Try it on a few made-up symbols."""
    networks = build(recipe, kind)
    name = name_of(recipe.network)
    trial = Trial(recipe.network, networks[name])
    trial.check_tensors()
    chunk, size = min(recipe.bptt, 8), len(kind.vocabulary)
    for num_columns, num_symbols in ((3, chunk), (1, 1)):
        symbols = _symbols(kind, num_columns, num_symbols)
        output = trial.apply("symbols", symbols, train=False)
        scores = _scores_of(trial, output, (num_columns, num_symbols, size))
    symbols = _symbols(kind, 3, chunk)
    scores, state = trial.apply("symbols", symbols, train=False)
    match looks_like(scores.detach().flatten(0, 1), scores.detach().flatten(0, 1)):
        case "log-softmax":
            trial.notes.append(f"{name} gives log-probabilities, which are scores too.")
        case "":
            pass
        case squashed:
            raise UsageError(f"{name}: its scores look like a {squashed}; return the logits, the numbers before it.")
    _require_apart(trial, symbols, scores, size)
    _require_state(trial, symbols, scores, state)
    trial.check_step("symbols", [symbols])
    return Examined(
        traits=stands(trial, "symbols", symbols),
        notes=tuple(trial.notes),
        draws=trial.draws,
        parameters=count_parameters({name: networks[name]}),
    )


def _scores_of(trial: Trial, output: Any, shape: tuple[int, int, int]) -> Tensor:
    """The scores of an output, a pair; `shape` is (N, T, V)."""
    if not isinstance(output, tuple) or len(output) != 2:
        raise UsageError(
            f"{trial.name} gives a {type(output).__name__}; allowed: the pair (scores, state), as "
            "forward(symbols, state=None) of a language model returns it; without a state (scores, None)."
        )
    wanted = f"{shape}, a score for each symbol of the vocabulary, as with vocabulary_size={shape[2]}"
    return trial.require_tensor(output[0], wanted, [shape], f"symbols {shape[:2]}")


def _require_apart(trial: Trial, symbols: Tensor, scores: Tensor, size: int) -> None:
    """A column's scores depend neither on the columns beside it nor on symbols that come later."""
    alone, _ = trial.apply("symbols", symbols[-1:], train=False)
    if not _close(alone, scores[-1:]):
        raise UsageError(
            f"{trial.name} gives other scores for a column when others are beside it: the first axis is that of the "
            "columns, so recurrent layers need batch_first=True."
        )
    if symbols.shape[1] > 1:
        changed = symbols.clone()
        changed[:, -1] = (changed[:, -1] + 1) % size
        later, _ = trial.apply("symbols", changed, train=False)
        if not _close(later[:, :-1], scores[:, :-1]):
            raise UsageError(
                f"{trial.name} looks ahead: its scores at a symbol change with the symbols after it; leave "
                "bidirectional=True out, and give attention a causal mask."
            )


def _require_state(trial: Trial, symbols: Tensor, scores: Tensor, state: Any) -> None:
    """A state is floating-point tensors; zeros are the same as none; what is carried changes what is told."""
    if not carries(state):
        trial.notes.append(f"{trial.name} gives no state: it reads each chunk by itself.")
        return
    odd = [each for each in tree_leaves(state) if each is not None and not isinstance(each, Tensor)]
    if odd or not all(each.is_floating_point() for each in tree_leaves(state) if each is not None):
        raise UsageError(
            f"{trial.name} gives a state that holds other things than floating-point tensors: keep the state in such, "
            "for it is set to 0 where a text begins."
        )
    from_zeros, after = trial.apply("symbols", symbols, scaled(state, torch.zeros(())), train=False)
    if not _close(from_zeros, scores):
        raise UsageError(
            f"{trial.name} gives other scores for a state of zeros than without one: begin with zeros where state is "
            "None."
        )
    shapes = [tree_map_only(Tensor, lambda each: tuple(each.shape), each) for each in (state, after)]
    if shapes[0] != shapes[1]:
        raise UsageError(
            f"{trial.name} gives a state of other shapes when it is given one: keep as many numbers after each chunk."
        )


def _close(one: Tensor, other: Tensor) -> bool:
    return torch.allclose(one, other, rtol=1e-3, atol=1e-4)


def network(recipe: Language) -> Network[Language]:
    """The network that the recipe names."""
    return Network(build=build, examine=examine, kinds=(RunningText,))

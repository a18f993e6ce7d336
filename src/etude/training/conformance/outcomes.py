"""Checks of what a learner reports and what trained networks can do. Each returns what is wrong, or None."""

import math
from pathlib import Path
from typing import Any, get_args

import torch
from torch import Tensor

from etude import recipes
from etude.data import Images, RunningText, Split
from etude.errors import EtudeError
from etude.families.abilities import Bounds, By, Classifies, Encodes, Explains, Predicts, Samples
from etude.families.learner import Learner
from etude.families.preview import ImageGrid
from etude.runs.checkpoint import network_tensors, restore_networks
from etude.speed.replicas import program_key
from etude.training.conformance.specimen import (
    BATCH,
    Specimen,
    first_difference,
    generators_kept,
    modes_of,
    seeded,
    tensors_of,
)

METHODS: dict[type, tuple[str, ...]] = {
    Samples: ("sample",),
    Classifies: ("logits",),
    Explains: ("contributions",),
    Encodes: ("latent_dim", "encode", "decode"),
    Bounds: ("latent_dim", "encode", "decode", "network", "scored_as", "binarize", "reconstruction", "pairs"),
    Predicts: ("tell", "last_nats", "chunk", "write"),
}
"""What a trained object must have for an ability, in addition to `conditional` and `inputs`."""


def recipe(specimen: Specimen) -> str | None:
    """The recipe equals what its TOML file says, and several runs of it can be one program."""
    own = specimen.recipe
    if specimen.family.recipe.family != specimen.family.name:
        return f"the recipe is of family {own.family!r}, and FAMILY is {specimen.family.name!r}: make them one."
    try:
        again = recipes.change(
            own,
            **{
                name: value
                for name, value in recipes.to_dict(own).items()
                if name not in ("family", "facts", "optimizer")
            },
        )
    except EtudeError as error:
        return f"the recipe cannot be written to a file and read again: {error}"
    if again != own:
        return "the recipe read from a file differs from the one that was written: let __post_init__ change no field."
    try:
        program_key(own)
    except (KeyError, TypeError) as error:
        return f"changed_together names a field without a default, or no field: {error}."
    return None


def evaluation(specimen: Specimen) -> str | None:
    """Evaluations give finite numbers, the same each time, and change nothing."""
    learner = _trained(specimen)
    before, modes = tensors_of(learner), modes_of(learner)
    found: list[dict[str, float]] = []
    for seed in (0, 1):
        with seeded(seed):
            found.append(evaluated(specimen, learner))
    for name, value in found[0].items():
        if not isinstance(value, int | float) or not math.isfinite(value):
            return f"metric {name} is {value!r}: give a finite number."
    if name := first_difference(*found):
        return f"metric {name} is another at each evaluation: draw from a new stream, `stream(seed, 'evaluation')`."
    with seeded(0):
        none = specimen.dataset.test.take(torch.arange(0))
        learner.evaluate_epoch(none, specimen.dataset.test)  # a recipe may hold nothing out
    if learner.best_by is not None and learner.best_by not in found[0]:
        names = ", ".join(found[0]) or "nothing"
        return f"best_by is {learner.best_by}, and evaluate_epoch gives {names}: give it, or set best_by = None."
    return _changed(learner, before, modes, "an evaluation")


def preview(specimen: Specimen) -> str | None:
    """The picture of progress has the shape of the examples, is the same each time, and changes nothing."""
    learner = _trained(specimen)
    before, modes = tensors_of(learner), modes_of(learner)
    pictures: list[Any] = []
    for seed in (0, 1):
        with seeded(seed):
            pictures.append(learner.preview())
    if message := _changed(learner, before, modes, "preview"):
        return message
    first = pictures[0]
    if first is None:
        return None
    if not hasattr(first, "content"):
        return f"preview gives {type(first).__name__}: give ImageGrid(images), Text(lines), or None."
    if isinstance(first, ImageGrid):
        if first.images.ndim != 4 or first.images.shape[1] not in (1, 3):
            return f"preview gives images {tuple(first.images.shape)}: give (N, 1 or 3, height, width)."
        if message := _range(first.images, "preview gives images"):
            return message
    if first.content() != pictures[1].content():
        return "preview draws another picture each time: draw from a new stream, `stream(seed, 'preview')`."
    return None


def state_dict(specimen: Specimen) -> str | None:
    """Networks restored from a checkpoint do what the trained ones do."""
    learner = _trained(specimen)
    model = {name: value.clone() for name, value in network_tensors(learner.networks).items()}
    other = specimen.learner(seed=1)
    restore_networks(other.networks, model, source=Path("checkpoint"))
    other.recipe = learner.recipe
    with seeded(0):
        one = {**evaluated(specimen, learner), **_outputs(specimen, learner.networks)}
    with seeded(0):
        two = {**evaluated(specimen, other), **_outputs(specimen, other.networks)}
    if name := first_difference(one, two):
        return (
            f"networks filled from a checkpoint differ in what they do ({name}): keep every tensor that they compute "
            "with as a parameter or a buffer."
        )
    return None


def abilities(specimen: Specimen) -> str | None:
    """What trained networks can do is what FAMILY says, and it works."""
    learner = _trained(specimen)
    networks = {name: network.eval() for name, network in learner.networks.items()}
    trained: Any = specimen.family.trained(specimen.recipe, networks, specimen.kind)
    for name in ("conditional", "inputs"):
        if not hasattr(trained, name):
            return f"trained has no {name}: derive its class from TrainedNetworks, or give it one."
    if bool(trained.conditional) != specimen.network.conditional:
        return f"trained.conditional is {trained.conditional}, and the Network's is {specimen.network.conditional}."
    for ability in specimen.family.abilities:
        missing = [name for name in METHODS.get(ability, ()) if not hasattr(trained, name)]
        if missing:
            return f"abilities has {ability.__name__}, and trained has no {missing[0]}: write it, or take it out."
    for ability, methods in METHODS.items():
        own = [name for name in methods if hasattr(trained, name)]
        if own == list(methods) and ability not in specimen.family.abilities:
            return f"trained has {', '.join(methods)}, and abilities has no {ability.__name__}: add it."
    for ability, check in CHECKS.items():
        if ability in specimen.family.abilities and (message := _judged(check, specimen, trained)):
            return message
    return None


def series(specimen: Specimen) -> str | None:
    """Headline, quantity, curves and panels name metrics that training records."""
    learner = specimen.learner()
    with seeded(0):
        recorded = {f"train/{name}" for name in learner.loss_names} | set(evaluated(specimen, learner))
    plain = {name.partition("/")[2] for name in recorded}
    own = specimen.family.series
    wanted = [("curves", curve.metric, recorded) for curve in own.curves]
    wanted += [("quantity", f"{own.quantity.split}/{term}", recorded) for term in own.quantity.terms]
    wanted += [("panels", name, plain) for panel in own.panels(specimen.recipe) for name in panel.metrics]
    if not set(own.headline) & recorded:
        wanted.insert(0, ("headline", " or ".join(own.headline), recorded))
    for where, name, there in wanted:
        if name not in there:
            return f"series.{where} names {name}, and training records {', '.join(sorted(recorded))}."
    return None


def evaluated(specimen: Specimen, learner: Learner[Any]) -> dict[str, float]:
    """Everything that the evaluations report."""
    test = specimen.dataset.test
    return {**learner.evaluate_epoch(specimen.validation, test), **learner.evaluate_end(test)}


def _trained(specimen: Specimen) -> Learner[Any]:
    """A learner after two steps."""
    learner = specimen.learner()
    specimen.take(learner, steps=2)
    return learner


def _changed(learner: Learner[Any], before: dict[str, Tensor], modes: dict[str, bool], what: str) -> str | None:
    if name := first_difference(before, tensors_of(learner)):
        return (
            f"{what} changes {name}: compute under torch.no_grad(), in eval mode, and draw from no stream of training."
        )
    if first_difference(modes, modes_of(learner)) is not None:
        return f"{what} leaves a network in another mode: call .train() at its end where .eval() began it."
    return None


def _range(images: Tensor, what: str) -> str | None:
    if not images.isfinite().all():
        return f"{what} that are not finite."
    low, high = images.min().item(), images.max().item()
    return None if low >= -1e-5 and high <= 1 + 1e-5 else f"{what} from {low:.3g} to {high:.3g}: they lie in [0, 1]."


def _outputs(specimen: Specimen, networks: dict[str, Any]) -> dict[str, Tensor]:
    """The results of the abilities, as tensors by name."""
    evaluating = {name: network.eval() for name, network in networks.items()}
    trained: Any = specimen.family.trained(specimen.recipe, evaluating, specimen.kind)
    inputs, labels = _examples(specimen, trained)
    found: dict[str, Tensor] = {}
    with torch.no_grad():
        if Samples in specimen.family.abilities:
            found["samples"] = trained.sample(BATCH, labels=labels, generator=torch.Generator().manual_seed(0))
        if Classifies in specimen.family.abilities:
            found["logits"] = trained.logits(inputs)
        if Encodes in specimen.family.abilities:
            found["means"] = trained.encode(inputs, labels)[0]
            found["decoded"] = trained.decode(found["means"], labels)
        if Predicts in specimen.family.abilities:
            found["nats"] = trained.tell(specimen.dataset.test).nats
    for network in evaluating.values():
        network.train()
    return found


def _examples(specimen: Specimen, trained: Any) -> tuple[Tensor, Tensor | None]:
    """Test examples as the networks take them, and their labels if they take any."""
    test: Split = specimen.dataset.test.take(torch.arange(BATCH))
    inputs = trained.inputs(test[specimen.kind.column], generator=torch.Generator().manual_seed(0))
    return inputs, test.labels if trained.conditional else None


@torch.no_grad()
def _judged(check: Any, specimen: Specimen, trained: Any) -> str | None:
    with generators_kept():
        before = torch.get_rng_state()
        message: str | None = check(specimen, trained, *_examples(specimen, trained))
        if message is None and not torch.equal(before, torch.get_rng_state()):
            return f"trained {check.__name__.strip('_')} with PyTorch's global random state: draw from `generator`."
    return message


def _samples(specimen: Specimen, trained: Any, inputs: Tensor, labels: Tensor | None) -> str | None:
    for count in (BATCH, 1):
        given = None if labels is None else labels[:count]
        one, two = (trained.sample(count, labels=given, generator=torch.Generator().manual_seed(0)) for _ in range(2))
        if message := _shaped(one, (count, *specimen.kind.shape), f"sample({count}, …)"):
            return message
        if not torch.equal(one, two):
            return "sample gives other examples for the same generator: draw from `generator` only."
    return _range(one, "sample gives images") if isinstance(specimen.kind, Images) else None


def _classifies(specimen: Specimen, trained: Any, inputs: Tensor, labels: Tensor | None) -> str | None:
    logits = trained.logits(inputs)
    if message := _shaped(logits, (len(inputs), specimen.kind.num_classes), "logits(inputs)"):
        return message
    if logits.softmax(dim=1).isfinite().all() and torch.allclose(logits.sum(dim=1), torch.ones(len(logits))):
        return "the rows of logits sum to 1, as after a softmax: return scores before it."
    alone = torch.cat([trained.logits(each[None]) for each in inputs])
    if not torch.allclose(alone, logits, rtol=1e-3, atol=1e-4):
        return "the logits of an example depend on the others beside it: nothing may be normalised over the batch."
    return None


def _explains(specimen: Specimen, trained: Any, inputs: Tensor, labels: Tensor | None) -> str | None:
    classes = trained.logits(inputs).argmax(dim=1)
    for by in get_args(By):
        scores = trained.contributions(inputs, classes, by=by)
        if message := _shaped(scores, tuple(inputs.shape), f"contributions(inputs, labels, by={by!r})"):
            return message
    return None


def _encodes(specimen: Specimen, trained: Any, inputs: Tensor, labels: Tensor | None) -> str | None:
    encoded = trained.encode(inputs, labels)
    if not isinstance(encoded, tuple) or len(encoded) != 2:
        return f"encode(inputs, labels) gives {type(encoded).__name__}: give the pair of means and log-variances."
    for what, values in zip(("means", "log-variances"), encoded, strict=True):
        if message := _shaped(values, (len(inputs), trained.latent_dim), f"encode(inputs, labels) of {what}"):
            return message
    decoded = trained.decode(encoded[0], labels)
    if message := _shaped(decoded, (len(inputs), *specimen.kind.shape), "decode(latents, labels)"):
        return message
    if specimen.recipe.num_latents != trained.latent_dim:
        return f"recipe.num_latents is {specimen.recipe.num_latents} and trained.latent_dim {trained.latent_dim}."
    return _range(decoded, "decode gives images") if isinstance(specimen.kind, Images) else None


def _bounds(specimen: Specimen, trained: Any, inputs: Tensor, labels: Tensor | None) -> str | None:
    means, _ = trained.encode(inputs, labels)
    decoded = trained.network.decode_logits(means, labels)
    nats, pairs = trained.reconstruction(decoded, inputs), trained.pairs(decoded, inputs)
    count = len(inputs)
    if message := _shaped(nats, (count,), "reconstruction(decoded, inputs)"):
        return message
    if message := _shaped(pairs, (count, count), "pairs(decoded, inputs)"):
        return message
    if not torch.allclose(pairs.diagonal().to(nats.dtype), -nats, rtol=1e-4, atol=1e-3):
        return "pairs(decoded, inputs) has on its diagonal other numbers than −reconstruction(decoded, inputs)."
    return None


def _shaped(given: Any, shape: tuple[int, ...], what: str) -> str | None:
    if not isinstance(given, Tensor):
        return f"{what} gives {type(given).__name__}: give a tensor {shape}."
    if tuple(given.shape) != shape:
        return f"{what} gives shape {tuple(given.shape)}: give {shape}."
    return None if given.isfinite().all() else f"{what} gives numbers that are not finite."


def _predicts(specimen: Specimen, trained: Any, inputs: Tensor, labels: Tensor | None) -> str | None:
    text = specimen.dataset.test
    told = trained.tell(text)
    if message := _shaped(told.nats, (len(text),), "tell(text) of nats"):
        return message
    changed = text.take(torch.arange(len(text)))
    changed["symbols"][-1] = 0
    if not torch.allclose(trained.tell(changed).nats[:-1], told.nats[:-1], rtol=1e-3, atol=1e-4):
        return "what it tells after a symbol depends on a symbol that comes later: nothing may look ahead."
    assert isinstance(specimen.kind, RunningText)
    first = specimen.kind.vocabulary.ordinary[0]
    one, two = (
        trained.write(first, BATCH, temperature=1.0, generator=torch.Generator().manual_seed(0)) for _ in range(2)
    )
    if one != two:
        return "write gives other texts for the same generator: draw from `generator` only."
    return None if one.startswith(first) else f"write({first!r}, …) gives {one!r}, which begins otherwise."


CHECKS: dict[type, Any] = {
    Samples: _samples,
    Classifies: _classifies,
    Explains: _explains,
    Encodes: _encodes,
    Bounds: _bounds,
    Predicts: _predicts,
}
"""How what an ability gives is judged."""

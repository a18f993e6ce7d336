"""The sections of `etude inspect`: each is computed, printed as a table or lines, and added to the JSON object."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from etude.cli.printing import progress_line
from etude.data.loading import load as load_dataset
from etude.drawing.lags import gradients_by_lag
from etude.drawing.style import render
from etude.errors import UsageError
from etude.files import write_atomically
from etude.inspection.field import picture
from etude.inspection.field.probe import pixels, probe
from etude.inspection.folding.simplify import simplify
from etude.inspection.gradients.flow import gradient_flow, steps_as_one, try_remedies
from etude.inspection.gradients.gradcheck import gradcheck, shape_of, summary
from etude.inspection.gradients.lag_flow import LagFlow, lag_flow
from etude.inspection.graph import svg
from etude.inspection.inspecting import Inspection, inspect
from etude.inspection.layers import Layer
from etude.inspection.modes import compare_modes, number_text
from etude.inspection.sequences.facts import SequenceFacts
from etude.inspection.source import Specimen, load
from etude.notebook import plain_table

__all__ = [
    "Inspection",
    "Specimen",
    "drawn_field",
    "drawn_graph",
    "flow",
    "gradients_checked",
    "inspect",
    "load",
    "modes",
    "probed",
    "simplified",
    "with_images",
]


def probed(found: Inspection, specimen: Specimen, result: dict[str, Any]) -> list[Any]:
    """The measured receptive field, compared with the derived one."""
    show = progress_line("positions")
    measured = probe(found, specimen.module, *specimen.inputs, progress=show, **specimen.keywords)
    words = {True: "agrees", False: "DIFFERS", None: "not derived"}
    rows = []
    result["probe"] = []
    for axis in measured:
        spans = [bits.bit_length() - (bits & -bits).bit_length() + 1 for bits in axis.seen or () if bits]
        taps = [bits.bit_count() for bits in axis.seen or ()]
        entry = {
            "axis": axis.axis,
            "positions": len(axis.seen or ()),
            "largest_span": max(spans, default=0),
            "largest_taps": max(taps, default=0),
            "reached_by_gradient": None if axis.seen_by_gradient is None else axis.seen_by_gradient.bit_count(),
            "agrees": axis.agrees,
        }
        result["probe"].append(entry)
        cells = ["none" if value is None else str(value) for value in list(entry.values())[:-1]]
        rows.append([*cells, words[axis.agrees] if axis.seen else "nothing came through"])
    headings = [
        "input axis",
        "output positions",
        "largest span",
        "largest taps",
        "reached by gradient",
        "derived field",
    ]
    return [
        plain_table(headings, rows, align="r"),
        "\nmeasured: one input position poisoned (NaN) at a time, eval mode, float64.",
    ]


def gradients_checked(specimen: Specimen, result: dict[str, Any], seed: int) -> list[Any]:
    """All gradients, compared with central differences."""
    show = progress_line("gradients")
    checks = gradcheck(specimen.module, *specimen.inputs, seed=seed, progress=show, **specimen.keywords)
    result["gradcheck"] = [
        {"name": c.name, "shape": list(c.shape), "fault": c.fault, "wrong": c.wrong, "checked": c.checked,
         "message": c.message,
         "entries": len(c.entries), "worst_relative_difference": c.worst}
        for c in checks
    ]  # fmt: skip
    rows = [[c.name, shape_of(c), str(len(c.entries)), f"{c.worst:.1e}", c.message or "ok"] for c in checks]
    return [
        plain_table(["tensor", "shape", "entries", "worst", "verdict"], rows, align="llrrl"),
        f"\n{summary(checks)}",
    ]


def flow(
    specimen: Specimen, result: dict[str, Any], seed: int, sequence: SequenceFacts | None, picture: Path | None
) -> list[Any]:
    """The scale of activations and gradients per layer, and what helps; of a sequence network also its reach in time.

    `picture` is where to draw this reach.
    """
    found = gradient_flow(specimen.module, *specimen.inputs, seed=seed, **specimen.keywords)
    remedies = [] if found.verdict in ("healthy", "unknown") else try_remedies(
        specimen.module, *specimen.inputs, seed=seed, **specimen.keywords
    )  # fmt: skip
    if found.trouble_over_time:  # a recurrent network has no layers for some remedies: say nothing of them
        remedies = [remedy for remedy in remedies if remedy.flow]
    result["flow"] = {
        "verdict": found.verdict, "ratio": found.ratio, "per_layer": found.per_layer,
        "layers": [vars(layer) for layer in found.layers],
        "time": [
            {"path": t.path, "op": t.op, "steps": t.steps, "verdict": t.verdict, "ratio": t.ratio,
             "per_step": t.per_step, "gradients": t.gradients}
            for t in found.time
        ],
        "unknown": found.unknown,
        "remedies": [
            {"name": r.name, "verdict": r.flow and r.flow.verdict, "ratio": r.flow and r.flow.worst_ratio,
             "cures": r.cures, "why_not": r.why_not}
            for r in remedies
        ],
    }  # fmt: skip
    rows = [
        [layer.path or "·", layer.op, f"{layer.activation_rms:.2e}",
         _gradient(layer.gradient_rms), _percent(layer.dead),
         _percent(layer.saturated)]
        for layer in (steps_as_one(found.layers, min(sequence.sequences.lengths)) if sequence else found.layers)
    ]  # fmt: skip
    lines: list[Any] = [
        plain_table(["layer", "operation", "activation", "gradient", "dead", "saturated"], rows, align="llr")
    ]
    if found.time:
        lines.append("\nOver time: the gradient of the last step alone, at each step.")
        over_time = [
            [t.path or "·", t.op, str(t.steps), *(_gradient(t.gradients[i]) for i in (0, t.steps // 2, -1)),
             f"{t.per_step:.2g}", t.verdict]
            for t in found.time
        ]  # fmt: skip
        headings = ["layer", "operation", "steps", "first", "middle", "last", "per step", "verdict"]
        lines.append(plain_table(headings, over_time, align="llrrrrrl"))
    lags = lag_flow(specimen.module, specimen.inputs, specimen.keywords, sequence, seed=seed) if sequence else []
    if lags:
        result["flow"]["lags"] = [{"time": lag.letter, "gradients": lag.gradients, "reach": lag.reach} for lag in lags]
        lines += _by_lag(lags)
    lines += ["", *found.lines, *(lag.message for lag in lags)]
    if picture:
        if not lags:
            raise UsageError(
                f"--picture with --flow draws the gradient against the steps back; {specimen.name} has less than three "
                "steps, or no gradient."
            )
        drawn = gradients_by_lag({lag.letter: lag.gradients for lag in lags}, title=f"{specimen.name} by steps back")
        write_atomically(picture, render(drawn, "png"))
        result["picture"] = str(picture)
        lines.append(str(picture))
    if remedies:
        tried = [
            [r.name, f"{r.flow.worst_ratio:.2e}", r.flow.verdict] if r.flow else [r.name, "", f"not tried: {r.why_not}"]
            for r in remedies
        ]
        lines.append("\nRemedies, each tried on a copy:")
        lines.append(plain_table(["remedy", "first / last", "verdict"], tried, align="lrl"))
    return lines


def _by_lag(lags: list[LagFlow]) -> list[Any]:
    """The gradient at lags 0, 1, 2, 4 …: a row for each sequence."""
    last = [len(lag.gradients) - 1 for lag in lags]
    shown = sorted({0, *last, *(2**k for k in range(max(last).bit_length()))})
    rows = [[lag.letter, *(f"{lag.gradients[k]:.2e}" if k < len(lag.gradients) else "" for k in shown)] for lag in lags]
    return [
        "\nBy lag: the gradient of the last output with respect to the input k steps before the end.",
        plain_table(["steps back", *map(str, shown)], rows, align="lr"),
    ]


def modes(specimen: Specimen, result: dict[str, Any], seed: int) -> list[Any]:
    """What differs between training and evaluation."""
    found = compare_modes(specimen.module, *specimen.inputs, seed=seed, **specimen.keywords)
    result["modes"] = asdict(found)
    rows = [[m.path, m.op, f"{m.difference:.3g}", number_text(m.noise), m.what] for m in found.layers]
    lines: list[Any] = []
    if rows:
        lines.append(plain_table(["layer", "operation", "difference", "noise", "train and eval"], rows, align="llrrl"))
        lines.append("")
    return [*lines, *found.lines]


def simplified(specimen: Specimen, result: dict[str, Any]) -> list[Any]:
    """Layers that fold into others."""
    found = simplify(specimen.module, *specimen.inputs, **specimen.keywords)
    result["simplify"] = {
        "folds": [asdict(fold) for fold in found.folds],
        "relative_difference": found.difference,
        "refused": found.refused,
    }
    return found.lines


def drawn_graph(found: Inspection, path: Path, result: dict[str, Any]) -> list[str]:
    """The graph of the layers, drawn into a file."""
    write_atomically(path, svg(found))
    result["svg"] = str(path)
    return [str(path)]


def drawn_field(
    found: Inspection, specimen: Specimen, path: Path, layer: str | None, result: dict[str, Any]
) -> list[str]:
    """The receptive field of a layer, drawn into a file."""
    if found.sequence:
        raise UsageError(f"--picture draws fields on images; add --flow to draw how far back {specimen.name} looks.")
    if found.fields.axes != (2, 3):
        raise UsageError(f"--picture draws fields on images (N, C, H, W); {specimen.name} takes none.")
    chosen = _choose_layer(found, specimen, layer)
    read, strength, middle = pixels(found, specimen.module, *specimen.inputs, layer=chosen.path, **specimen.keywords)
    assert chosen.receptive_field
    image = specimen.inputs[[value is found.fields.input for value in found.trace.inputs].index(True)][0]
    title = f"{specimen.name} {chosen.path}"
    write_atomically(path, picture.draw(image, read, strength, chosen.receptive_field, middle, title))
    result["picture"] = str(path)
    return [str(path)]


def _choose_layer(found: Inspection, specimen: Specimen, name: str | None) -> Layer:
    modules = dict(specimen.module.named_modules())
    fit = [
        x for x in found.layers
        if x.path in modules and x.path and x.receptive_field and not any(a.whole for a in x.receptive_field)
        and x.op == type(modules[x.path]).__name__
    ]  # fmt: skip
    names = [x.path for x in fit]
    if not fit or (name and name not in names):
        allowed = f"; it has {', '.join(names)}" if names else ""
        raise UsageError(
            f"{specimen.name} has no layer{f' {name}' if name else ''} with positions to draw a field of{allowed}."
        )
    return fit[names.index(name)] if name else fit[-1]


def with_images(specimen: Specimen, data: str, data_dir: Path | None, seed: int) -> Specimen:
    """The same network with real images as its first input."""
    if not specimen.inputs:
        raise UsageError(f"--data gives images as the first input; {specimen.name} gets all of its inputs by name.")
    images = load_dataset(data, data_dir=data_dir).train.images
    wanted = specimen.inputs[0]
    if tuple(wanted.shape[1:]) != tuple(images.shape[1:]):
        given, needed = ("×".join(map(str, shape[1:])) for shape in (images.shape, wanted.shape))
        raise UsageError(
            f"images of {data} are {given}, but {specimen.name} takes {needed}; give --input or other --data."
        )
    order = torch.randperm(len(images), generator=torch.Generator().manual_seed(seed))[: len(wanted)]
    batch = images[order].float() / 255
    return type(specimen)(specimen.name, specimen.module, (batch, *specimen.inputs[1:]), specimen.keywords)


def _gradient(size: float | None) -> str:
    return "none" if size is None else f"{size:.2e}"


def _percent(fraction: float | None) -> str:
    return "" if fraction is None else f"{100 * fraction:.1f} %"

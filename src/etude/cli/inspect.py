"""`etude inspect`: questions about a network that a computation answers."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tyro

from etude.cli.parse import Values, flat
from etude.cli.printing import json_text, plain_table, progress_line, show_parts
from etude.errors import UsageError

if TYPE_CHECKING:
    from etude.inspection.layers import Inspection, Layer
    from etude.inspection.source import Subject

TABLE_BATCH, TRAIN_BATCH, CHECK_BATCH, FLOW_BATCH = 1, 2, 3, 64
"""Examples per batch where none are asked for: for the table in evaluation and in training (where batch-norm needs
several), the gradient check, and what needs statistics."""


def inspect(
    network: tyro.conf.Positional[str],
    *,
    input: Values = [],  # noqa: B006 (tyro shows the default)
    batch_size: int | None = None,
    train: bool = False,
    modules: bool = False,
    probe: bool = False,
    gradcheck: bool = False,
    flow: bool = False,
    modes: bool = False,
    simplify: bool = False,
    data: str | None = None,
    data_dir: Path | None = None,
    svg: Path | None = None,
    picture: Path | None = None,
    layer: str | None = None,
    seed: int = 0,
    json: bool = False,
) -> None:
    """Show a network's shapes, cost and receptive field, or check its gradients.

    Args:
        network: lenet, gan-generator, dcgan-discriminator, vae …, or a file's: net.py:Net or "net.py:Net(3, width=16)".
        input: Shape of each input without the batch, as 3,32,32. int9:20 is 20 whole numbers below 9.
            mask=20:bool gives an input by its name and its type.
        batch_size: Examples in the batch; 1 for the table (2 with --train), 3 for --gradcheck, 64 for --flow and
            --modes.
        train: Show the table of training mode instead of evaluation.
        modules: Totals of every module that holds others.
        probe: Measure the receptive field with poisoned inputs and compare.
        gradcheck: Compare all gradients with central differences in float64.
        flow: Scale of activations and gradients layer by layer, and what cures it.
        modes: What differs between training and evaluation, and by how much.
        simplify: Layers that fold into others, with proof.
        data: Real images for --flow, --modes and --picture: digits, mnist, fashion-mnist, cifar10.
        data_dir: Where data is looked for first.
        svg: Draw the graph of the layers into this file.
        picture: Draw a layer's receptive field on an image into this PNG file.
        layer: The layer of --picture; the last one with positions when not given.
        seed: Determines weights and inputs.
        json: Print one JSON object on stdout.
    """
    from etude.inspection.layers import inspect as inspect_module
    from etude.inspection.source import load

    if layer and not picture:
        raise UsageError("--layer chooses the layer of --picture; give --picture FILE.png too.")

    if train and (probe or picture):
        raise UsageError("--probe and --picture look at evaluation; leave --train out.")

    def subject(size: int) -> Subject:
        found = load(network, flat(input), batch_size=size if batch_size is None else batch_size, seed=seed)
        return _with_images(found, data, data_dir, seed) if data else found

    sections: list[Any] = []
    with contextlib.redirect_stdout(sys.stderr):  # what the network's own code prints is no result
        small = subject(TRAIN_BATCH if train else TABLE_BATCH)
        found = inspect_module(small.module, *small.inputs, name=small.name, train=train, **small.keywords)
        result = found.to_dict()
        if modules:
            from etude.inspection.table import modules as module_totals

            sections += module_totals(found)
        if probe:
            sections += _probe(found, small, result)
        if gradcheck:
            sections += _gradcheck(subject(CHECK_BATCH), result, seed)
        if flow:
            sections += _flow(subject(FLOW_BATCH), result, seed)
        if modes:
            sections += _modes(subject(FLOW_BATCH), result, seed)
        if simplify:
            sections += _simplify(small, result)
        if svg:
            from etude.files import write_atomically
            from etude.inspection.graph import svg as draw

            write_atomically(svg, draw(found))
            result["svg"] = str(svg)
            sections.append(f"{svg}")
        if picture:
            _draw_field(found, small, picture, layer)
            result["picture"] = str(picture)
            sections.append(f"{picture}")
    if json:
        print(json_text(result))
        return
    from etude.inspection.table import render

    show_parts(sections or render(found))


# --- sections of `inspect` ----------------------------------------------------------------------------------------


def _probe(found: Inspection, subject: Subject, result: dict[str, Any]) -> list[Any]:
    from etude.inspection.probe import probe

    show = progress_line("positions")
    measured = probe(found, subject.module, *subject.inputs, progress=show, **subject.keywords)
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
        plain_table(headings, rows, left=0),
        "\nmeasured: one input position poisoned (NaN) at a time, eval mode, float64.",
    ]


def _gradcheck(subject: Subject, result: dict[str, Any], seed: int) -> list[Any]:
    from etude.inspection.gradcheck import gradcheck, shape_of, summary

    show = progress_line("gradients")
    checks = gradcheck(subject.module, *subject.inputs, seed=seed, progress=show, **subject.keywords)
    result["gradcheck"] = [
        {"name": c.name, "shape": list(c.shape), "fault": c.fault, "wrong": c.wrong, "checked": c.checked,
         "message": c.message,
         "entries": len(c.entries), "worst_relative_difference": c.worst}
        for c in checks
    ]  # fmt: skip
    rows = [[c.name, shape_of(c), str(len(c.entries)), f"{c.worst:.1e}", c.message or "ok"] for c in checks]
    return [
        plain_table(["tensor", "shape", "entries", "worst", "verdict"], rows, left=2, last_left=True),
        f"\n{summary(checks)}",
    ]


def _flow(subject: Subject, result: dict[str, Any], seed: int) -> list[Any]:
    from etude.inspection.gradient_flow import gradient_flow, try_remedies

    flow = gradient_flow(subject.module, *subject.inputs, seed=seed, **subject.keywords)
    remedies = [] if flow.verdict in ("healthy", "unknown") else try_remedies(
        subject.module, *subject.inputs, seed=seed, **subject.keywords
    )  # fmt: skip
    if flow.trouble_over_time:  # what a recurrent network has no layers for is no news
        remedies = [remedy for remedy in remedies if remedy.flow]
    result["flow"] = {
        "verdict": flow.verdict, "ratio": flow.ratio, "per_layer": flow.per_layer,
        "layers": [vars(layer) for layer in flow.layers],
        "time": [
            {"path": t.path, "op": t.op, "steps": t.steps, "verdict": t.verdict, "ratio": t.ratio,
             "per_step": t.per_step, "gradients": t.gradients}
            for t in flow.time
        ],
        "unknown": flow.unknown,
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
        for layer in flow.layers
    ]  # fmt: skip
    lines: list[Any] = [
        plain_table(["layer", "operation", "activation", "gradient", "dead", "saturated"], rows, left=2)
    ]
    if flow.time:
        lines.append("\nOver time: the gradient of the last step alone, at each step.")
        over_time = [
            [t.path or "·", t.op, str(t.steps), *(_gradient(t.gradients[i]) for i in (0, t.steps // 2, -1)),
             f"{t.per_step:.2g}", t.verdict]
            for t in flow.time
        ]  # fmt: skip
        headings = ["layer", "operation", "steps", "first", "middle", "last", "per step", "verdict"]
        lines.append(plain_table(headings, over_time, left=2, last_left=True))
    lines += ["", *flow.lines]
    if remedies:
        tried = [
            [r.name, f"{r.flow.worst_ratio:.2e}", r.flow.verdict] if r.flow else [r.name, "", f"not tried: {r.why_not}"]
            for r in remedies
        ]
        lines.append("\nRemedies, each tried on a copy:")
        lines.append(plain_table(["remedy", "first / last", "verdict"], tried, left=1, last_left=True))
    return lines


def _modes(subject: Subject, result: dict[str, Any], seed: int) -> list[Any]:
    from dataclasses import asdict

    from etude.inspection.modes import compare_modes, number_text

    found = compare_modes(subject.module, *subject.inputs, seed=seed, **subject.keywords)
    result["modes"] = asdict(found)
    rows = [[m.path, m.op, f"{m.difference:.3g}", number_text(m.noise), m.what] for m in found.layers]
    lines: list[Any] = []
    if rows:
        lines.append(
            plain_table(["layer", "operation", "difference", "noise", "train and eval"], rows, left=2, last_left=True)
        )
        lines.append("")
    return [*lines, *found.lines]


def _simplify(subject: Subject, result: dict[str, Any]) -> list[Any]:
    from dataclasses import asdict

    from etude.inspection.simplify import simplify

    found = simplify(subject.module, *subject.inputs, **subject.keywords)
    result["simplify"] = {
        "folds": [asdict(fold) for fold in found.folds],
        "relative_difference": found.difference,
        "refused": found.refused,
    }
    return found.lines


def _draw_field(found: Inspection, subject: Subject, path: Path, layer: str | None) -> None:
    from etude.files import write_atomically
    from etude.inspection.field_picture import draw
    from etude.inspection.probe import pixels

    if found.fields.axes != (2, 3):
        raise UsageError(f"--picture draws fields on images (N, C, H, W); {subject.name} takes none.")
    chosen = _choose_layer(found, subject, layer)
    read, strength, middle = pixels(found, subject.module, *subject.inputs, layer=chosen.path, **subject.keywords)
    assert chosen.receptive_field
    image = subject.inputs[[value is found.fields.input for value in found.trace.inputs].index(True)][0]
    write_atomically(path, draw(image, read, strength, chosen.receptive_field, middle, f"{subject.name} {chosen.path}"))


def _choose_layer(found: Inspection, subject: Subject, name: str | None) -> Layer:
    modules = dict(subject.module.named_modules())
    fit = [
        x for x in found.layers
        if x.path in modules and x.path and x.receptive_field and not any(a.whole for a in x.receptive_field)
        and x.op == type(modules[x.path]).__name__
    ]  # fmt: skip
    names = [x.path for x in fit]
    if not fit or (name and name not in names):
        allowed = f"; it has {', '.join(names)}" if names else ""
        raise UsageError(
            f"{subject.name} has no layer{f' {name}' if name else ''} with positions to draw a field of{allowed}."
        )
    return fit[names.index(name)] if name else fit[-1]


def _with_images(subject: Subject, data: str, data_dir: Path | None, seed: int) -> Subject:
    import torch

    from etude.data.loading import load

    if not subject.inputs:
        raise UsageError(f"--data gives images as the first input; {subject.name} gets all of its inputs by name.")
    images = load(data, data_dir=data_dir).train.images
    wanted = subject.inputs[0]
    if tuple(wanted.shape[1:]) != tuple(images.shape[1:]):
        given, needed = ("×".join(map(str, shape[1:])) for shape in (images.shape, wanted.shape))
        raise UsageError(
            f"images of {data} are {given}, but {subject.name} takes {needed}; give --input or other --data."
        )
    order = torch.randperm(len(images), generator=torch.Generator().manual_seed(seed))[: len(wanted)]
    batch = images[order].float() / 255
    return type(subject)(subject.name, subject.module, (batch, *subject.inputs[1:]), subject.keywords)


def _gradient(size: float | None) -> str:
    return "none" if size is None else f"{size:.2e}"


def _percent(fraction: float | None) -> str:
    return "" if fraction is None else f"{100 * fraction:.1f} %"

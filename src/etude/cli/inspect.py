"""`etude inspect`, `etude solve` and `etude derive`: questions that a computation answers."""

from __future__ import annotations

import json as json_format
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from etude.errors import UsageError

if TYPE_CHECKING:
    from torch import Tensor

    from etude.inspection.layers import Inspection, Layer
    from etude.inspection.source import Subject

TABLE_BATCH, CHECK_BATCH, FLOW_BATCH = 1, 3, 64
"""Examples per batch where none are asked for: for the table, the gradient check, and what needs statistics."""


def inspect(
    network: tyro.conf.Positional[str],
    *,
    input: list[str] = [],  # noqa: B006 (tyro shows the default)
    batch_size: int | None = None,
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
        input: Shape of each input without the batch, as 3,32,32; int9:20 is 20 whole numbers below 9.
        batch_size: Examples in the batch; 1 for the table, 3 for --gradcheck, 64 for --flow and --modes.
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

    def subject(size: int) -> Subject:
        found = load(network, input, batch_size=size if batch_size is None else batch_size, seed=seed)
        return _with_images(found, data, data_dir, seed) if data else found

    small = subject(TABLE_BATCH)
    found = inspect_module(small.module, *small.inputs, name=small.name, **small.keywords)
    result: dict[str, Any] = found.to_dict()
    sections: list[Any] = []
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
        print(json_format.dumps(result))
        return
    from etude.inspection.table import render

    _show(sections or render(found))


def solve_conv(
    *,
    size_in: Annotated[int, tyro.conf.arg(name="in")],
    size_out: Annotated[int | None, tyro.conf.arg(name="out")] = None,
    kernel: int | None = None,
    stride: int | None = None,
    padding: int | None = None,
    dilation: int | None = None,
    transposed: bool = False,
    mirror: str | None = None,
    all: bool = False,
    json: bool = False,
) -> None:
    """Find the convolutions that make one size of another.

    With --out every one that fits, the usual first; without it the output of the one that is given.

    Args:
        size_in: Positions that go in, along one axis.
        size_out: Positions that must come out.
        kernel: Kernel size; 1 to 11 are tried when not given.
        stride: Stride; every one when not given.
        padding: Padding on each side; up to half of the input when not given.
        dilation: Dilation; every one when not given.
        transposed: Transposed convolution.
        mirror: An encoder's layers, as "k3s2p1 k3s2p1": print the transposed ones that undo it.
        all: Print all solutions; the first 20 otherwise.
        json: Print one JSON list on stdout.
    """
    from etude.inspection.conv_solver import apply, solve
    from etude.inspection.conv_solver import mirror as undo

    if mirror is not None:
        given = {"out": size_out, "kernel": kernel, "stride": stride, "padding": padding, "dilation": dilation}
        if stray := [name for name, value in given.items() if value is not None]:
            raise UsageError(f"--mirror holds every layer's settings; leave --{stray[0]} out.")
        found = [back for _, back in reversed(undo(size_in, mirror))]
    elif size_out is not None:
        found = solve(size_in, size_out, kernel=kernel, stride=stride, padding=padding, dilation=dilation,
                      transposed=transposed)  # fmt: skip
    elif kernel is None:
        raise UsageError(
            "give --out to find convolutions, --kernel to compute an output, or --mirror to undo an encoder."
        )
    else:
        found = [apply(size_in, kernel, stride or 1, padding or 0, dilation or 1, transposed=transposed)]
    if json:
        print(json_format.dumps([conv.to_dict() for conv in found]))
        return
    if not found:
        print(f"no convolution makes {size_out} of {size_in} positions with these settings.")
        return
    back = transposed or mirror is not None
    headings = ["kernel", "stride", "padding", "dilation", *(["output padding"] if back else []), "in", "output"]
    headings += [] if back else ["dropped", "in padding"]
    shown = found if all else found[:20]
    rows = []
    for conv in shown:
        cells: list[int | str] = [conv.kernel, conv.stride, conv.padding, conv.dilation]
        cells += [conv.output_padding] if back else []
        cells += [conv.size_in, conv.output]
        cells += [] if back else [conv.dropped or "", conv.in_padding or ""]
        rows.append([str(cell) for cell in cells])
    lines: list[Any] = [_table(headings, rows, left=0)]
    if len(found) > len(shown):
        lines.append(
            f"\n{len(found) - len(shown)} more; --all prints them, --kernel, --stride or --dilation narrows them."
        )
    if not back:
        lines.append(
            "\ndropped: positions at the end that no window starts at; in padding: outputs that see only padding."
        )
    _show(lines)


def derive(
    expression: tyro.conf.Positional[str],
    *,
    wrt: str | None = None,
    shapes: list[str] = [],  # noqa: B006 (tyro shows the default)
    at: list[str] = [],  # noqa: B006
    json: bool = False,
) -> None:
    """Differentiate an expression of matrices and vectors in closed form, verified.

    Names that begin with a small letter are column vectors, with a capital letter matrices. Functions: exp log sqrt
    square abs sin cos sigmoid relu tanh softplus sum mean trace norm det logdet inv softmax logsumexp
    cross_entropy(logits, y) bce(logits, y) mse(p, y). Without --wrt, logarithms are taken apart.

    Args:
        expression: In Python: "x.T @ A @ y"; `@` multiplies matrices, `*` entries.
        wrt: The name to differentiate for.
        shapes: Shapes that differ from the convention: A=3,4 x=n b=1 (a scalar).
        at: Numbers to evaluate at: p=0.8,0.2 (a vector), A=1,2;3,4 (rows of a matrix).
        json: Print one JSON object on stdout.
    """
    from etude.inspection.derive import LAYOUT
    from etude.inspection.derive import derive as derive_expression
    from etude.inspection.derive import expand as expand_expression

    given = dict(_pair("--shapes", text) for text in shapes)
    values = {name: _numbers(name, text) for name, text in (_pair("--at", text) for text in at)}
    for name, value in values.items():
        given.setdefault(name, ",".join(str(size) for size in value.shape))
    if wrt is None:
        expanded = expand_expression(expression, shapes=given, values=values)
        if json:
            print(json_format.dumps(expanded.to_dict()))
            return
        print(f"{expression}\n  = {expanded.answer}")
        _print_at(expanded.at)
        print(f"\nchecked: relative difference {expanded.difference:.0e} from the text at random values in float64.")
        return
    found = derive_expression(expression, wrt, shapes=given, values=values)
    if json:
        print(json_format.dumps(found.to_dict()))
        return
    print(f"∂/∂{wrt} {expression}\n  = {found.answer}")
    _print_at(found.at)
    named = ", ".join(f"{name} {shape}" for name, shape in found.shapes.items())
    print(f"\nshape: {found.shape}, where {named}{''.join(f'; {note}' for note in found.notes)}")
    print(f"layout: {LAYOUT}")
    sizes = ", ".join(f"{name} = {size}" for name, size in found.sizes.items())
    where = f" at {sizes}" if sizes else ""
    print(f"checked: relative difference {found.difference:.0e} from autograd in float64{where}.")


# --- sections of `inspect` ----------------------------------------------------------------------------------------


def _probe(found: Inspection, subject: Subject, result: dict[str, Any]) -> list[Any]:
    from etude.inspection.probe import probe

    measured = probe(found, subject.module, *subject.inputs, **subject.keywords)
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
            "reached_by_gradient": axis.seen_by_gradient.bit_count(),
            "agrees": axis.agrees,
        }
        result["probe"].append(entry)
        rows.append([*(str(value) for value in list(entry.values())[:-1]), words[axis.agrees]])
    headings = [
        "input axis",
        "output positions",
        "largest span",
        "largest taps",
        "reached by gradient",
        "derived field",
    ]
    return [
        _table(headings, rows, left=0),
        "\nmeasured: one input position poisoned (NaN) at a time, eval mode, float64.",
    ]


def _gradcheck(subject: Subject, result: dict[str, Any], seed: int) -> list[Any]:
    from etude.inspection.gradcheck import gradcheck, shape_of, summary

    checks = gradcheck(subject.module, *subject.inputs, seed=seed, **subject.keywords)
    result["gradcheck"] = [
        {"name": c.name, "shape": list(c.shape), "fault": c.fault, "wrong": c.wrong, "message": c.message,
         "entries": len(c.entries), "worst_relative_difference": c.worst}
        for c in checks
    ]  # fmt: skip
    rows = [[c.name, shape_of(c), str(len(c.entries)), f"{c.worst:.1e}", c.message or "ok"] for c in checks]
    return [
        _table(["tensor", "shape", "entries", "worst", "verdict"], rows, left=2, last_left=True),
        f"\n{summary(checks)}",
    ]


def _flow(subject: Subject, result: dict[str, Any], seed: int) -> list[Any]:
    from etude.inspection.gradient_flow import gradient_flow, try_remedies

    flow = gradient_flow(subject.module, *subject.inputs, seed=seed, **subject.keywords)
    remedies = [] if flow.verdict == "healthy" else try_remedies(
        subject.module, *subject.inputs, seed=seed, **subject.keywords
    )  # fmt: skip
    result["flow"] = {
        "verdict": flow.verdict, "ratio": flow.ratio, "per_layer": flow.per_layer,
        "layers": [vars(layer) for layer in flow.layers],
        "remedies": [
            {"name": r.name, "verdict": r.flow and r.flow.verdict, "ratio": r.flow and r.flow.ratio, "cures": r.cures,
             "why_not": r.why_not}
            for r in remedies
        ],
    }  # fmt: skip
    rows = [
        [layer.path or "·", layer.op, f"{layer.activation_rms:.2e}",
         "none" if layer.gradient_rms is None else f"{layer.gradient_rms:.2e}", _percent(layer.dead),
         _percent(layer.saturated)]
        for layer in flow.layers
    ]  # fmt: skip
    lines: list[Any] = [_table(["layer", "operation", "activation", "gradient", "dead", "saturated"], rows, left=2)]
    lines.append(f"\n{flow.message}")
    if remedies:
        tried = [
            [r.name, f"{r.flow.ratio:.2e}", r.flow.verdict] if r.flow else [r.name, "", f"not tried: {r.why_not}"]
            for r in remedies
        ]
        lines.append("\nRemedies, each tried on a copy:")
        lines.append(_table(["remedy", "first / last", "verdict"], tried, left=1, last_left=True))
    return lines


def _modes(subject: Subject, result: dict[str, Any], seed: int) -> list[Any]:
    from dataclasses import asdict

    from etude.inspection.modes import NUM_DRAWS, compare_modes

    found = compare_modes(subject.module, *subject.inputs, seed=seed, **subject.keywords)
    result["modes"] = asdict(found)
    rows = [[m.path, m.op, f"{m.difference:.3g}", f"{m.noise:.3g}", m.what] for m in found.layers]
    lines: list[Any] = []
    if rows:
        lines.append(
            _table(["layer", "operation", "difference", "noise", "train and eval"], rows, left=2, last_left=True)
        )
    else:
        lines.append("No layer gives another output in training mode than in evaluation.")
    lines.append(
        f"\noutput: difference {found.difference:.3g}, noise {found.noise:.3g}, relative to its size in evaluation "
        f"({NUM_DRAWS} passes)."
    )
    if found.updated_buffers:
        lines.append(f"training updates {', '.join(found.updated_buffers)}.")
    return [*lines, *(f"! {text}" for text in found.findings)]


def _simplify(subject: Subject, result: dict[str, Any]) -> list[Any]:
    from dataclasses import asdict

    from etude.inspection.simplify import simplify

    found = simplify(subject.module, *subject.inputs, **subject.keywords)
    result["simplify"] = {"folds": [asdict(fold) for fold in found.folds], "relative_difference": found.difference}
    if not found.folds:
        return ["Nothing folds: no two layers in a row that one could replace."]
    lines = [f"{'✓' if fold.when == 'always' else '✓ eval'} {fold.message}" for fold in found.folds]
    return [
        *lines,
        f"\nproof: the folded network's outputs differ by {found.difference:.1e} of the largest, float64, eval mode.",
    ]


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
        raise UsageError(f"{subject.name} has no layer {name or ''} with positions to draw a field of{allowed}.")
    return fit[names.index(name)] if name else fit[-1]


def _with_images(subject: Subject, data: str, data_dir: Path | None, seed: int) -> Subject:
    import torch

    from etude.data.loading import load

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


# --- printing -----------------------------------------------------------------------------------------------------


def _table(headings: list[str], rows: list[list[str]], *, left: int, last_left: bool = False) -> Any:
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    for i, heading in enumerate(headings):
        leftwards = i < left or (last_left and i == len(headings) - 1)
        table.add_column(heading, justify="left" if leftwards else "right", overflow="fold", no_wrap=not leftwards)
    for row in rows:
        table.add_row(*(escape(cell) for cell in row))
    return table


def _show(parts: list[Any]) -> None:
    from rich.console import Console
    from rich.text import Text

    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = 200  # a file or a pipe has no width: cut nothing
    for part in parts:
        part = Text(part) if isinstance(part, str) else part
        console.print(part, soft_wrap=isinstance(part, Text))


def _percent(fraction: float | None) -> str:
    return "" if fraction is None else f"{100 * fraction:.1f} %"


def _pair(flag: str, text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name.isidentifier() or not value:
        raise UsageError(f"{flag} has {text!r}; allowed: NAME=VALUE, as x=3.")
    return name, value


def _numbers(name: str, text: str) -> Tensor:
    import torch

    try:
        rows = [[float(part) for part in row.split(",")] for row in text.split(";")]
        values = torch.tensor(rows, dtype=torch.float64)
    except ValueError as error:
        raise UsageError(
            f"--at has {name}={text}; allowed: numbers, as 0.8,0.2, rows of a matrix apart by `;`."
        ) from error
    return values if name[0].isupper() or len(rows) > 1 else values.T  # a vector is a column


def _print_at(at: dict[str, Any]) -> None:
    for name, value in at.items():
        flat = value[0][0] if len(value) == 1 and len(value[0]) == 1 else value
        column = [row[0] for row in flat] if isinstance(flat, list) and all(len(row) == 1 for row in flat) else flat
        print(f"  {name} = {_rounded(column)}")


def _rounded(value: Any) -> str:
    return f"[{', '.join(_rounded(v) for v in value)}]" if isinstance(value, list) else f"{value:.6g}"

"""`etude solve` and `etude derive`: convolutions of a wanted size, and derivatives in closed form."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import tyro

from etude.cli.parse import Values, flat
from etude.cli.printing import json_text, plain_table, show_parts
from etude.errors import UsageError

if TYPE_CHECKING:
    from torch import Tensor


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
        given = (kernel, 1 if stride is None else stride, padding or 0, 1 if dilation is None else dilation)
        found = [apply(size_in, *given, transposed=transposed)]
    if json:
        print(json_text([conv.to_dict() for conv in found]))
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
    lines: list[Any] = [plain_table(headings, rows, left=0)]
    if len(found) > len(shown):
        lines.append(
            f"\n{len(found) - len(shown)} more; --all prints them, --kernel, --stride or --dilation narrows them."
        )
    if not back:
        lines.append(
            "\ndropped: positions at the end that no window starts at; in padding: outputs that see only padding."
        )
    show_parts(lines)


def derive(
    expression: tyro.conf.Positional[str],
    *,
    wrt: str | None = None,
    shapes: Values = [],  # noqa: B006 (tyro shows the default)
    at: Values = [],  # noqa: B006
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

    given = dict(_pair("--shapes", text) for text in flat(shapes))
    values = {name: _numbers(name, text) for name, text in (_pair("--at", text) for text in flat(at))}
    for name, value in values.items():
        given.setdefault(name, ",".join(str(size) for size in value.shape))
    if wrt is None:
        expanded = expand_expression(expression, shapes=given, values=values)
        if json:
            print(json_text(expanded.to_dict()))
            return
        print(f"{expression}\n  = {expanded.answer}")
        _print_at(expanded.at)
        print(f"\nchecked: relative difference {expanded.difference:.0e} from the text at random values in float64.")
        return
    found = derive_expression(expression, wrt, shapes=given, values=values)
    if json:
        print(json_text(found.to_dict()))
        return
    print(f"∂/∂{wrt} {expression}\n  = {found.answer}")
    _print_at(found.at)
    named = ", ".join(f"{name} {shape}" for name, shape in found.shapes.items())
    print(f"\nshape: {found.shape}, where {named}{''.join(f'; {note}' for note in found.notes)}")
    print(f"layout: {LAYOUT}")
    sizes = ", ".join(f"{name} = {size}" for name, size in found.sizes.items())
    where = f" at {sizes}" if sizes else ""
    print(f"checked: relative difference {found.difference:.0e} from autograd in float64{where}.")


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

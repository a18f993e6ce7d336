"""`etude solve` and `etude derive`: convolutions of a wanted size, and derivatives in closed form."""

from __future__ import annotations

import re
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
    hessian: bool = False,
    shapes: Values = [],  # noqa: B006 (tyro shows the default)
    at: Values = [],  # noqa: B006
    json: bool = False,
) -> None:
    """Differentiate an expression of matrices and vectors in closed form, verified.

    Names that begin with a small letter are column vectors, with a capital letter matrices. Functions, entry by entry:
    exp log sqrt square abs sign sin cos tan sinh cosh sigmoid relu tanh softplus max(a, b) min(a, b). Of vectors:
    softmax log_softmax logsumexp outer(x, y) dot(x, y) diag, of matrices: trace det logdet inv kron(A, B) diag. With one
    value: sum mean max min norm cross_entropy(logits, y) bce(logits, y) mse(p, y). sum(X, 0) and mean(X, 0) go over
    rows. mean(f(x_i), i) goes over samples: names that end with _i have a value for each. Other names may be used as
    functions: phi(z) is any function of each entry, L(w) any function with one value. Without --wrt, logarithms of
    products are taken apart.

    Args:
        expression: In Python: "x.T @ A @ y"; `@` multiplies matrices, `*` entries.
        wrt: The name to differentiate for.
        hessian: The second derivative of a scalar.
        shapes: Shapes that differ from the convention: A=3,4 x=n b=1 (a scalar), f=1 (a function with one value).
        at: Numbers to evaluate at: p=0.8,0.2 (a vector), A=1,2;3,4 (rows of a matrix).
        json: Print one JSON object on stdout.
    """
    from etude.inspection.derive import derive as derive_expression

    given = dict(_pair("--shapes", text) for text in flat(shapes))
    values = {name: _numbers(name, text) for name, text in (_pair("--at", text) for text in flat(at))}
    found = derive_expression(expression, wrt, shapes=given, at=values, hessian=hessian)
    print(json_text(found.to_dict()) if json else found)


def expressions_apart(words: list[str]) -> list[str]:
    """The words of `etude derive`, an expression that begins with a minus marked as one by a space."""
    return [f" {word}" if _is_negative(word) else word for word in words]


def _is_negative(word: str) -> bool:
    return word.startswith("-") and not re.fullmatch(r"-h|--|--[a-z]+(-[a-z]+)*(=.*)?", word, re.DOTALL)


def _pair(flag: str, text: str) -> tuple[str, str]:
    name, equals, value = text.strip().partition("=")
    if not equals or not name.isidentifier() or not value:
        shown = text if len(text) <= 60 else f"{text[:60]}…"
        raise UsageError(f"{flag} has {shown!r}; allowed: NAME=VALUE, as x=3.")
    return name, value


def _numbers(name: str, text: str) -> Tensor:
    import torch

    try:
        rows = [[float(part) for part in row.split(",")] for row in text.split(";")]
        values = torch.tensor(rows, dtype=torch.float64)
    except ValueError as error:
        raise UsageError(
            f"--at has {name}={text:.60}; allowed: numbers, as 0.8,0.2, rows of a matrix apart by `;`."
        ) from error
    return values if name[0].isupper() or len(rows) > 1 else values.T  # a vector is a column

"""`etude solve` and `etude derive`: convolutions of a wanted size, and derivatives in closed form."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated

import tyro

from etude.cli.parse import Values, flat
from etude.cli.printing import print_json
from etude.errors import UsageError

if TYPE_CHECKING:
    from torch import Tensor


def solve_conv(
    *,
    size_in: Annotated[str, tyro.conf.arg(name="in")],
    size_out: Annotated[str | None, tyro.conf.arg(name="out")] = None,
    kernel: str | None = None,
    stride: str | None = None,
    padding: str | None = None,
    dilation: str | None = None,
    transposed: bool = False,
    chain: str | None = None,
    mirror: str | None = None,
    all: bool = False,
    json: bool = False,
) -> None:
    """Find the convolutions that make one size of another.

    With --out every one that fits, the usual first; without it the output of the one that is given. Of a picture that
    is not square, give both sizes as 64x48; a setting may be one for both axes or two, as 3x5.

    Args:
        size_in: Positions that go in, along one axis, or along each, as 64x48.
        size_out: Positions that must come out.
        kernel: Kernel size; 1 up to the input are tried when not given.
        stride: Stride; every one when not given.
        padding: Padding on each side, or same; up to half of the input when not given.
        dilation: Dilation; every one when not given.
        transposed: Transposed convolution.
        chain: Layers, as "k5 pool2 k3s2p1 tk4s2p1": print the size after each. With --out and a ? for one layer, or for
            some of its settings (k3s?p?), find what may stand there.
        mirror: An encoder's layers, as "k3s2p1 k3s2p1": print the transposed ones that undo it.
        all: Print all solutions; the first 20 otherwise.
        json: Print one JSON list on stdout.
    """
    from etude.inspection.calculus.conv_solver import solve

    size = _integers("in", size_in)
    assert size is not None
    found = solve(
        size,
        _integers("out", size_out),
        kernel=_integers("kernel", kernel),
        stride=_integers("stride", stride),
        padding="same" if padding == "same" else _integers("padding", padding),
        dilation=_integers("dilation", dilation),
        transposed=transposed,
        chain=chain,
        mirror=mirror,
    )
    if json:
        print_json(found.to_list())
        for note in found.notes:
            print(note, file=sys.stderr)
        return
    print(found.text(None) if all else found)


def _integers(flag: str, text: str | None) -> int | list[int] | None:
    """64, or 64x48: one per axis."""
    if text is None:
        return None
    parts = re.split("[x×]", text.strip())
    if not all(re.fullmatch("-?[0-9]{1,20}", part) for part in parts):
        shown = text if len(text) <= 40 else f"{text[:40]}…"
        more = ", or same" if flag == "padding" else ""
        raise UsageError(f"--{flag} is {shown!r}; allowed: a whole number, or one per axis as 64x48{more}.")
    numbers = [int(part) for part in parts]
    return numbers[0] if len(numbers) == 1 else numbers


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
    softmax log_softmax logsumexp outer(x, y) dot(x, y) diag, of matrices: trace det logdet inv kron(A, B) diag. With
    one value: sum mean max min norm cross_entropy(logits, y) bce(logits, y) mse(p, y). sum(X, 0) and mean(X, 0) go over
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
    from etude.inspection.calculus.derive import derive as derive_expression

    given = _pairs("--shapes", flat(shapes))
    values = {name: _numbers(name, text) for name, text in _pairs("--at", flat(at)).items()}
    found = derive_expression(expression, wrt, shapes=given, at=values, hessian=hessian)
    if json:
        print_json(found.to_dict())
    else:
        print(found)


def expressions_apart(words: list[str]) -> list[str]:
    """The words of `etude derive`, an expression that begins with a minus marked as one by a space."""
    return [f" {word}" if _is_negative(word) else word for word in words]


def _is_negative(word: str) -> bool:
    return word.startswith("-") and not re.fullmatch(r"-h|--|--[a-z]+(-[a-z]+)*(=.*)?", word, re.DOTALL)


def _pairs(flag: str, texts: Iterable[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, value in (_pair(flag, text) for text in texts):
        if name in found:
            raise UsageError(f"{flag} names {name} twice; give it once.")
        found[name] = value
    return found


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

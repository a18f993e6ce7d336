"""`etude solve` and `etude derive`: convolutions that give a size, and derivatives in closed form."""

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
    """Find the convolutions that turn one size into another.

    With --out, it lists every convolution that fits, the usual ones first. Without it, it prints the output size of the
    one you give. For a picture that is not square, give both sizes, such as 64x48. A setting is one number for both
    axes or two, such as 3x5.

    Args:
        size_in: Size of the input along one axis, or along both, such as 64x48.
        size_out: Size of the output.
        kernel: Kernel size. Default: try 1 up to the input.
        stride: Stride. Default: try all.
        padding: Padding on each side, or same. Default: try 0 up to half of the input.
        dilation: Dilation. Default: try all.
        transposed: Solve for a transposed convolution.
        chain: Layers, such as "k5 pool2 k3s2p1 tk4s2p1": print the size after each. With --out and a ? for one layer,
            or for some of its settings (k3s?p?), find what fits there.
        mirror: An encoder's layers, such as "k3s2p1 k3s2p1": print the transposed ones that reverse it.
        all: Print all solutions. Default: the first 20.
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
    """64, or 64x48: one number per axis."""
    if text is None:
        return None
    parts = re.split("[x×]", text.strip())
    if not all(re.fullmatch("-?[0-9]{1,20}", part) for part in parts):
        shown = text if len(text) <= 40 else f"{text[:40]}…"
        more = ", or same" if flag == "padding" else ""
        raise UsageError(f"--{flag} is {shown!r}; allowed: a whole number, or one per axis, such as 64x48{more}.")
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
    """Differentiate an expression of matrices and vectors in closed form, and check the result.

    A name that starts with a small letter is a column vector, one with a capital letter a matrix. Functions of each
    entry: exp log sqrt square abs sign sin cos tan sinh cosh sigmoid relu tanh softplus max(a, b) min(a, b). Functions
    of vectors: softmax log_softmax logsumexp outer(x, y) dot(x, y) diag. Functions of matrices: trace det logdet inv
    kron(A, B) diag. Functions with one value: sum mean max min norm cross_entropy(logits, y) bce(logits, y) mse(p, y).
    sum(X, 0) and mean(X, 0) run over rows. mean(f(x_i), i) runs over samples: a name that ends in _i has one value per
    sample. You may use other names as functions: phi(z) is any function of each entry, L(w) any function with one
    value. Without --wrt, logarithms of products are split into sums.

    Args:
        expression: In Python syntax, such as "x.T @ A @ y"; `@` multiplies matrices, `*` multiplies entries.
        wrt: The name to differentiate with respect to.
        hessian: Give the second derivative of a scalar.
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
    """The words of `etude derive`. A space marks an expression that starts with a minus as one."""
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
        raise UsageError(f"{flag} has {shown!r}; allowed: NAME=VALUE, such as x=3.")
    return name, value


def _numbers(name: str, text: str) -> Tensor:
    import torch

    try:
        rows = [[float(part) for part in row.split(",")] for row in text.split(";")]
        values = torch.tensor(rows, dtype=torch.float64)
    except ValueError as error:
        raise UsageError(
            f"--at has {name}={text:.60}; allowed: numbers, such as 0.8,0.2, with `;` between the rows of a matrix."
        ) from error
    return values if name[0].isupper() or len(rows) > 1 else values.T  # a vector is a column

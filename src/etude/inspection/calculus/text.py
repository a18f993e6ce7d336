"""A person's text as a tree, within limits, and parts of it in messages."""

import ast
import re
from fractions import Fraction
from typing import Any

from etude.errors import UsageError
from etude.inspection.calculus.nodes import Node, number

MOST_CHARACTERS, DEEPEST = 1000, 60


def shortened(text: str) -> str:
    """A person's text in a message, in quotes and cut where it is long."""
    return repr(text if len(text) <= 80 else f"{text[:60]}…")


def read_text(text: str) -> ast.expr:
    """The text as a tree, within the limits of length and depth."""
    text = text.strip()
    if not text:
        raise UsageError("the expression is empty; write Python, for example x.T @ A @ y or sum(sigmoid(W @ x)).")
    if len(text) > MOST_CHARACTERS:
        raise UsageError(
            f"the expression has {len(text):,} characters, allowed are {MOST_CHARACTERS:,}; name its parts."
        )
    try:
        tree = ast.parse(text, mode="eval").body
    except (SyntaxError, ValueError, MemoryError, RecursionError) as error:
        because = error.msg if isinstance(error, SyntaxError) and error.msg else "it is no expression"
        raise UsageError(
            f"{shortened(text)} cannot be read: {because.splitlines()[0]}; write Python, for example x.T @ A @ y or "
            "sum(sigmoid(W @ x))."
        ) from None
    level, depth = [tree], 0
    while level:
        level, depth = [part for each in level for part in ast.iter_child_nodes(each)], depth + 1  # type: ignore[misc]
        if depth > 3 * DEEPEST:
            raise UsageError(f"the expression is more than {DEEPEST} levels deep; name its parts.")
    return tree


def constant(value: Any) -> Node:
    """A number as typed."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise UsageError(
            f"{shortened(str(value))} is not understood; allowed: numbers, names, + - * / ** @ .T, functions."
        )
    if abs(value) > 1e100:
        raise UsageError("the expression has a number beyond 1e100; use smaller numbers.")
    return number(Fraction(repr(value)))


def not_understood(tree: ast.expr, hint: str = "") -> UsageError:
    """The error for what is Python, but no expression here."""
    return UsageError(f"{where(tree)!r} is not understood; allowed: + - * / ** @ .T and functions.{hint}")


def turn(tree: ast.expr) -> ast.expr:
    """The tree of the transpose."""
    return tree.value if isinstance(tree, ast.Attribute) else ast.Attribute(tree, "T")


def where(tree: ast.expr) -> str:
    """The part of the text that a message is about."""
    found = re.sub(r"\s+", " ", ast.unparse(tree))
    return found if len(found) <= 80 else f"{found[:60]}…"

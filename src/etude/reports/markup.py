"""HTML in which every text is escaped, whoever wrote it: only what these functions build is taken as HTML."""

from collections.abc import Iterable, Sequence
from html import escape
from typing import final

from etude.errors import printable
from etude.reports.places import without_paths


@final
class Html(str):
    """A text that is HTML already. Any other text is escaped where it meets one."""

    __slots__ = ()


def html(text: str) -> Html:
    """A text as HTML. HTML stays; in other texts a path of this machine is shortened to the name at its end."""
    return text if isinstance(text, Html) else verbatim(without_paths(text))


def verbatim(text: str) -> Html:
    """A text of the data, such as a class name, as HTML: all of it, with codes for letters that nothing shows."""
    lines = (printable(line) for line in text.replace("\t", "    ").split("\n"))
    return Html(escape("\n".join(lines)))


def element(tag: str, *parts: str, **attributes: str) -> Html:
    """An element with these parts inside. The attribute `class_` is `class`, and `aria_label` is `aria-label`."""
    given = "".join(f' {name.rstrip("_").replace("_", "-")}="{html(value)}"' for name, value in attributes.items())
    return Html(f"<{tag}{given}>{joined(parts)}</{tag}>")


def joined(parts: Iterable[str], between: str = "") -> Html:
    """The parts one after the other."""
    return Html(html(between).join(map(html, parts)))


def paragraph(*parts: str) -> Html:
    """A paragraph."""
    return element("p", *parts)


def code(text: str) -> Html:
    """A few words as a person types them."""
    return element("code", text)


def block(text: str) -> Html:
    """Lines as they are, such as a command."""
    return element("pre", element("code", text), tabindex="0")


def table(
    headings: Sequence[str],
    rows: Iterable[Sequence[str]],
    *,
    left: int = 1,
    marked: Sequence[int] = (),
    about: str = "",
) -> Html:
    """A table: the first `left` columns are texts, the others numbers. `marked` rows stand out; `about` is above it."""

    def line(tag: str, cells: Sequence[str], kind: str = "") -> Html:
        sides = ["" if column < left else "number" for column in range(len(cells))]
        made = (
            element(tag, cell, **({"class_": side} if side else {}), **({"scope": "col"} if tag == "th" else {}))
            for cell, side in zip(cells, sides, strict=True)
        )
        return element("tr", *made, **({"class_": kind} if kind else {}))

    body = (line("td", row, "marked" if number in marked else "") for number, row in enumerate(rows))
    head = element("thead", line("th", headings)) if any(headings) else ""
    made = element("table", head, element("tbody", *body), **({"aria_label": about} if about else {}))
    return joined(
        [element("p", about, class_="caption") if about else "", element("div", made, class_="scroll", tabindex="0")]
    )


def folded(summary: str, *parts: str) -> Html:
    """Parts that a reader opens."""
    return element("details", element("summary", summary), *parts)

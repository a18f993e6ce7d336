"""The page: header, contents, sections, in one file that needs no other."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.metadata import version

from etude.reports.markup import Html, element, html, joined
from etude.reports.pictures import Picture, Shown, fit
from etude.reports.stylesheet import STYLE

_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
"""What a browser may load for the page: its own pictures and its own style. No script runs, whatever a text says."""

STATES = {
    "finished": "✓ finished",
    "running": "● in training",
    "interrupted": "◐ interrupted",
    "failed": "✕ failed",
    "waiting": "○ waiting",
    "damaged": "✕ damaged",
}
"""The state of a run as a reader sees it; the sign says the same as the colour."""


@dataclass(frozen=True, kw_only=True)
class Tile:
    """A number of the header, large, with what it is."""

    name: str
    value: str
    about: str = ""


@dataclass(frozen=True, kw_only=True)
class Section:
    """A part of the page with a heading."""

    title: str
    parts: Sequence[str | Shown]
    """HTML and figures; a text without a tag is a paragraph."""

    @property
    def anchor(self) -> str:
        """Its name in the address."""
        return self.title.lower().replace(" ", "-")


@dataclass(frozen=True, kw_only=True)
class Document:
    """A page; final."""

    kind: str
    """What it is a report of, in a word."""
    title: str
    subtitle: str
    badge: str = ""
    """A state or a verdict in a few words."""
    badge_kind: str = ""
    """Its colour: finished, running, interrupted or failed."""
    tiles: Sequence[Tile] = ()
    notices: Sequence[str] = ()
    """What a reader must know first."""
    sections: Sequence[Section] = field(default_factory=list)

    def html(self) -> str:
        """The file. Pictures that are too large for it are made smaller."""
        sections = [section for section in self.sections if section.parts]
        fit([picture for section in sections for part in section.parts for picture in _pictures(part)])
        badge = element("span", self.badge, class_=f"badge {self.badge_kind}") if self.badge else ""
        header = element(
            "header",
            element("p", f"étude report · {self.kind}", class_="kicker"),
            element("h1", self.title),
            element("p", badge, " " if badge else "", self.subtitle, class_="subtitle"),
            _tiles(self.tiles) if self.tiles else "",
            *(element("p", notice, class_="notice") for notice in self.notices),
        )
        links = (element("a", section.title, href=f"#{section.anchor}") for section in sections)
        contents = element("nav", *links, aria_label="Contents")
        main = element("main", *map(_section, sections))
        footer = element("footer", f"Written by étude {version('etude')}. This file loads nothing and runs no script.")
        return _PAGE.format(
            title=html(f"{self.title} · étude report"),
            policy=html(_POLICY),
            style=STYLE,
            body=joined([header, contents, main, footer], Html("\n")),
        )


def _pictures(part: str | Shown) -> Sequence[Picture]:
    return part.pictures if isinstance(part, Shown) else ()


def _tiles(tiles: Sequence[Tile]) -> Html:
    def one(tile: Tile) -> Html:
        about = element("span", tile.about, class_="about") if tile.about else ""
        return element("div", element("dt", tile.name), element("dd", element("b", tile.value), about))

    return element("dl", *map(one, tiles), class_="tiles")


def _section(section: Section) -> Html:
    parts = [
        part.html() if isinstance(part, Shown) else part if isinstance(part, Html) else element("p", part)
        for part in section.parts
    ]
    return element("section", element("h2", section.title), *parts, id=section.anchor)


_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="referrer" content="no-referrer">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
{body}
</body>
</html>
"""

"""Read a report as a browser does: its elements, its addresses and its words."""

from html.parser import HTMLParser
from pathlib import Path

VOID = {"meta", "img", "circle", "path", "br", "link", "input"}


class Page(HTMLParser):
    """A report that was read; every element that is opened must be closed."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.words: list[str] = []
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert not self._open, self._open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag, tag

    def handle_data(self, data: str) -> None:
        if "style" not in self._open:
            self.words.append(data)

    @property
    def text(self) -> str:
        """All words, with one space between."""
        return " ".join(" ".join(self.words).split())

    def of(self, tag: str) -> list[dict[str, str]]:
        """The attributes of every element of a kind."""
        return [attributes for name, attributes in self.tags if name == tag]

    def require_self_contained(self) -> None:
        """Nothing is loaded, nothing runs, and no address leads out of the page."""
        names = {name for name, _ in self.tags}
        assert names.isdisjoint({"script", "link", "iframe", "object", "embed", "base", "form", "video", "audio"})
        for name, attributes in self.tags:
            assert not [each for each in attributes if each.startswith("on")], (name, attributes)
            for key in ("src", "href", "srcset", "action", "poster", "data", "background", "xlink:href"):
                if key in attributes:
                    assert attributes[key].startswith(("data:image/png;base64,", "data:image/svg+xml;base64,", "#"))
            assert "url(" not in attributes.get("style", "")


def read(path: Path) -> Page:
    """The report in a file."""
    text = path.read_text("utf-8")
    style = text.partition("<style>")[2].partition("</style>")[0]
    assert style
    assert "url(" not in style
    assert "@import" not in style
    return Page(text)

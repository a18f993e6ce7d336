"""Pages, help, messages and docstrings are in plain English: none has the phrases that newcomers stumble over."""

import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = sorted(path for path in [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")] if path.name != "log.md")
"""The log keeps its words."""
MODULES = sorted((ROOT / "src/etude").rglob("*.py"))

STUMBLING = {
    "an old or rare word": r"\b(anew|besides|but for|for want of|so many|stands? in|stands? beside)\b",
    "a course or a mission that nobody named": r"\bthe course\b|\bcourse's\b|\bMission\b",
    "a distributive without 'per'": r"\b(bars?|columns?|files?|lines?|ms|one|processes|rows?|steps?|times) an? "
    r"(bin|cell|class|core|file|group|image|metric|run|second|seed|step)\b",
    "a fronted 'of'": r"(^|[.:] )Of (?!course)",
}


def prose(path: Path) -> Iterator[tuple[int, str]]:
    """Numbered lines of a page outside its code, or the texts and comments of a module."""
    if path.suffix == ".md":
        blocks = re.sub(r"```.*?```", lambda block: "\n" * block[0].count("\n"), path.read_text(), flags=re.DOTALL)
        yield from ((n, line) for n, line in enumerate(blocks.splitlines(), 1) if not line.startswith("    "))
        return
    for token in tokenize.generate_tokens(io.StringIO(path.read_text()).readline):
        if token.type in (tokenize.STRING, tokenize.COMMENT):
            yield from enumerate(token.string.splitlines(), token.start[0])


def stumbles(path: Path) -> list[str]:
    return [
        f"{path.name}, line {number}: {what}: {found[0].strip()!r}"
        for number, line in prose(path)
        for what, pattern in STUMBLING.items()
        if (found := re.search(pattern, line))
    ]


@pytest.mark.parametrize("path", [*PAGES, *MODULES], ids=lambda path: str(path.relative_to(ROOT)))
def test_nobody_stumbles(path: Path) -> None:
    assert stumbles(path) == []


def test_stumbling_is_noticed(tmp_path: Path) -> None:
    (tmp_path / "page.md").write_text("Of a sweep it draws\none a core, anew.\n\n    code stays: one a core\n")
    (tmp_path / "module.py").write_text('"""As the course does."""\nx = 1  # a row a run\n')
    assert stumbles(tmp_path / "page.md") == [
        "page.md, line 1: a fronted 'of': 'Of'",
        "page.md, line 2: an old or rare word: 'anew'",
        "page.md, line 2: a distributive without 'per': 'one a core'",
    ]
    assert stumbles(tmp_path / "module.py") == [
        "module.py, line 1: a course or a mission that nobody named: 'the course'",
        "module.py, line 2: a distributive without 'per': 'row a run'",
    ]

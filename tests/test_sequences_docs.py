"""docs/sequences.md: its files are written and its commands are run in their order, on small data for a short time."""

import re
import runpy
import shlex
from pathlib import Path

import pytest

from etude.cli import main
from etude.data.text.clauses import make_clauses
from etude.data.text.opinions import make_opinions

PAGE = (Path(__file__).parents[1] / "docs" / "sequences.md").read_text(encoding="utf-8")
SECTIONS = dict(re.findall(r"^## (.*?)\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL))

SHORT = "--batch-size 16 --epochs 1 --threads 1 --quiet"
FEW = "--train-images 64 --validation-images 16"
SHORTER = {"fold=0..9": "fold=0..1", "--seeds 8": "--seeds 2", "--batch-size 20 --epochs 2": ""}
"""What the page's commands say, and what the test says instead."""


@pytest.fixture
def in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a little of every data set that the page reads."""
    opinions, clauses = make_opinions(), make_clauses()
    sentences = {label: [text for text, given in opinions if given == label][:100] for label in (0, 1)}
    files = {
        "data/rt-polarity/rt-polarity.neg": sentences[0],
        "data/rt-polarity/rt-polarity.pos": sentences[1],
        "data/tinyshakespeare/input.txt": ["ROMEO: What light through yonder window breaks?"] * 200,
        "novel.txt": ["It was the best of times, it was the worst of times."] * 200,
        "reviews.csv": ["text,label", *(f'"{text}",{label}' for text, label in opinions[:300])],
    }
    for part, start in (("train", 0), ("val", 100), ("test_2016_flickr", 200)):
        for side, name in enumerate(("de", "en")):
            files[f"data/multi30k/{part}.{name}"] = [pair[side] for pair in clauses[start : start + 100]]
    for name, lines in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("\n".join(lines) + "\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ETUDE_DATA", "data")
    monkeypatch.setenv("ETUDE_RUNS", "runs")
    return tmp_path


def blocks(section: str) -> list[str]:
    """What the section indents, in its order: commands or Python."""
    found = re.findall(
        r"(?:^    .*\n)+", re.sub(r"^```.*?^```", "", section, flags=re.MULTILINE | re.DOTALL), re.MULTILINE
    )
    return [re.sub(r"^    ", "", block, flags=re.MULTILINE).replace("\\\n", " ") for block in found]


def shortened(command: str) -> list[str]:
    for old, new in SHORTER.items():
        command = command.replace(old, new)
    words = shlex.split(command, comments=True)[1:]
    if words[0] in ("train", "sweep"):
        words += SHORT.split()
        if words[0] == "train":
            words.append("--no-figures")
        if not any(word.startswith("char-") for word in words):
            words += FEW.split()
        if "--width" not in words and ".py:Net" not in command:
            words += ["--width", "16"]
    return words


@pytest.mark.parametrize("name", SECTIONS)
def test_commands_work(name: str, in_a_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for code in re.findall(r"^```python\n(.*?)^```", SECTIONS[name], re.MULTILINE | re.DOTALL):
        Path(code.split()[1]).write_text(code, encoding="utf-8")  # "# my_net.py"
    run = ""
    for block in blocks(SECTIONS[name]):
        if not block.startswith("etude "):
            Path("script.py").write_text(block, encoding="utf-8")
            runpy.run_path("script.py")
            continue
        for command in block.splitlines():
            code = main(shortened(command.replace("RUN", run)))
            printed = capsys.readouterr()
            assert code == 0, f"{command}: {printed.err}"
            if command.startswith("etude train"):
                run = max(Path("runs").iterdir(), key=lambda folder: folder.stat().st_mtime).name


def test_every_section_has_commands() -> None:
    counts = {name: sum(block.count("etude ") for block in blocks(section)) for name, section in SECTIONS.items()}
    assert list(counts) == ["Sentiment", "Translation", "Language models"]
    assert min(counts.values()) >= 4

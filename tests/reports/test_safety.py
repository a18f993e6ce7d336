"""What a report must not do: run what a text says, or tell where it was made and by whom."""

import base64
import io
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from etude import recipes
from etude.drawing.tiles import write_png
from etude.errors import RunError
from etude.reports import report
from etude.reports.markup import code, element, html, table, verbatim
from etude.reports.pictures import read as read_picture
from etude.reports.places import data_told, told, without_paths
from etude.runs import RunStatus
from reports.made import made_sweep, never_trained
from reports.reading import Page, read

HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "</style><svg onload=alert(1)>",
    "=HYPERLINK('x')",
    "a\u2028b\u202ec",
    "{{x}} %s {0} `rm`",
)


def lenet() -> recipes.Recipe:
    return recipes.change(recipes.get("lenet"), data="digits")


def test_a_class_cannot_write_html(tmp_path: Path) -> None:
    state = RunStatus(status="failed", error=f"diverged in {HOSTILE[0]}")
    dataset_notes = {"notes": list(HOSTILE), "left_out": list(HOSTILE)}
    run = never_trained(
        tmp_path,
        replace(lenet(), about=HOSTILE[1]),
        class_names=HOSTILE,
        state=state,
        events={f"test/accuracy/{name}": 0.5 for name in HOSTILE},
    )
    run.configuration["dataset"] |= dataset_notes
    run.configuration["versions"] = {HOSTILE[0]: HOSTILE[1]}
    run.configuration["machine"] = {"processor": HOSTILE[2], "system": ["<b>"], "hostname": "secret"}
    page = read(report(run).path)
    page.require_self_contained()
    assert len(page.of("img")) == len(page.of("figure")) == 1
    for name in HOSTILE:
        shown = name.replace("\u2028", "\\u2028").replace("\u202e", "\\u202e")
        assert shown.replace("`", "") in page.text.replace("`", "")
    assert "secret" not in page.text
    written = run.path / "report.html"
    assert "\u2028" not in written.read_text("utf-8")
    assert "\u202e" not in written.read_text("utf-8")


def test_names_of_runs_and_grids_cannot_write_html(tmp_path: Path) -> None:
    folder = tmp_path / "<b>runs"
    folder.mkdir()
    run = never_trained(folder, lenet())
    run.path.rename(folder / HOSTILE[1].replace("/", ""))
    renamed = folder / HOSTILE[1].replace("/", "")
    sweep = made_sweep(folder, {"batch_size": [4, 8]}, [[0.5], [0.6]])
    (sweep.path / "batch_size-4-seed-0" / "recipe.json").write_text("<script>")
    for subject in (renamed, [renamed, sweep]):
        page = read(report(subject, tmp_path / "page.html").path)
        page.require_self_contained()
        assert "onerror=alert(1)" in page.text


def test_the_page_allows_nothing_by_policy(tmp_path: Path) -> None:
    page = read(report(never_trained(tmp_path, lenet())).path)
    policies = [each["content"] for each in page.of("meta") if each.get("http-equiv") == "Content-Security-Policy"]
    assert policies == [
        "default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
    ]
    assert {each["name"]: each["content"] for each in page.of("meta") if "name" in each}["referrer"] == "no-referrer"


def test_building_html() -> None:
    assert html("a < b & 'c'") == "a &lt; b &amp; &#x27;c&#x27;"
    assert html(html("<b>")) == "&lt;b&gt;"
    assert verbatim("/a/b\x00\n") == "/a/b\\x00\n"
    assert code("/home/me/x") == "<code>…/x</code>"
    assert element("p", "<", class_='"') == '<p class="&quot;">&lt;</p>'
    assert "<td>&lt;i&gt;</td>" in table(["<h>"], [["<i>"]])
    Page(table(["a", "b"], [["c", "d"]], about="e"))


# Where and by whom ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("cannot read /home/me/data/x.npz.", "cannot read …/x.npz."),
        ("folder:/home/me/photos", "folder:…/photos"),
        ("a and/or b, 1/2, test/accuracy, images/s", "a and/or b, 1/2, test/accuracy, images/s"),
        ("see https://arxiv.org/abs/1312.6114", "see https://arxiv.org/abs/1312.6114"),
        ("'/root' (/a/b) \"/c/d/\"", "'…/root' (…/b) \"…/d\""),
        ("a / b // c", "a / b // c"),
    ],
)
def test_paths_are_shortened(text: str, expected: str) -> None:
    assert without_paths(text) == expected


@pytest.fixture
def ada(monkeypatch: pytest.MonkeyPatch) -> None:
    """The machine and its user have names that can be looked for."""
    monkeypatch.setattr("socket.gethostname", lambda: "engine.lovelace.example")
    monkeypatch.setattr("getpass.getuser", lambda: "ada-l")
    monkeypatch.setattr(Path, "home", lambda: Path("/home/ada lovelace"))


@pytest.mark.usefixtures("ada")
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("run /x/runs/vae: train/loss is NaN", "run …/vae: train/loss is NaN"),
        ("damaged /home/ada lovelace/runs/vae/state.json: gone", "damaged …/state.json: gone"),
        ("damaged /mine/run/state.json, in /mine/run", "damaged state.json, in run"),
        ("ada-l on engine, engine.lovelace.example", "… on …, …"),
        ("the engines of adal", "the engines of adal"),
    ],
)
def test_messages_are_told_without_places(text: str, expected: str) -> None:
    assert told(text, Path("/mine/run")) == expected


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("digits", "digits"),
        ("folder:/home/me/my photos", "folder:my photos"),
        ("npz:/home/me/x.npz", "npz:x.npz"),
        ("csv:/home/me/x.csv:species", "csv:x.csv:species"),
        ("pairs:/home/me/a.de,/home/you/a.en", "pairs:a.de,a.en"),
        ("python:mine", "mine"),
    ],
)
def test_data_are_called_by_the_last_part_of_their_path(name: str, expected: str) -> None:
    assert data_told(name) == expected


@pytest.mark.usefixtures("ada")
def test_nothing_private(tmp_path: Path) -> None:
    home = tmp_path / "ada lovelace"
    home.mkdir()
    data = f"folder:{home}/photos"
    made_up = {"name": data, "data_dir": str(home), "notes": [f"read {home}/photos"], "left_out": [f"{home}/x.png"]}
    error = f"cannot read {home}/photos/1.png on engine as ada-l."
    run = never_trained(home, replace(lenet(), data=data), state=RunStatus(status="failed", error=error))
    run.configuration["dataset"] |= made_up
    run.data_name = data
    sweep = made_sweep(home, {"data": [data, "digits"]}, [[0.5], [0.6]])
    (sweep.path / "data-digits-seed-0" / "state.json").write_text("{")
    pictures = home / "run" / "samples"
    pictures.mkdir()
    information = PngImagePlugin.PngInfo()
    information.add_text("Author", "ada-l")
    write_png(pictures / "step-0.png", np.zeros((8, 8), np.uint8))
    Image.new("L", (8, 8)).save(pictures / "step-10.png", pnginfo=information)
    for subject in (run, [run, sweep], sweep, next(sweep.members()).path):
        written = report(subject, tmp_path / "page.html")
        content = written.path.read_text("utf-8")
        for secret in (str(tmp_path), "lovelace", "ada-l", str(Path.cwd())):
            assert secret not in content
        text = read(written.path).text
        assert not re.search(r"\bengine\b", text)
        assert "folder:photos" in text
        for image in read(written.path).of("img"):
            inside = base64.b64decode(image["src"].partition(",")[2])
            assert b"ada-l" not in inside
            assert str(tmp_path).encode() not in inside
    assert "The path of the data is left out: write it in full in place of folder:photos." in text


def test_pictures_of_a_run_that_are_too_large_or_no_pictures(tmp_path: Path) -> None:
    content = io.BytesIO()
    Image.new("1", (8_000, 4_000)).save(content, format="PNG")
    path = tmp_path / "step-3.png"
    for made in (content.getvalue(), b"GIF89a", b"<svg onload=alert(1)>"):
        path.write_bytes(made)
        with pytest.raises(RunError) as caught:
            read_picture(path, "")
        assert str(caught.value) == f"damaged picture {path}: delete it."

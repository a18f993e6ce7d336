"""`etude translate` as a person uses it: texts and lines, attention, JSON, mistakes."""

import io
import json
import sys
from pathlib import Path

import pytest

from etude.cli import main
from etude.cli.show_translation import as_dict
from etude.data import load
from etude.runs import Run
from made_up import make_run, translator

SENTENCES = load("clauses").test.texts["source"][:3]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Run]:
    folder = tmp_path_factory.mktemp("runs")
    return {name: translator(folder, attention=name) for name in ("dot", "none")}


def translate(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    code = main(["translate", *words])
    out, err = capsys.readouterr()
    return code, out, err


def lines_in(monkeypatch: pytest.MonkeyPatch, content: bytes) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content), encoding="utf-8"))


def test_a_sentence_gives_its_translation(runs: dict[str, Run], capsys: pytest.CaptureFixture[str]) -> None:
    run = runs["dot"]
    (expected,) = run.translate(SENTENCES[0])
    assert translate(capsys, str(run.path), SENTENCES[0]) == (0, f"{expected.translation}\n", "")
    (wide,) = run.translate(SENTENCES[0], beam=4)
    assert translate(capsys, str(run.path), SENTENCES[0], "--beam", "4") == (0, f"{wide.translation}\n", "")


def test_json_has_the_source_the_translation_and_the_alignment(
    runs: dict[str, Run], capsys: pytest.CaptureFixture[str]
) -> None:
    for words in (["--json"], ["--json", "--attention"]):
        code, out, _ = translate(capsys, str(runs["dot"].path), SENTENCES[0], *words)
        found = json.loads(out)
        (expected,) = runs["dot"].translate(SENTENCES[0])
        assert code == 0
        assert list(found) == ["source", "translation", "alignment"]
        assert found["source"] == SENTENCES[0]
        assert found["translation"] == expected.translation
        alignment = found["alignment"]
        assert alignment["source_tokens"] == list(expected.source_tokens)
        assert alignment["source_tokens"][-1] == "<eos>"
        assert alignment["tokens"] == list(expected.tokens)
        assert [len(row) for row in alignment["weights"]] == [len(expected.source_tokens)] * len(expected.tokens)
        assert all(sum(row) == pytest.approx(1, abs=1e-3) for row in alignment["weights"])
    _, out, _ = translate(capsys, str(runs["none"].path), SENTENCES[0], "--json")
    assert json.loads(out)["alignment"] is None


def test_attention_names_the_source_tokens_of_each_token(
    runs: dict[str, Run], capsys: pytest.CaptureFixture[str]
) -> None:
    (expected,) = runs["dot"].translate(SENTENCES[0])
    assert expected.alignment is not None
    code, out, _ = translate(capsys, str(runs["dot"].path), SENTENCES[0], "--attention")
    first, *rows = out.splitlines()
    assert (code, first, len(rows)) == (0, expected.translation, len(expected.tokens))
    for row, token, weights in zip(rows, expected.tokens, expected.alignment, strict=True):
        place = int(weights.argmax())
        assert row.split()[:3] == [token, expected.source_tokens[place], f"{float(weights[place]):.2f}"]


def test_without_attention_there_is_none_to_show(runs: dict[str, Run], capsys: pytest.CaptureFixture[str]) -> None:
    run = runs["none"]
    message = f"etude: run {run.name} has no attention: leave --attention out.\n"
    assert translate(capsys, str(run.path), SENTENCES[0], "--attention") == (2, "", message)


def test_each_line_of_stdin_is_a_sentence(
    runs: dict[str, Run], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = runs["dot"]
    expected = [each.translation for each in run.translate(SENTENCES)]
    lines_in(monkeypatch, f"{SENTENCES[0]}\n\n{SENTENCES[1]}\r\n{SENTENCES[2]}".encode())
    assert translate(capsys, str(run.path)) == (0, f"{expected[0]}\n\n{expected[1]}\n{expected[2]}\n", "")
    lines_in(monkeypatch, "".join(f"{sentence}\n" for sentence in SENTENCES).encode())
    code, out, _ = translate(capsys, str(run.path), "--json")
    assert code == 0
    assert [json.loads(line) for line in out.splitlines()] == json.loads(
        json.dumps([as_dict(each) for each in run.translate(SENTENCES)])
    )


def test_another_run_than_a_translator_is_refused(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    message = "etude: run other is of a lenet and cannot translate: choose a run of a translator.\n"
    path = str(make_run(tmp_path, "other").path)
    assert translate(capsys, path, SENTENCES[0]) == (2, "", message)
    lines_in(monkeypatch, b"")
    assert translate(capsys, path) == (2, "", message)


def test_mistakes(
    runs: dict[str, Run], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path = str(runs["dot"].path)
    assert translate(capsys, path, " ") == (2, "", "etude: ' ' has no word to translate: give a sentence.\n")
    long = "etude: a text of 1,001 tokens (allowed: at most 1,000): give one sentence at a time.\n"
    assert translate(capsys, path, "Hund " * 1001) == (2, "", long)
    for beam in ("0", "101"):
        message = f"etude: --beam {beam} (allowed: 1 to 100).\n"
        assert translate(capsys, path, SENTENCES[0], "--beam", beam) == (2, "", message)
    lines_in(monkeypatch, b"Ein Hund.\n\xff\n")
    code, _, err = translate(capsys, path)
    assert (code, err) == (2, "etude: stdin is not UTF-8 (invalid start byte at byte 10): give text in UTF-8.\n")

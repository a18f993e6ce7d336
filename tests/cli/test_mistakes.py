"""One line for every mistake: a seeded sample of attacks on every command, and the cases that once broke the rule.

`python tests/attacks/trials.py --tries 3000` is the same at full size.
"""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from etude.cli import main
from etude.runs import default_runs_dir

TESTS = Path(__file__).parents[1]
SOURCES = TESTS.parent / "src"
LONG = "a" * 300


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("ETUDE_RUNS", "ETUDE_DATA"):
        monkeypatch.delenv(name, raising=False)


def test_a_sample_of_attacks_finds_nothing() -> None:
    words = [sys.executable, str(TESTS / "attacks/trials.py"), "--tries", "80", "--seed", "5"]
    done = subprocess.run(words, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": str(SOURCES)})
    assert done.returncode == 0, done.stdout + done.stderr
    assert "80 tries, 0 broke the rule" in done.stdout


def said(words: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """What a command that fails says, without `etude: `."""
    assert main(words) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("etude: ")
    assert err.count("\n") == 1
    return err.removeprefix("etude: ").rstrip("\n")


CANNOT = "file name too long; check the path, its permissions and the space on the disk."
EMPTY = (
    "Error parsing {}: '' is no path (allowed: a name, or . for this folder); `etude {} --help` lists what is allowed."
)
MISTAKES = {
    ("show", LONG): f"no run '{'a' * 119}…{'a' * 79}' here or in runs: `etude runs` lists 0.",
    ("recipes", "vae", "--out", ""): EMPTY.format("--out", "recipes"),
    ("sample", "a", "--out", ""): EMPTY.format("--out", "sample"),
    ("inspect", "lenet", "--svg="): EMPTY.format("--svg", "inspect"),
    ("runs", "--runs-dir", ""): EMPTY.format("--runs-dir", "runs"),
    ("train", "vae", "--data-dir", ""): EMPTY.format("--data-dir", "train vae"),
    ("recipes", "vae", "--out", "."): "'.' is not a file name; give one, such as NAME.",
    ("train", "digits.toml"): "digits.toml is not TOML: it holds a whole number beyond 64 bits; "
    "`etude recipes vae` prints an example.",
    ("train", "deep.toml"): "deep.toml is not TOML: it is nested too deeply; `etude recipes vae` prints an example.",
    ("train", "latin.toml"): "latin.toml is not TOML: 'utf-8' codec can't decode byte 0xff in position 8: invalid "
    "start byte; `etude recipes vae` prints an example.",
    ("inspect", "lenet", "--batch-size", "1000000000"): "an input of 1000000000×3×32×32 has 3,072,000,000,000 numbers; "
    "allowed: 134,217,728; give smaller sizes or a smaller --batch-size.",
    ("inspect", "lenet", "--seed", str(2**70)): "--seed is 1180591620717411303424; allowed: in [0, 2^63).",
    ("inspect", "vae", "--input", "1,9000,9000"): "vae for images of 1×9000×9000 has 6,156,037,653 parameters; "
    "allowed: 134,217,728.",
    ("inspect", "lenet", "--input", "int99999999999999999999:3"): "--input is 'int99999999999999999999:3'; allowed: "
    "sizes without the batch, as 3,32,32, or int9:20 for indices.",
    ("data", "--data-dir", "~nouser"): "'~nouser': there is no such home folder; write the path in full.",
    ("verify", "exits.py", "mine.py"): "exits.py could not be imported: SystemExit: 0.",
    ("verify", "os_exits.py", "mine.py"): "os_exits.py could not be imported: SystemExit: 0.",
    ("verify", "odd.py", "mine.py"): "odd.py could not be imported: Odd.",
    ("verify", "empty.py", "mine.py"): "contract 'x': needs a name and what it is about, "
    "both texts, and one Check or more.",
    ("inspect", "os_exits.py:Net", "--input", "3"): "os_exits.py could not be imported: SystemExit: 0.",
    ("inspect", "itself.py:Net", "--input", "8"): "itself.py:Net contains itself, as me: keep a parent in a "
    "list, [parent], not as a layer.",
    ("inspect", "odd.py:Net", "--input", "3"): "odd.py could not be imported: Odd.",
    ("inspect", "mine.py:" + "(" * 300, "--input", "3"): "'mine.py:" + "(" * 111 + "…" + "(" * 79
    + "' names no network; write FILE.py:NAME or FILE.py:NAME(3, width=16).",
    ("show", "a\n\x1b[31mb"): "no run 'a\\n\\x1b[31mb' here or in runs: `etude runs` lists 0.",
}  # fmt: skip


def test_an_empty_ETUDE_RUNS_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ETUDE_RUNS", "")
    assert default_runs_dir() == Path("runs")


@pytest.mark.parametrize("words", MISTAKES, ids=lambda words: " ".join(words)[:40])
def test_each_mistake_has_its_line(words: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    Path("digits.toml").write_text(f'name = "lenet"\nseed = 9{"0" * 5000}\n')
    Path("deep.toml").write_text("a = " + "[" * 20_000)
    Path("latin.toml").write_bytes(b'name = "\xff"')
    Path("exits.py").write_text("import sys\nsys.exit(0)\n")
    Path("os_exits.py").write_text("import os\nos._exit(0)\n")
    Path("odd.py").write_text("raise type('Odd', (Exception,), {'__str__': lambda self: 1 / 0})()\n")
    Path("empty.py").write_text("from etude.verify import Contract\nCONTRACT = Contract('x', 'y', ())\n")
    Path("mine.py").write_text("")
    Path("itself.py").write_text(
        "from torch import nn\nclass Net(nn.Module):\n    def __init__(self):\n        super().__init__()\n"
        "        self.a = nn.Linear(8, 8)\n        self._modules['me'] = self\n"
        "    def forward(self, x): return self.a(x)\n"
    )
    before = set(Path().iterdir())
    assert said(list(words), capsys) == MISTAKES[words]
    assert {path for path in Path().iterdir() if path.name != "__pycache__"} == before


def process(words: list[str], *options: str, shell: str = '"$@"', **variables: str) -> subprocess.CompletedProcess[str]:
    """A process of its own, with its streams as the shell words say."""
    environment = {**os.environ, "PYTHONPATH": str(SOURCES), **variables}
    call = ["sh", "-c", shell, "sh", sys.executable, *options, "-m", "etude", *words]
    return subprocess.run(call, capture_output=True, text=True, env=environment)


@pytest.mark.parametrize(
    ("shell", "code", "err"),
    [
        ('"$@" >&-', 0, ""),
        ('"$@" >/dev/full', 2, "etude: cannot write the output: no space left on device.\n"),
        ('"$@" >/dev/full 2>/dev/full', 2, ""),
        ('"$@" nothing 2>&-', 2, ""),
        ('"$@" <&- >&- 2>&-', 0, ""),
    ],
)
def test_closed_and_full_streams(shell: str, code: int, err: str) -> None:
    done = process(["recipes"], shell=shell)
    assert (done.returncode, done.stderr) == (code, err)


def test_a_page_in_one_column_is_quick(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("COLUMNS", "1")
    started = time.process_time()
    with pytest.raises(SystemExit):
        main(["sample", "-h"])
    assert time.process_time() - started < 5  # it took minutes
    assert max(map(len, capsys.readouterr().out.splitlines())) > 30


def test_a_reader_that_has_left_is_no_error() -> None:
    done = process(["data", "--json"], shell='{ "$@"; echo $? >&2; } | true')
    assert done.stderr == "0\n"


def test_a_terminal_without_the_signs_gets_their_numbers() -> None:
    done = process(["data"], PYTHONIOENCODING="ascii")
    assert (done.returncode, done.stderr) == (0, "")
    assert "1\\xd728\\xd728" in done.stdout
    shown = process(["data", "--json"], PYTHONIOENCODING="ascii")
    assert {each["where"] for each in json.loads(shown.stdout)["data"] if each["name"] == "digits"} == {
        "comes with étude"
    }


def test_without_docstrings_and_asserts_the_commands_are_still_there() -> None:
    done = process(["--help"], "-OO")
    assert (done.returncode, done.stderr) == (0, "")
    assert "\n  train         \n" in done.stdout
    done = process(["inspect", "net.py:a.b()", "--input", "3"], "-OO")
    assert done.stderr == "etude: there is no file net.py; give the path of a Python file, as net.py:Net.\n"


def test_ctrl_c_while_libraries_are_imported_is_one_line(tmp_path: Path) -> None:
    """Held by an import that never ends, at the front of the path: of étude's own first library, and of a later one."""
    for library, words in (("tyro", ["--help"]), ("torch", ["inspect", "lenet"])):
        folder = tmp_path / library
        folder.mkdir()
        (folder / f"{library}.py").write_text(
            f"import time\nopen({str(folder / 'begun')!r}, 'w').close()\ntry:\n    time.sleep(60)\n"
            "except KeyboardInterrupt:\n    raise ImportError('turned into another error')\n"
        )
        environment = {**os.environ, "PYTHONPATH": f"{folder}{os.pathsep}{SOURCES}"}
        child = subprocess.Popen([sys.executable, "-m", "etude", *words], stderr=subprocess.PIPE, env=environment)
        while not (folder / "begun").exists():
            time.sleep(0.02)
        child.send_signal(signal.SIGINT)
        _, err = child.communicate(timeout=60)
        assert (child.returncode, err) == (130, b"etude: stopped.\n"), library


def test_ctrl_c_within_an_exec_is_still_130(tmp_path: Path) -> None:
    """Python notes a Ctrl-C that an exec() met, and would end itself by the signal though it was handled."""
    (tmp_path / "interrupted.py").write_text(
        "import sys\n"
        "import etude.cli\n"
        "from etude.__main__ import main\n"
        "from etude.cli.outcome import exit_code\n"
        "etude.cli.main = lambda: exit_code(lambda: exec('raise KeyboardInterrupt'))\n"
        "sys.exit(main())\n"
    )
    environment = {**os.environ, "PYTHONPATH": f"{tmp_path}:{SOURCES}"}
    done = subprocess.run([sys.executable, "-m", "interrupted"], capture_output=True, text=True, env=environment)
    assert (done.returncode, done.stderr) == (130, "etude: stopped.\n")

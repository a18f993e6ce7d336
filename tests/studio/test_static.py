"""The files of the page: what is not ours is as it was, and ours is checked by TypeScript."""

import hashlib
import json
import re
import shutil
import subprocess
import sys
from importlib import resources
from pathlib import Path

import pytest

STATIC = Path(str(resources.files("etude.studio") / "static"))
NODE_MODULES = Path(sys.prefix) / "node" / "node_modules"
OURS = sorted(path for path in STATIC.glob("*.js") if path.name != "uplot.js")


def test_vendored_files_have_the_recorded_checksums() -> None:
    rows = re.findall(
        r"^\| (\S+) \| .* \| ([0-9a-f]{64}) \|$", (STATIC / "VENDORED.md").read_text("utf-8"), re.MULTILINE
    )
    assert [name for name, _ in rows] == ["uplot.js", "uplot.css"]
    for name, checksum in rows:
        assert hashlib.sha256((STATIC / name).read_bytes()).hexdigest() == checksum, name


@pytest.mark.parametrize("path", OURS, ids=lambda path: path.name)
def test_text_never_becomes_code_and_nothing_comes_from_elsewhere(path: Path) -> None:
    text = path.read_text("utf-8")
    assert text.startswith("// @ts-check\n")
    for forbidden in ("innerHTML", "outerHTML", "insertAdjacentHTML", "eval(", "new Function", "document.write"):
        assert forbidden not in text
    assert set(re.findall(r"https?://[^\s\"'`]+", text)) <= {"http://www.w3.org/2000/svg"}  # a name, not a place


def test_types(tmp_path: Path) -> None:
    tsc, node = NODE_MODULES / "typescript" / "bin" / "tsc", shutil.which("node")
    if node is None or not tsc.exists():
        pytest.skip("node or TypeScript is not installed: make .venv/installed-dev, where npm is")
    options = {
        "allowJs": True, "checkJs": True, "noEmit": True, "strict": True, "noUnusedLocals": True, "types": [],
        "target": "es2024", "module": "es2022", "lib": ["esnext", "dom", "dom.iterable"],
    }  # fmt: skip
    project = tmp_path / "tsconfig.json"
    project.write_text(json.dumps({"compilerOptions": options, "files": [str(path) for path in OURS]}))
    done = subprocess.run([node, tsc, "-p", project], capture_output=True, text=True, check=False)
    assert done.stdout == ""
    assert done.returncode == 0

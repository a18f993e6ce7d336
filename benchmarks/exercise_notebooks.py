"""Make a notebook of each page of docs/exercises, and run it: examples/notebooks.

    python benchmarks/exercise_notebooks.py [PAGE …]
    python benchmarks/exercise_notebooks.py --text      # only the texts of the pages have changed: outputs stay

Text becomes text, a command becomes the call in Python that does the same, or a line for the shell if there is none.
Pictures in outputs are made smaller.
"""

import argparse
import ast
import os
import re
import shlex
from base64 import b64decode, b64encode
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any
from urllib.parse import quote

import nbformat
from exercise_pages import BLOCK, DOCS, PAGES, parts, small
from nbclient import NotebookClient

NOTEBOOKS = Path(__file__).parents[1] / "examples" / "notebooks"
WIDTH, COLOURS = 700, 32
"""Of a picture in a stored output."""
SETUP = """import os
import tempfile

import torch

import etude

%cd -q ../../docs/examples
os.environ["ETUDE_RUNS"] = tempfile.mkdtemp()  # runs are kept there"""
NAMED = {
    "lenet": "etude.inspect(etude.models.LeNet((3, 32, 32), 10), torch.rand(1, 3, 32, 32))",
    "dcgan-discriminator": "etude.inspect(etude.models.ConvDiscriminator((1, 28, 28)), torch.rand(1, 1, 28, 28))",
}
"""Networks of étude's that `etude inspect` knows by name."""
NOT_IN_PYTHON = ("--print-losses", "--no-figures", "2>&1")


def cells(page: str) -> Iterator[Any]:
    """The cells of a page's notebook, without outputs."""
    anchors = {slug(heading): heading for heading in re.findall(r"^#+ (.*)$", page, re.MULTILINE)}
    imported = sorted(set(re.findall(r"^\$ etude inspect \"?(\w+)\.py:", page, re.MULTILINE)))
    setup = nbformat.v4.new_code_cell("\n".join([SETUP, *(f"import {name}" for name in imported)]))
    head, _, rest = page.partition("\n## ")
    yield nbformat.v4.new_markdown_cell(as_text(head, anchors))
    yield setup
    for number, piece in enumerate(BLOCK.split(f"## {rest}")):
        if number % 2:
            for command, output in parts(piece):
                yield nbformat.v4.new_code_cell(translated(command, fails=output.startswith("etude: ")))
        elif text := as_text(piece, anchors):
            yield nbformat.v4.new_markdown_cell(text)


def slug(heading: str) -> str:
    """The anchor of a heading on a page of Markdown."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def as_text(text: str, anchors: dict[str, str]) -> str:
    """Markdown of a page as a notebook needs it: links from another folder, without pictures of outputs."""
    text = re.sub(r"!\[[^]]*\]\(\.\./images/(studies|exercises)/[^)]*\)\n*", "", text)
    text = re.sub(r"\(\.\./", "(../../docs/", text)
    text = re.sub(r"\((\w+)\.md", r"(../../docs/exercises/\1.md", text)
    return re.sub(r"\(#([^)]*)\)", lambda match: f"(#{quote(anchors[match[1]].replace(' ', '-'))})", text).strip()


def translated(command: str, *, fails: bool) -> str:
    """A command as Python, or for the shell where Python has no call for it, or it would end in an error."""
    first, *pipes = command.split(" | ")
    words = [word for word in shlex.split(first) if word not in NOT_IN_PYTHON]
    match words:
        case ["python", file]:
            return f"%run {file}"
        case ["etude", "study", name, *rest]:
            return call("etude.study", repr(name), *keywords(rest))
        case ["etude", "derive", expression, *rest]:
            return call("etude.derive", repr(expression), *derive_arguments(rest))
        case ["etude", "solve", "conv", "--in", size, *rest]:
            return call("etude.solve", size, *keywords(rest, {"out": "size_out"}))
        case ["etude", "train", recipe, *rest] if "--name" in rest:
            run = rest[rest.index("--name") + 1]
            return f"{run} = {call('etude.train', repr(recipe), *keywords(rest))}"
        case ["etude", "figure", run, name, *rest]:
            return call("etude.figure", run, repr(name), *keywords(rest))
        case ["etude", "sample", run, *_]:
            return call("etude.figure", run, '"samples"')
        case ["etude", "measure", run, "--metrics", metrics]:
            return call("etude.measure", run, f"metrics={metrics.split(',')!r}")
        case ["etude", "data", "show", name, *_]:
            return call("etude.data.load", repr(name))
        case ["etude", "inspect", network] if network in NAMED:
            return NAMED[network]
        case ["etude", "inspect", network, *rest] if ".py:" in network and not fails and shapes(rest):
            file, _, made = network.partition(".py:")
            return call("etude.inspect", f"{file}.{made}" + ("" if "(" in made else "()"), shapes(rest))
    return "!" + " | ".join([first, *pipes])


def call(function: str, *arguments: str) -> str:
    """A call on one line, or an argument per line if it is long."""
    line = f"{function}({', '.join(arguments)})".replace("'", '"')
    if len(line) <= 100:
        return line
    return "\n".join([f"{function}(", *(f"    {argument},".replace("'", '"') for argument in arguments), ")"])


def keywords(words: list[str], names: dict[str, str] | None = None) -> list[str]:
    """Flags as arguments by keyword."""
    found, rest = [], list(words)
    while rest:
        flag = rest.pop(0).removeprefix("--").replace("-", "_")
        value = "True" if not rest or rest[0].startswith("--") else literal(rest.pop(0))
        found.append(f"{(names or {}).get(flag, flag)}={value}")
    return found


def literal(word: str) -> str:
    """A number as it is, anything else as a text."""
    try:
        return repr(ast.literal_eval(word))
    except (ValueError, SyntaxError):
        return repr(word)


def derive_arguments(words: list[str]) -> list[str]:
    """The arguments of `etude.derive` after the expression."""
    flags = {
        part[0]: part[1:] for part in (each.split() for each in " ".join(words).split("--")) if part
    }  # no value of these flags has a space
    found = [f"{name!r}" for name in flags.get("wrt", ())]
    for flag in ("shapes", "at"):
        pairs = [word.split("=") for word in flags.get(flag, ())]
        if pairs:
            found.append(f"{flag}={{{', '.join(f'{name!r}: {literal(value)}' for name, value in pairs)}}}")
    return found


def shapes(words: list[str]) -> str:
    """The input that --input and --batch-size describe, as a tensor; empty if there are other flags."""
    given = dict(zip(words[::2], words[1::2], strict=False))
    if len(words) % 2 or not {"--input"} <= set(given) <= {"--input", "--batch-size"}:
        return ""
    kind, _, sizes = given["--input"].rpartition(":")
    shape = f"({given.get('--batch-size', '1')}, {sizes.replace(',', ', ')})"
    return f"torch.randint({kind.removeprefix('int')}, {shape})" if kind else f"torch.rand{shape}"


def notebook(page: str) -> Any:
    """The notebook of a page, without outputs; its cells are numbered, so that a page always gives the same file."""
    made = nbformat.v4.new_notebook(cells=list(cells((DOCS / "exercises" / f"{page}.md").read_text("utf-8"))))
    made.metadata["kernelspec"] = {"display_name": "Python 3", "language": "python", "name": "python3"}
    for number, cell in enumerate(made.cells):
        cell["id"] = f"{page}-{number}"
    return made


def tidy(cell: Any) -> None:
    """An output as it is stored: one form of it, smaller pictures, no progress of the shell."""
    for output in cell.get("outputs", []):
        data = output.get("data", {})
        if "text/html" in data:
            data.pop("text/plain", None)
            data["text/html"] = re.sub(r"data:image/png;base64,([^\"]+)", _smaller, data["text/html"])
        if output.output_type == "stream":
            output["text"] = re.sub(r"^.*: checks done after .*\n", "", output["text"], flags=re.MULTILINE)


def _smaller(match: re.Match[str]) -> str:
    out = BytesIO()
    small(BytesIO(b64decode(match[1])), WIDTH, COLOURS).save(out, "png", optimize=True)
    return f"data:image/png;base64,{b64encode(out.getvalue()).decode()}"


def with_outputs_of(made: Any, stored: Any) -> Any:
    """The notebook with the outputs of the one that is there; it must have the same code."""
    before = [cell for cell in stored.cells if cell.cell_type == "code"]
    after = [cell for cell in made.cells if cell.cell_type == "code"]
    if [cell.source for cell in before] != [cell.source for cell in after]:
        raise SystemExit("the code has changed: run the notebook, without --text")
    for old, new in zip(before, after, strict=True):
        new["outputs"], new["execution_count"] = old.outputs, old.execution_count
    return made


def main() -> None:
    """Make and run the notebooks that are named, or all."""
    flags = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    flags.add_argument("pages", nargs="*", choices=PAGES)
    flags.add_argument("--text", action="store_true", help="only the texts of the pages have changed: outputs stay")
    given = flags.parse_args()
    NOTEBOOKS.mkdir(exist_ok=True)
    for page in given.pages or PAGES:
        made, path = notebook(page), NOTEBOOKS / f"{page}.ipynb"
        if given.text:
            made = with_outputs_of(made, nbformat.read(path, as_version=4))
        else:
            run(made)
        nbformat.write(made, path)
        print(path, flush=True)


def run(made: Any) -> None:
    """Run a notebook, and make its outputs small."""
    where = {"metadata": {"path": str(NOTEBOOKS)}}
    client = NotebookClient(made, timeout=1800, record_timing=False, resources=where)
    client.execute(env={**os.environ, "COLUMNS": "100"})
    for cell in made.cells:
        tidy(cell)
    made.metadata.pop("language_info", None)


if __name__ == "__main__":
    main()

"""The rules of the house that a program can check: one-way imports, no circles, names and sizes of modules."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from etude.families.book import NAMES, family_named

PACKAGE = Path(__file__).parents[1] / "src" / "etude"

# A line may import from the lines above it and from itself. `etude/__init__.py` imports lazily and is exempt.
LINES = [
    {
        "errors",
        "files",
        "streams",
        "compute",
        "notebook",
        "source_text",
        "user_code",
        "losses",
        "data",
        "models",
        "metrics",
        "drawing",
    },
    {"families"},
    {"inspection", "verify"},
    {"recipes"},
    {"runs"},
    {"speed"},
    {"training"},
    {"measurement"},
    {"sweeps"},
    {"studies"},
    {"figures", "reports", "exports", "studio", "cli", "__main__"},
]
KNOW_FAMILIES = {"families", "verify", "models", "studies"}
"""Where a family or a network may be told from the others: verify holds contracts, studies claims about each."""
PYTORCHS_OWN = {"rnn", "gru", "lstm"}
"""Networks that have the name of an operation of PyTorch's, by which the inspection tells operations apart."""
FORBIDDEN_NAMES = {"utils", "helpers", "common", "base"}
MOST_LINES = 400


def modules(package: Path) -> list[Path]:
    return sorted(package.rglob("*.py"))


def line_of(part: str) -> int | None:
    return next((number for number, line in enumerate(LINES) if part in line), None)


def part_of(name: str) -> str:
    """`etude.data.idx` belongs to `data`; the package itself, `etude`, to ''."""
    return name.split(".")[1] if "." in name else ""


def imports(tree: ast.Module, package_name: str) -> Iterator[tuple[int, str, tuple[str, ...]]]:
    """Line number, module and the names taken from it, of every import of étude: in functions and for types too."""
    for node in ast.walk(tree):
        match node:
            case ast.Import():
                found = [(alias.name, ()) for alias in node.names]
            case ast.ImportFrom(module=module, level=level):
                above = package_name.split(".")[: -(level - 1) or None] if level else []
                source = ".".join([*above, *([module] if module else [])])
                found = [(source, tuple(alias.name for alias in node.names))]
            case ast.Call(func=ast.Name(id="import_module") | ast.Attribute(attr="import_module"), args=[first, *_]):
                found = [(first.value, ())] if isinstance(first, ast.Constant) and isinstance(first.value, str) else []
            case _:
                continue
        yield from ((node.lineno, name, taken) for name, taken in found if name.split(".")[0] == "etude")


def imported_names(tree: ast.Module, package_name: str) -> Iterator[tuple[int, str]]:
    """Line number and full name of every module of étude that a module imports."""
    for number, name, taken in imports(tree, package_name):
        # `from etude import losses` imports a part of étude, `from etude.losses import elbo` names its source.
        found = [f"etude.{part}" for part in taken] if name == "etude" else []
        yield from ((number, each) for each in found or [name])


def circles(package: Path) -> list[list[str]]:
    """Every circle of files: the names of modules that import one another, directly or through others."""
    files = {".".join(["etude", *path.relative_to(package).with_suffix("").parts]): path for path in modules(package)}
    files = {name.removesuffix(".__init__"): path for name, path in files.items()}
    needs: dict[str, set[str]] = {}
    for name, path in files.items():
        package_name = name if path.name == "__init__.py" else name.rpartition(".")[0]
        found = imports(ast.parse(path.read_text("utf-8")), package_name)
        # `from etude.data import idx` needs data/idx.py, `from etude.data import load` needs data/__init__.py.
        sources = [f"{module}.{part}" if f"{module}.{part}" in files else module
                   for _, module, taken in found for part in taken or ("",)]  # fmt: skip
        needs[name] = {source for source in sources if source in files}

    def reached(name: str) -> set[str]:
        seen, left = set[str](), [name]
        while left:
            new = needs[left.pop()] - seen
            seen |= new
            left += new
        return seen

    reach = {name: reached(name) for name in files}
    found = {tuple(sorted(each for each in reach[name] if name in reach[each])) for name in files}
    return sorted(list(circle) for circle in found if circle)


def import_mistakes(package: Path) -> list[str]:
    """One line for every import that goes down the list, and for every part of the package that is not on it."""
    mistakes = []
    for path in modules(package):
        relative = path.relative_to(package)
        if relative == Path("__init__.py"):
            continue
        names = ["etude", *relative.with_suffix("").parts]
        own = line_of(names[1])
        if own is None:
            mistakes.append(
                f"{relative}: `{names[1]}` is on no line of the house; add it to LINES in {Path(__file__).name}"
            )
            continue
        for number, name in imported_names(ast.parse(path.read_text("utf-8")), ".".join(names[:-1])):
            part = part_of(name)
            other = line_of(part)
            if other is None:
                mistakes.append(f"{relative}:{number}: imports {name}, which is on no line of the house")
            elif other > own:
                mistakes.append(f"{relative}:{number}: {names[1]} imports {name}, from a lower line")
    return mistakes


def family_classes(package: Path) -> set[str]:
    """Names of the classes that belong to one family: those in its folder, and what no other takes of models."""
    found: set[str] = set()
    takers: dict[str, set[str]] = {}
    for path in (package / "families").glob("*/*.py"):
        tree = ast.parse(path.read_text("utf-8"))
        found |= {node.name for node in ast.walk(tree) if isinstance(node, ast.ClassDef)}
        taken = [names for _, name, names in imports(tree, "") if name.startswith("etude.models")]
        for name in (name for names in taken for name in names if name[0].isupper()):
            takers.setdefault(name, set()).add(path.parent.name)
    return found | {name for name, families in takers.items() if len(families) == 1}


def family_mistakes(package: Path, classes: set[str], networks: set[str]) -> list[str]:
    """One line for every place that tells one family or network from the others, outside their own folders.

    Such are: isinstance, issubclass and `case` with a class of a family; a table or a list with a network's name, and
    a comparison or a `case` with one. A default or an example may name one.
    """
    mistakes = []
    for path in modules(package):
        relative = path.relative_to(package).as_posix()
        if relative.split("/")[0] in KNOW_FAMILIES:
            continue
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            asked: list[ast.expr | None] = []
            named: list[ast.expr | None] = []
            match node:
                case ast.Call(func=ast.Name(id="isinstance" | "issubclass"), args=[_, kinds]):
                    asked = [each for each in ast.walk(kinds) if isinstance(each, ast.Name | ast.Attribute)]
                case ast.MatchClass(cls=kind):
                    asked = [kind]
                case ast.Dict(keys=keys):
                    named = keys
                case ast.List(elts=items) | ast.Tuple(elts=items) | ast.Set(elts=items):
                    named = list(items)
                case ast.Compare(left=left, comparators=others):
                    named = [left, *others]
                case ast.MatchValue(value=value):
                    named = [value]
            for kind in asked:
                name = ast.unparse(kind) if kind else ""
                if name.split(".")[-1] in classes and not name.startswith(("torch.", "nn.")):
                    mistakes.append(f"{relative}:{getattr(node, 'lineno', 0)}: asks whether it is a {name}")
            for each in named:
                if isinstance(each, ast.Constant) and each.value in networks:
                    mistakes.append(f"{relative}:{each.lineno}: goes by the network's name {each.value!r}")
    return mistakes


def test_no_part_but_the_families_tells_them_apart() -> None:
    classes = family_classes(PACKAGE)
    assert {"Classifier", "Adversarial", "Variational", "TrainedVariational", "LeNet", "ConvGenerator"} <= classes
    networks = {name for family in map(family_named, NAMES) for name in family.networks}
    assert {"lenet", "cifar-fast", "gan", "dcgan", "vae", "cvae"} <= networks
    assert family_mistakes(PACKAGE, classes, networks - PYTORCHS_OWN) == []


@pytest.mark.parametrize(
    ("path", "source", "mistakes"),
    [
        ("reports/a.py", "isinstance(recipe, Recipe)", []),
        ("reports/a.py", "isinstance(seed, torch.Generator)", []),
        ("reports/a.py", "isinstance(recipe, Variational)", ["reports/a.py:1: asks whether it is a Variational"]),
        ("runs/a.py", "x = 1\nisinstance(x, int | recipe.VAE)", ["runs/a.py:2: asks whether it is a recipe.VAE"]),
        ("runs/a.py", "isinstance(x, (VAE, int))", ["runs/a.py:1: asks whether it is a VAE"]),
        ("runs/a.py", "match x:\n    case VAE():\n        pass", ["runs/a.py:2: asks whether it is a VAE"]),
        ("runs/a.py", "def f(name='vae'):\n    'vae'\n    return g(name='vae')", []),
        ("runs/a.py", "if recipe.network == 'vae': pass", ["runs/a.py:1: goes by the network's name 'vae'"]),
        ("runs/a.py", "x = {'vae': 1, **y}", ["runs/a.py:1: goes by the network's name 'vae'"]),
        ("runs/a.py", "x in ('gan', 'other')", ["runs/a.py:1: goes by the network's name 'gan'"]),
        ("runs/a.py", "match x:\n    case 'gan':\n        pass", ["runs/a.py:2: goes by the network's name 'gan'"]),
        ("families/a.py", "x = {'vae': 1}; isinstance(x, VAE)", []),
    ],
)  # fmt: skip
def test_the_check_of_families_itself(tmp_path: Path, path: str, source: str, mistakes: list[str]) -> None:
    (tmp_path / path).parent.mkdir()
    (tmp_path / path).write_text(source, "utf-8")
    assert family_mistakes(tmp_path, {"Variational", "VAE", "Generator"}, {"vae", "gan"}) == mistakes


def test_imports_run_one_way() -> None:
    assert import_mistakes(PACKAGE) == []


def test_no_files_import_one_another() -> None:
    assert circles(PACKAGE) == []


@pytest.mark.parametrize(
    ("sources", "found"),
    [
        ({"files": "import math", "losses": "from etude.files import read"}, []),
        ({"files": "import etude.losses", "losses": "import etude.files"}, [["etude.files", "etude.losses"]]),
        ({"files": "from etude import losses", "losses": "def f():\n    from etude import files"},
         [["etude.files", "etude.losses"]]),
        ({"files": "if TYPE_CHECKING:\n    from .losses import elbo", "losses": "from .files import read"},
         [["etude.files", "etude.losses"]]),
        ({"data/a": "from etude.data import b", "data/b": "from .c import f", "data/c": "from ..data import a"},
         [["etude.data.a", "etude.data.b", "etude.data.c"]]),
        ({"data/__init__": "from etude.data.a import f", "data/a": "from etude.data import b", "data/b": ""}, []),
        ({"data/__init__": "from etude.data.a import f", "data/a": "from etude.data import g"},
         [["etude.data", "etude.data.a"]]),
        ({"files": "import etude.losses", "losses": "import etude.files", "metrics": "import etude.files",
          "data/a": "from etude.data import b", "data/b": "import etude.data.a"},
         [["etude.data.a", "etude.data.b"], ["etude.files", "etude.losses"]]),
        ({"files": "import etude.files"}, [["etude.files"]]),
    ],
)  # fmt: skip
def test_the_search_for_circles(tmp_path: Path, sources: dict[str, str], found: list[list[str]]) -> None:
    for name, source in sources.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / f"{name}.py").write_text(source, "utf-8")
    assert circles(tmp_path) == found


def test_no_module_has_a_name_that_says_nothing() -> None:
    parts = [part for path in modules(PACKAGE) for part in path.relative_to(PACKAGE).with_suffix("").parts]
    assert "losses" in parts
    assert FORBIDDEN_NAMES.isdisjoint(parts)


def test_no_module_is_too_long() -> None:
    lengths = {str(path.relative_to(PACKAGE)): len(path.read_text("utf-8").splitlines()) for path in modules(PACKAGE)}
    assert len(lengths) > 5
    assert {name: length for name, length in lengths.items() if length > MOST_LINES} == {}


@pytest.mark.parametrize(
    ("path", "source", "mistakes"),
    [
        ("models/vae.py", "from etude.errors import UsageError\nimport etude.losses, torch", []),
        ("models/vae.py", "from etude import data\nfrom .gan import Generator\nfrom .. import losses", []),
        ("runs/run.py", "import etude.recipes\nfrom .checkpoint import save\nfrom ..models.vae import VAE", []),
        ("runs/lock.py", "import etude.sweeps", ["runs/lock.py:1: runs imports etude.sweeps, from a lower line"]),
        (
            "measurement/latents.py",
            "from etude.sweeps import sweep",
            ["measurement/latents.py:1: measurement imports etude.sweeps, from a lower line"],
        ),
        ("cli/train.py", "def train():\n    from etude.training import loop", []),
        ("models/vae.py", "import etude.runs", ["models/vae.py:1: models imports etude.runs, from a lower line"]),
        (
            "losses.py",
            "import math\ndef f():\n    from etude.training.loop import fit",
            ["losses.py:3: losses imports etude.training.loop, from a lower line"],
        ),
        ("data/idx.py", "from ..cli import main", ["data/idx.py:1: data imports etude.cli, from a lower line"]),
        ("data/idx.py", "from .. import figures", ["data/idx.py:1: data imports etude.figures, from a lower line"]),
        (
            "inspection/__init__.py",
            "from ..runs.run import Run",
            ["inspection/__init__.py:1: inspection imports etude.runs.run, from a lower line"],
        ),
        (
            "training/loop.py",
            "import importlib\nimportlib.import_module('etude.studio')",
            ["training/loop.py:2: training imports etude.studio, from a lower line"],
        ),
        ("cli.py", "from etude import load", ["cli.py:1: imports etude.load, which is on no line of the house"]),
        ("cli.py", "import etude", ["cli.py:1: imports etude, which is on no line of the house"]),
        ("zoo.py", "import math", ["zoo.py: `zoo` is on no line of the house; add it to LINES in test_house.py"]),
        ("__init__.py", "from etude.cli import main", []),
    ],
)  # fmt: skip
def test_the_check_itself(tmp_path: Path, path: str, source: str, mistakes: list[str]) -> None:
    (tmp_path / path).parent.mkdir(exist_ok=True)
    (tmp_path / path).write_text(source, "utf-8")
    assert import_mistakes(tmp_path) == mistakes

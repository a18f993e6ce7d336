"""A person's Python code, run in this process: the only way from a file, or `FILE.py:NAME`, to what it defines.

Whatever the code raises, including an exit, becomes an error on one line. A file may import its neighbours, modules in
its own folder; afterwards it is known which. Needs no PyTorch.
"""

import ast
import contextlib
import hashlib
import importlib.abc
import importlib.util
import inspect
import os
import re
import sys
import sysconfig
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any, NoReturn

from etude.errors import EtudeError, UsageError, one_line, unknown

# Files ----------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Source:
    """A Python file as it was when it ran."""

    path: str
    """Its path relative to the folder of the file that was named: `net.py`, or `blocks/attention.py` for an import."""
    text: bytes

    @cached_property
    def sha256(self) -> str:
        """The SHA-256 of the text, 64 hexadecimal digits."""
        return hashlib.sha256(self.text).hexdigest()


@dataclass(frozen=True)
class Program:
    """What running a file gave."""

    path: Path
    names: dict[str, Any]
    """What the file defines."""
    sources: tuple[Source, ...]
    """The file, then the neighbours that it imported."""


def run_file(path: Path, *, hint: str = "give the path of a Python file, as net.py:Net") -> dict[str, Any]:
    """The names that a Python file defines. `hint` says what to do if there is no such file."""
    return run_program(path, hint=hint).names


def run_program(
    path: Path, files: Mapping[str, bytes] | None = None, *, hint: str = "give the path of a Python file, as net.py:Net"
) -> Program:
    """Run a file and return what it defines. What it prints goes to stderr.

    With `files`, texts by their paths relative to the file's folder, these are run and nothing is read from the disk.
    Raises `UsageError` if the file does not exist or does not run.
    """
    finder = _Neighbours(path.parent, files)
    text = finder.read(path.name)
    if text is None:
        raise UsageError(f"there is no file {path}; {hint}.")

    def tell(error: BaseException) -> UsageError:
        where = f" (line {error.lineno})" if isinstance(error, SyntaxError) else ""
        if where and error.filename != str(path):  # pyright: ignore[reportAttributeAccessIssue]
            where = f" ({Path(str(error.filename)).name}, line {error.lineno})"  # pyright: ignore[reportAttributeAccessIssue]
        return UsageError(f"{path} could not be imported{where}: {short_reason(error)}.")

    # A unique name among the modules of all persons: dataclasses and annotations look it up here.
    name = f"{path.stem}_{hashlib.sha256(str(path.resolve()).encode() + text).hexdigest()[:8]}"
    module = ModuleType(name)
    module.__file__ = str(path)
    sys.modules[name] = module
    with contained(tell), contextlib.redirect_stdout(sys.stderr), finder.installed():
        exec(compile(text, str(path), "exec", dont_inherit=True), vars(module))
    neighbours = [Source(each, content) for each, content in finder.imported.items()]
    return Program(path, vars(module), (Source(path.name, text), *neighbours))


class _Neighbours(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Imports modules from a person's folder, from their text alone, because a `__pycache__` may hold anything;
    final."""

    def __init__(self, folder: Path, files: Mapping[str, bytes] | None) -> None:
        self.folder, self.files = folder, files
        self.imported: dict[str, bytes] = {}
        """The texts that were imported, by their paths relative to the folder."""
        self.names: list[str] = []

    def read(self, file: str) -> bytes | None:
        """The text of a file in the folder; None if there is none."""
        if self.files is not None:
            return self.files.get(file)
        if not os.path.isfile(path := self.folder / file):
            return None
        try:
            return path.read_bytes()
        except OSError as error:
            raise UsageError(f"cannot read {path}: {(error.strerror or str(error)).lower()}.") from error

    def find_spec(self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None) -> Any:
        """Where a module lies in the folder. None for one that lies elsewhere, and for all of Python's own."""
        top = fullname.partition(".")[0]
        if top in sys.stdlib_module_names or ("." in fullname and top not in self.names):
            return None
        stem = fullname.replace(".", "/")
        for file, is_package in ((f"{stem}/__init__.py", True), (f"{stem}.py", False)):
            if self.read(file) is not None:
                spec = ModuleSpec(fullname, self, origin=str(self.folder / file), is_package=is_package)
                spec.has_location, spec.loader_state = True, file
                self.names.append(fullname)
                return spec
        if self._is_folder(stem):
            self.names.append(fullname)
            spec = ModuleSpec(fullname, None, is_package=True)
            spec.submodule_search_locations = [str(self.folder / stem)]
            return spec
        return None

    def _is_folder(self, stem: str) -> bool:
        """Whether it is a folder of modules without `__init__.py`."""
        if self.files is not None:
            return any(file.startswith(f"{stem}/") for file in self.files)
        folder = self.folder / stem
        return os.path.isdir(folder) and any(each.endswith(".py") for each in os.listdir(folder))

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        """As Python does."""
        return None

    def exec_module(self, module: ModuleType) -> None:
        """Run the text of a neighbour."""
        assert module.__spec__
        file: str = module.__spec__.loader_state
        text = self.read(file)
        assert text is not None
        self.imported[file] = text
        exec(compile(text, str(self.folder / file), "exec", dont_inherit=True), vars(module))

    @contextlib.contextmanager
    def installed(self) -> Iterator[None]:
        """Let imports look here first. Modules of the same names from other folders are put aside, and restored
        afterwards."""
        aside = {name: sys.modules.pop(name) for name in list(sys.modules) if self._hides(name)}
        sys.meta_path.insert(0, self)
        try:
            yield
        finally:
            sys.meta_path.remove(self)
            for name in self.names:  # the next file that imports one gets its own
                sys.modules.pop(name, None)
            sys.modules.update(aside)

    def _hides(self, name: str) -> bool:
        top = name.partition(".")[0]
        file = getattr(sys.modules.get(top), "__file__", None)
        if not file or top == "etude" or any(Path(file).is_relative_to(folder) for folder in _INSTALLED):
            return False
        return any(self.read(each) is not None for each in (f"{top}.py", f"{top}/__init__.py"))


_INSTALLED = [sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")]
"""Where Python and the installed packages lie."""


# Names in files -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Wanted:
    """What a name in a file should stand for, or make when called."""

    noun: str
    """"network"."""
    type_name: str
    """"torch.nn.Module"."""
    fits: Callable[[Any], bool]
    """Whether an object is one."""
    makes: Callable[[Any], bool]
    """Whether a class or function seems to make one, judged without calling it. Used for suggestions."""
    none: str
    """What a file without one lacks: "class derived from torch.nn.Module"."""


def _is_network(thing: Any) -> bool:
    from torch import nn

    return isinstance(thing, nn.Module)


def _makes_networks(thing: Any) -> bool:
    from torch import nn

    return isinstance(thing, type) and issubclass(thing, nn.Module)


NETWORK = Wanted("network", "torch.nn.Module", _is_network, _makes_networks, "class derived from torch.nn.Module")


@dataclass(frozen=True)
class Spec:
    """`FILE.py:NAME` or `FILE.py:NAME(3, width=16)`, in parts."""

    text: str
    path: Path
    name: str
    arguments: tuple[Any, ...] = ()
    keywords: dict[str, Any] = field(default_factory=dict)

    @property
    def expression(self) -> str:
        """What comes after the file."""
        return self.text.partition(".py:")[2]

    def at(self, folder: Path) -> "Spec":
        """The same with the file of that name in another folder."""
        return parse_spec(f"{folder / self.path.name}:{self.expression}")


def is_spec(text: str) -> bool:
    """Whether a text names something in a file, rather than something of étude's."""
    return ".py:" in text


def parse_spec(text: str, *, noun: str = "network") -> Spec:
    """A text as a `Spec`. Raises `UsageError` if it is none. Arguments are literals: numbers, texts, lists and the
    like."""
    file, _, expression = text.partition(".py:")
    path = Path(f"{file}.py")
    try:
        tree = ast.parse(expression, mode="eval").body
        if isinstance(tree, ast.Name):
            return Spec(text, path, tree.id)
        if not isinstance(tree, ast.Call) or not isinstance(tree.func, ast.Name):
            raise ValueError("no call")
        arguments = tuple(ast.literal_eval(value) for value in tree.args)
        keywords = {str(k.arg): ast.literal_eval(k.value) for k in tree.keywords}
        return Spec(text, path, tree.func.id, arguments, keywords)
    except (
        SyntaxError,
        ValueError,
        TypeError,
        RecursionError,
        MemoryError,
    ) as error:  # the last two: nested too deeply
        raise UsageError(f"{text!r} names no {noun}; write FILE.py:NAME or FILE.py:NAME(3, width=16).") from error


def load(
    text: str,
    wanted: Wanted = NETWORK,
    *,
    offered: Mapping[str, Any] | None = None,
    program: Program | None = None,
) -> Any:
    """The object that `FILE.py:NAME` stands for, or that it makes when called with the arguments in the text.

    It is called even without arguments if it does not fit by itself. It gets those of the `offered` arguments that its
    signature names and the text does not give. `program` is what running the file gave, if it ran before. Raises
    `UsageError` that says what is missing.
    """
    if program is None:
        program = run_program(Path(f"{text.partition('.py:')[0]}.py"))
    spec, names = parse_spec(text, noun=wanted.noun), program.names
    if spec.name not in names or spec.name.startswith("_"):
        candidates = [key for key, value in names.items() if _suggested(key, value, names, wanted)]
        if not candidates:
            raise UsageError(f"{spec.path} has no {spec.name!r}, nor any {wanted.none}.")
        raise unknown(f"{wanted.noun} in {spec.path}:", spec.name, candidates)
    thing = names[spec.name]
    if wanted.fits(thing) and "(" not in text:
        return thing
    if not callable(thing):
        raise UsageError(f"{text} is a {type(thing).__name__}; name a class, a function or a {wanted.type_name}.")

    def tell(error: BaseException) -> UsageError:
        return UsageError(f"{spec.expression} could not be built: {short_reason(error)}.")

    with contained(tell), contextlib.redirect_stdout(sys.stderr):
        made = call_offering(thing, offered or {}, spec)
    if not wanted.fits(made):
        raise UsageError(
            f"{text} made a {type(made).__name__}, not a {wanted.type_name}; name a class or a function of one."
        )
    return made


def call_offering(thing: Callable[..., Any], offered: Mapping[str, Any], spec: Spec | None = None) -> Any:
    """Call a class or function with the arguments of `spec` and those of the `offered` that its signature names.

    Raises `UsageError` if an argument is missing or one is too many.
    """
    arguments, keywords = (spec.arguments, spec.keywords) if spec else ((), {})
    try:
        signature = inspect.signature(thing)
    except (ValueError, TypeError):  # built in C, or unusual: the call itself will tell
        return thing(*arguments, **keywords)
    name = spec.name if spec else getattr(thing, "__name__", type(thing).__name__)
    try:
        given = signature.bind_partial(*arguments, **keywords).arguments
        by_name = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
        named = [key for key, parameter in signature.parameters.items() if parameter.kind in by_name]
        keywords = {**{key: offered[key] for key in named if key in offered and key not in given}, **keywords}
        signature.bind(*arguments, **keywords)
    except TypeError as error:
        parameters = ", ".join(str(p).split(":")[0].split("=")[0].strip() for p in signature.parameters.values())
        example = f"{spec.text.partition('(')[0] if spec else name}(3)"
        raise UsageError(
            f"{name} takes ({parameters}): {short_reason(error)}; give constructor arguments, as in '{example}'."
        ) from error
    return thing(*arguments, **keywords)


def _suggested(key: str, value: Any, names: Mapping[str, Any], wanted: Wanted) -> bool:
    if key.startswith("_"):
        return False
    return wanted.fits(value) or (wanted.makes(value) and getattr(value, "__module__", None) == names.get("__name__"))


def first_class(path: Path) -> str:
    """The first class in a file that looks like a network, found without running the file; "Net" if there is none."""
    try:
        names = re.findall(r"^class (\w+)\(.*Module", path.read_text(errors="replace"), re.MULTILINE)
    except OSError:
        names = []
    return names[0] if names else "Net"


# What it raises -------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def contained(tell: Callable[[BaseException], EtudeError]) -> Iterator[None]:
    """Turn what the code within raises into the error that `tell` makes of it. étude's own errors stay as they are.

    `sys.exit` and `os._exit` would end étude without a word, and with the exit code of success, so they are errors too.
    Ctrl-C is not.
    """
    kept = os._exit
    os._exit = _exit
    try:
        yield
    except (EtudeError, KeyboardInterrupt):
        raise
    except BaseException as error:
        raise tell(error) from error
    finally:
        os._exit = kept


def _exit(status: int = 0) -> NoReturn:
    raise SystemExit(status)


def require_no_loop(module: Any, name: str) -> None:
    """Raise `UsageError` for a `torch.nn.Module` that contains itself, which PyTorch would follow for ever."""
    finished: set[int] = set()

    def visit(part: Any, path: str, above: tuple[int, ...]) -> None:
        if id(part) in above:
            raise UsageError(f"{name} contains itself, as {path}: keep a parent in a list, [parent], not as a layer.")
        if id(part) in finished:
            return
        for key, child in part._modules.items():
            if child is not None:
                visit(child, f"{path}.{key}" if path else key, (*above, id(part)))
        finished.add(id(part))

    visit(module, "", ())


def reason(error: BaseException) -> str:
    """An exception as "ValueError: its text", on one line. Without a readable text: its type alone."""
    text = text_of(error)
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def short_reason(error: BaseException) -> str:
    """The same without the type if Python's own text says everything: a wrong call, a syntax error."""
    return text_of(error) if isinstance(error, TypeError | SyntaxError) else reason(error)


def text_of(error: BaseException) -> str:
    """An exception's text on one line, without the final full stop."""
    try:
        text = str(getattr(error, "msg", None) or error)
    except Exception:  # a person's exception may fail even here
        return ""
    return one_line(text, longest=300).rstrip(".")

"""Bad values, and command lines that hold them: what a person, or a script of theirs, may type by mistake.

The flags are read from the pages that `--help` prints, so that a new command or flag is attacked without a word here.
"""

import contextlib
import io
import json
import random
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from etude.cli import COMMANDS, main

LONG = "a" * 300
DEEP = 20_000


@dataclass(frozen=True, kw_only=True)
class Attack:
    """One command line with all that surrounds it."""

    kind: str
    words: list[str]
    files: dict[str, str] = field(default_factory=dict)
    """Files that are written into the current folder first: name to text, lone surrogates for bytes."""
    environment: dict[str, str | None] = field(default_factory=dict)
    """Variables that are set, or with None taken away."""
    stdout: str = "file"
    """file, closed, full (no space left), gone (a reader that has left)."""
    stderr: str = "file"
    python: list[str] = field(default_factory=list)
    """Options of the interpreter; with any, the attack is a process of its own."""
    is_own_process: bool = False
    interrupt_after: float | None = None
    """Seconds after which Ctrl-C is pressed."""

    def to_json(self) -> str:
        return json.dumps(vars(self))


@dataclass(frozen=True)
class Flag:
    """A flag as its page lists it."""

    name: str
    kind: str
    """INT, FLOAT, STR, PATH …; {a,b} of a choice; nothing of a switch."""


def commands() -> list[list[str]]:
    """Every command's words; train and sweep with a recipe of each family."""
    words: list[list[str]] = []
    for name, command in (each for group in COMMANDS.values() for each in group.items()):
        if name in ("train", "sweep"):
            words += [[name, recipe] for recipe in ("lenet", "cifar-fast", "gan", "vae")]
        else:
            words += [[name, *verb.split()] for verb in (command if isinstance(command, dict) else [""])]
    return words


def flags_of(words: list[str]) -> list[Flag]:
    """The flags on a command's page."""
    out = io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.suppress(SystemExit):
        main([*words, "--help"])
    found = re.findall(r"^│ (--[a-z][\w.-]*)(?:, --[\w.-]+)?(?: ([A-Z{[][^\s│]*))?", out.getvalue(), re.MULTILINE)
    return [Flag(name, kind) for name, kind in found]


# Values ---------------------------------------------------------------------------------------------------------------

NUMBERS = [
    "0", "-0", "-1", "1", "2", "3", "1.5", "-0.0", "1e400", "-1e400", "1e-400", "nan", "inf", "-inf", "NaN", "1_0",
    "0x10",
    "1e5", "+3", " 3 ", "²", "½", "٣", "１２", "1/2", "1,5", "9" * 400, "9" * 5000, "-" + "9" * 5000, "0." + "1" * 5000,
    "1" + "0" * 18, str(10**9), str(10**6), str(2**31), str(2**63 - 1), str(2**63), str(2**64), str(2**70),
    str(-(2**63)),
    "1e308", "1e309", "true", "None", "",
]  # fmt: skip

NAMES = [
    "", " ", ".", "..", "/", "//", "-", "--", "---", "-x", "--x", "--=", "=", "~", "~nouser", "~nouser/x",
    LONG, f"{LONG}.py",
    f"{LONG}.toml", f"{LONG}/{LONG}", "/".join("a" * 100 for _ in range(50)), "a\nb", "a\rb", "a\tb", "a\x1b[31mb",
    "\x07",
    "\x7f", "a\x00b", "\u2028", "\u202e", "\ufeff", "é", "日本", "😀", "\udcff", "a\udce9.png", "²", "[bold]x[/bold]",
    "[/]",
    "[", "{}", "{0}", "%s", "%", "$HOME", "`", "'", '"', "\\", "\\n", "a=b", "a:b", "a,b", ",", ",,", ":", ";", "*",
    "?", "#",
    "folder:", "folder:.", "folder:~nouser", "folder:/", f"folder:{LONG}", "folder:a\x00b", "folder:\udcff",
    "folder:pictures",
    "folder:broken", "folder:files/raise.py", "files", "files/raise.py", "files/raise.py/x", "missing", "missing/x",
    "missing.toml", "missing.py", "missing.py:Net", "files/noise.bin", "files/loop", "/dev/null", "/dev/full",
    "/dev/full.png",
    "/proc/self/mem", "/proc/x", "x.png", "x.npy", "x.md", "x.csv", "x.toml", "files/x.png", "runs", "runs/lenet",
    "runs/vae/recipe.json", ".png", "..png", "x.png/", "/x.png", "/proc/x.png", "/root/\udcff/x.png",
]  # fmt: skip

DEEP_TEXTS = [
    "(" * DEEP,
    "[" * DEEP,
    "-" * DEEP,
    "(" * DEEP + "x" + ")" * DEEP,
    "{" * DEEP,
    "x" + "+x" * DEEP,
    "not " * DEEP,
]

VALUES_OF = {
    # What a flag or word is meant to hold, by its name: mutated, it reaches further into the command.
    "--grid": ["batch_size=16,32", "optimizer.learning_rate=1e-3,3e-3", "epochs=1", "seed=1", "batch_size=", "=1", "x",
               "optimizer=1,2", "batch_size=16,16", "data=digits,mnist", "batch_size=1e400", "batch_size=nan,16"],
    "--shapes": ["x=3", "A=3,4", "x=n", "b=1", "x=0", "A=-1,2", "x=²", "x=99999999999", "A=2,3,4", "x=,", "A=n,m"],
    "--at": ["x=1,2", "A=1,2;3,4", "x=nan", "x=inf", "x=1e400", "A=1,2;3", "x=", "x=;", "A=²", "x=1;2",
    "x=" + "1," * 5000],
    "--input": ["3,32,32", "1,28,28", "int9:20", "0", "1,1,1", "int0:1", "int:3", "3x32x32", "3,100000,100000", "²",
                "int99999999999999999999:3", "1", "3,3", "1," * 70 + "1", "int9:1000000000000", "9" * 400, "9" * 5000],
    "--mirror": ["k3s2p1 k3s2p1", "k3", "k0", "s2", "k3s0", "k99999999999", "k3s2p1 " * 100, "k²", ""],
    "--metrics": ["fid,kid", "accuracy", "fid,fid", "x", ",", "nll_nats", "accuracy,x"],
    "--metric": ["fid", "accuracy", "x"],
    "--features": ["auto", "inception", "files/net.py:Net", "files/features.py:Net", "files/raise.py:Net"],
    "--checkpoint": ["last", "best", "0", "1", "²", "9" * 5000],
    "--dims": ["2", "2,3", "", ",", "2,2", "0", "-1", "99999", "²", "9" * 5000, "1.5"],
    "--layer": ["conv1", "0", ""],
    "--label": ["3", "10", "²", "9" * 5000],
    "--data": ["digits", "mnist", "cifar10", "folder:pictures", "opinions", "chars:files/net.py"],
    "--port": ["0", "1", "8642", "65535", "65536", "-1", "²", "9" * 5000, "8642.0"],
    "--host": ["127.0.0.1", "localhost", "::1", "[::1]", "", " ", "0", "192.0.2.1", "nosuch.invalid", "a..b",
               "fe80::1%x", "127.0.0.1:80", "http://127.0.0.1", "é" * 80, LONG, "a\x00b", "\udcff"],
    "--fold": ["0", "9", "10", "-1", "²", "9" * 5000],
    "--vocabulary-size": ["1", "300", "0", "-1", "²", "9" * 5000],
    "--out": ["x.png", "x.npy", "x.md", "x.csv", "x.toml", "x.html"],
    "--to": ["html", "onnx", "safetensors", "tensorboard", "htm", "HTML"],
    "--name": ["a", "a/b", "..", "lenet"],
}  # fmt: skip
"""For flags whose values have a form of their own; another flag needs no line here."""

EXPRESSIONS = [
    "x.T @ A @ y", "log(sum(exp(x)))", "norm(A @ x - b)", "softmax(x)", "trace(A @ B)", "cross_entropy(x, y)",
    "log(x*y/z)",
    "1/0", "0/0", "9**9**9", "9**-9**9", "1e400*x", "log(0)", "x@1", "log(x**y*z)", "sum(1)", "x()", "x.y", "x[0]",
    "f(x)",
    "lambda x: x", "x if y else z", "'a'", "x := 1", "x; y", "import os", "__import__('os')", "x @ x", "inv(x)",
    "det(x)",
    "logdet(0*A)", "sqrt(-1)", "x**1e9", "2**x**y**z", "a+b+c+d+e+f+g+h+i+j+k+l+m", "1", "-x", "+x", "~x", "x < y",
    "x.T.T",
    "x^2", "x²", "x\ny", "sum()", "sum(x, y)", "mse(x)", "1j*x", "True*x", "None", "...", "*x", "x.T()", "exp(1000*x)",
    "1e308*1e308*x", "9" * 5000 + "*x", "x/" + "9" * 400, "0.1*x**0.5", "log(exp(x", "logsumexp(A)", "A.T @ A",
    "inv(A) @ b",
]  # fmt: skip

NETWORKS = ["lenet", "gan-generator", "dcgan-discriminator", "vae", "cvae", "cifar-fast"]


def bad_values(flag: Flag, random: random.Random) -> str:
    """A value for a flag: mostly of its own kind, and wrong; at times of any."""
    chance = random.random()
    if flag.name in VALUES_OF and chance < 0.6:
        value = random.choice(VALUES_OF[flag.name])
        return value if random.random() < 0.5 else mutated(value, random)
    if flag.kind in ("INT", "FLOAT") and chance < 0.8:
        return random.choice(NUMBERS)
    if flag.kind.startswith("{") and chance < 0.5:
        return random.choice(flag.kind.strip("{}").split(","))
    return random.choice([*NAMES, *DEEP_TEXTS] if chance < 0.95 else NUMBERS)


def mutated(text: str, random: random.Random) -> str:
    """The text with a few characters taken out, doubled or put in."""
    letters = list(text)
    for _ in range(random.randint(1, 3)):
        at = random.randint(0, len(letters))
        match random.randrange(4):
            case 0:
                letters[at : at + random.randint(1, 3)] = []
            case 1:
                letters[at:at] = letters[at : at + random.randint(1, 5)] * random.randint(1, 3)
            case 2:
                letters[at:at] = random.choice(
                    ["²", "\n", "\x00", "-", ",", "=", ":", "9" * 30, "(", ")", "\udcff", ".", "0"]
                )
            case _:
                letters[at : at + 1] = random.choice("(){}[]=,:;.*/@+-xX0123456789eE\"'\\")
    return "".join(letters)


# Files of a person's --------------------------------------------------------------------------------------------------

_TOML_VALUES = [
    "0", "-1", "1.5", "1e400", "nan", "-inf", '""', '"x"', '"\\u0000"', '"a\\nb"', "true", "[]", "{}", "[1, 2]",
    "[[[]]]",
    "1979-05-27", "07:32:00", "9" * 400, "9" * 5000, "1" + "0" * 18, "[" * DEEP, "0x" + "f" * 5000, f'"{LONG}"',
    '"~nouser"',
    '"[bold]"', "{a = {b = 1}}", "1_000", "+1", '"²"', '"\\ud800"', "'", '"""', "1" + "0" * 400, '"\udcff"', "[true]",
]  # fmt: skip


def toml_text(keys: list[str], start: str, random: random.Random) -> str:
    """A TOML file with bad values, some of it below a table, some of it no TOML at all."""
    lines = start.splitlines()
    for _ in range(random.randint(1, 2)):
        match random.randrange(8):
            case 0 | 1 | 2 | 3:
                key = random.choice(keys)
                lines = [line for line in lines if not line.startswith(f"{key} ")]
                at = random.randint(0, len(lines))
                lines.insert(at, f"{key} = {random.choice(_TOML_VALUES)}")
            case 4:
                lines.insert(random.randint(0, len(lines)), f"[{random.choice([*keys, 'x', 'a.b', '[x]', ''])}]")
            case 5:
                lines.insert(random.randint(0, len(lines)), f"{random.choice(NAMES)} = {random.choice(_TOML_VALUES)}")
            case 6:
                lines = [line for line in lines if random.random() < 0.7]
            case _:
                lines = mutated("\n".join(lines), random).split("\n")
    return "\n".join(lines)


def recipe_text(random: random.Random) -> str:
    """A recipe's TOML file with something wrong."""
    from dataclasses import fields

    from etude import recipes

    recipe = random.choice(list(recipes.RECIPES.values()))
    keys = [each.name for each in fields(recipe)] + [each.name for each in fields(recipes.Optimizer)] + ["family"]
    short = f'name = "{recipe.name}"\ndata = "digits"\nepochs = 1\nbatch_size = 512\n[optimizer]\nlearning_rate = 0.001'
    return toml_text(keys, random.choice([short, recipes.to_toml(recipe)]), random)


def adapter_text(random: random.Random) -> str:
    """An adapter for verify with something wrong."""
    start = 'file = "files/gradients.py"\n[names]\nnumerical_gradient = "slope"\n"VAE.encode" = "to_latent"'
    return toml_text(["file", "names", "numerical_gradient", "VAE", "x.y", '""'], start, random)


def notebook_text(random: random.Random) -> str:
    """A notebook with something wrong."""
    cell = {"cell_type": "code", "source": ["x = 1\n", "%matplotlib inline\n", "def f():\n  return 1\n"]}
    notebook = json.dumps({"cells": [cell, {"cell_type": "markdown", "source": []}], "metadata": {}, "nbformat": 4})
    odd = ['{"cells": 3}', '{"cells": [3]}', '{"cells": [{"cell_type": "code", "source": 3}]}', "[]", "3", "null", "",
           "[" * DEEP, '{"cells": ' + "[" * DEEP, '{"cells": [{"cell_type": "code", "source": "\\ud800"}]}',
           '{"cells": [{"cell_type": "code", "source": "a\\u0000b"}]}', '{"cells": [{"cell_type": "code", '
           '"source": [null]}]}',
           '{"cells": [{"cell_type": "code", "source": "x = ' + "(" * 500 + '"}]}', '{"a": ' + "9" * 5000 + "}",
           '{"cells": [{"cell_type": "code", "source": "' + "-" * DEEP + '1"}]}',
           '{"cells": [{"cell_type": "code", "source": "import os; os._exit(0)\\nx=os._exit(0)"}]}',
           '{"cells": [{"cell_type": "code", "source": "x=exit()"}]}']  # fmt: skip
    return random.choice(odd) if random.random() < 0.7 else mutated(notebook, random)


# Command lines --------------------------------------------------------------------------------------------------------

Fill = Callable[[random.Random], list[str]]


def _any_name(random: random.Random) -> str:
    return random.choice([*NAMES, *NUMBERS, *DEEP_TEXTS])


def _network(random: random.Random) -> list[str]:
    file = random.choice(PYTHON_FILES)
    call = random.choice(
        [
            "Net",
            "Net()",
            "Net(3)",
            "Net(x=1)",
            "net",
            "f",
            "_x",
            "",
            "Net(",
            "Net(()",
            "3",
            "Net(*a)",
            "Net(**a)",
            "a.b()",
            "Net(" + "[" * 300,
            "Net(" + "9" * 5000 + ")",
            "\x00",
            "Net(lambda: 1)",
            "Net('" + LONG + "')",
            "Net(1e400)",
            "Net(-" + "-" * 5000 + "1)",
        ]
    )
    name = f"files/{file}:{'Net' if random.random() < 0.7 else call}"
    return random.choice([[name, "--input", "1,8,8"], [name, "--input", "1,8,8"], [name], [random.choice(NETWORKS)]])


def _verify(random: random.Random) -> list[str]:
    file = f"files/{random.choice(PYTHON_FILES)}"
    contract = random.choice(["gradients", "gradients.numerical_gradient", "gradients.x", ".", "gradients."])
    return random.choice(
        [
            ["gradients", file],
            [file, "files/gradients.py"],
            [contract, "files/gradients.py"],
            ["--list"],
            ["--list", file],
            [file, file],
        ]
    )


BASES: dict[str, list[list[str]] | Fill] = {
    "train": [
        [
            "--data",
            "digits",
            "--epochs",
            "1",
            "--train-images",
            "64",
            "--quiet",
            "--no-figures",
            "--threads",
            "1",
            "--compile",
            "off",
        ]
    ],
    "sweep": [
        [
            "--data",
            "digits",
            "--epochs",
            "1",
            "--train-images",
            "64",
            "--quiet",
            "--seeds",
            "1",
            "--jobs",
            "1",
            "--compile",
            "off",
        ]
    ],
    "resume": [["lenet"], ["vae", "--no-figures"], ["small"]],
    "recipes": [["vae"], []],
    "runs": [[]],
    "studio": [
        ["--port", "0"],
        ["runs", "--port", "0"],
        ["--port", "0", "--host", "localhost"],
        ["--open", "--port", "0"],
    ],
    "show": [["lenet"], ["vae"], ["small"]],
    "sample": [["vae"], ["gan"], ["cvae", "--label", "3"], ["lenet"]],
    "figure": [
        ["vae"],
        ["lenet", "confusion"],
        ["vae", "latent-plane"],
        ["gan", "losses"],
        ["cvae", "styles", "--label", "3"],
    ],
    "report": [["lenet"], ["small"], ["lenet", "gan"], ["xy-game", "--quick"], ["tanh-24", "vae"]],
    "export": [
        ["lenet", "--to", "html"],
        ["vae", "--to", "html"],
        ["gan", "--to", "safetensors"],
        ["cvae", "--to", "tensorboard"],
        ["vae", "--to", "html", "--out", "x.html"],
    ],
    "measure": [["lenet"], ["lenet", "--metrics", "accuracy"], ["vae", "--metrics", "negative_elbo_nats"], ["small"]],
    "latents": [["--data", "digits", "--epochs", "1", "--quiet", "--jobs", "1", "--dims", "2"]],
    "compare": [
        ["small", "small"],
        ["small:lenet", "small"],
        ["lenet", "lenet"],
        ["lenet,lenet", "lenet"],
        ["small:x=1", "small"],
    ],
    "inspect": _network,
    "solve conv": [
        ["--in", "28", "--out", "14"],
        ["--in", "28", "--kernel", "3"],
        ["--in", "28", "--mirror", "k3s2p1 k3s2p1"],
    ],
    "derive": lambda random: random.choice(
        [
            [random.choice(EXPRESSIONS)],
            [random.choice(EXPRESSIONS), "--wrt", "x"],
            [mutated(random.choice(EXPRESSIONS), random), "--wrt", "x"],
            [random.choice(DEEP_TEXTS), "--wrt", "x"],
        ]
    ),
    "data": [[]],
    "data fetch": [["digits"], ["mnist"], ["cifar10"]],
    "data show": [
        ["digits"],
        ["mnist"],
        ["folder:pictures"],
        ["folder:broken"],
        ["opinions", "--tokenizer", "characters"],
        ["clauses", "--vocabulary-size", "300"],
        ["cue"],
        ["text:files/net.py"],
        ["chars:files/net.py"],
        ["pairs:files/net.py,files/net.py"],
        ["rt-polarity", "--fold", "1"],
    ],
    "verify": _verify,
}
"""Command lines that work, to be spoilt; a command without a line here is given bad words alone."""

SLOW = ("train", "sweep", "latents", "verify")
"""Commands that start other processes, or train: attacked less often where nothing is wrong with their words."""

PYTHON_FILES: list[str] = []
"""The names of a person's own files; `files` fills it."""

_STREAMS = [
    ("closed", "file"),
    ("full", "file"),
    ("gone", "file"),
    ("file", "closed"),
    ("full", "full"),
    ("closed", "closed"),
]
_ENVIRONMENTS: list[dict[str, str | None]] = [
    {"PYTHONIOENCODING": "ascii"},
    {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
    {"COLUMNS": "0"},
    {"COLUMNS": "1"},
    {"COLUMNS": "abc"},
    {"COLUMNS": "-5"},
    {"HOME": None},
    {"HOME": "/nowhere"},
    {"HOME": ""},
    {"TERM": "dumb"},
    {"ETUDE_RUNS": ""},
    {"ETUDE_RUNS": LONG},
    {"ETUDE_RUNS": "files/raise.py"},
    {"ETUDE_RUNS": "~nouser"},
    {"ETUDE_RUNS": "\udcff"},
    {"ETUDE_DATA": "~nouser/x"},
    {"ETUDE_DATA": LONG},
    {"ETUDE_DATA": "files/raise.py"},
    {"ETUDE_DATA": ":::"},
    {"ETUDE_DATA": "\udcff"},
    {"XDG_CACHE_HOME": "files/raise.py"},
    {"XDG_CACHE_HOME": LONG},
    {"XDG_CACHE_HOME": ""},
    {"XDG_CACHE_HOME": "/proc"},
    {"TMPDIR": "/nowhere"},
    {"FORCE_COLOR": "1"},
    {"TZ": "x" * 300},
    {"OMP_NUM_THREADS": "x"},
]


class Grammar:
    """Attacks, drawn."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.commands = commands()
        self.flags = {" ".join(words): flags_of(words) for words in self.commands}

    def attack(self) -> Attack:
        """The next attack."""
        chance = self.random.random()
        if chance < 0.02:
            return Attack(kind="first word", words=[_any_name(self.random), *self.random.choice(self.commands)])
        command = self.random.choice(self.commands)
        if chance < 0.08:
            return self._file_attack()
        if chance < 0.35 and command[0] in SLOW and self.random.random() < 0.75:
            command = self.random.choice([each for each in self.commands if each[0] not in SLOW])
        words, files = self._line(command), {}
        if chance < 0.20:
            stdout, stderr = self.random.choice(_STREAMS)
            return Attack(kind="streams", words=words, stdout=stdout, stderr=stderr, files=files)
        if chance < 0.28:
            variables = self.random.choice(_ENVIRONMENTS)
            own = any(name in variables for name in ("LC_ALL", "HOME", "OMP_NUM_THREADS"))  # read when Python starts
            return Attack(kind="environment", words=words, environment=variables, is_own_process=own)
        if chance < 0.30:
            return Attack(
                kind="help", words=[*command, *self.random.choice([["--help"], ["-h"], []])], **self._surrounding()
            )
        if chance < 0.31:
            return Attack(kind="-OO", words=words, python=[self.random.choice(["-O", "-OO"])])
        if chance < 0.32:
            return Attack(kind="ctrl-c", words=words, interrupt_after=self.random.uniform(0.05, 3), is_own_process=True)
        return self._spoilt(command, words)

    def _surrounding(self) -> dict[str, Any]:
        stdout, stderr = self.random.choice(_STREAMS)
        return self.random.choice(
            [
                {"stdout": stdout, "stderr": stderr},
                {"environment": self.random.choice(_ENVIRONMENTS[:6])},
                {"python": ["-OO"]},
            ]
        )  # type: ignore[return-value]

    def _line(self, command: list[str]) -> list[str]:
        base = BASES.get(" ".join(command)) or BASES.get(command[0]) or [[]]
        return [*command, *(base(self.random) if callable(base) else self.random.choice(base))]

    def _spoilt(self, command: list[str], words: list[str]) -> Attack:
        """A command line with one or two bad values."""
        flags = self.flags[" ".join(command)]
        own = self.random.random() < 0.01
        for _ in range(self.random.choice([1, 1, 1, 2])):
            chance = self.random.random()
            if flags and chance < 0.65:
                flag = self.random.choice(flags)
                value = bad_values(flag, self.random)
                if flag.kind:
                    words = [*words, *self.random.choice([[flag.name, value], [f"{flag.name}={value}"]])]
                else:
                    words = [*words, flag.name]
            elif chance < 0.85:
                at = self.random.randint(len(command), len(words))
                words = [*words[:at], _any_name(self.random), *words[at + 1 :]]
            elif chance < 0.92:
                at = self.random.randint(1, len(words))
                words = [*words[:at], *words[at + 1 :]]
            else:
                at = self.random.randint(0, len(words) - 1)
                words = [*words[:at], mutated(words[at], self.random), *words[at + 1 :]]
        if own:  # what no system passes to a process is tried inside one
            own = not any("\x00" in word for word in words) and max(map(len, words)) < 100_000
        return Attack(kind="value", words=words, is_own_process=own)

    def _file_attack(self) -> Attack:
        match self.random.randrange(4):
            case 0 | 1:
                command = self.random.choice(["train", "train", "sweep", "latents"])
                quick = ["--quiet"] if command == "latents" else ["--quiet", "--compile", "off"]
                words, files = [command, "r.toml", *quick], {"r.toml": recipe_text(self.random)}
                return Attack(kind="recipe", words=words, files=files)
            case 2:
                files = {"a.toml": adapter_text(self.random)}
                return Attack(kind="adapter", words=["verify", "gradients", "a.toml"], files=files)
            case _:
                return Attack(
                    kind="notebook",
                    words=["verify", "gradients", "n.ipynb"],
                    files={"n.ipynb": notebook_text(self.random)},
                )

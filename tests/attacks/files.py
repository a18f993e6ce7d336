# ruff: noqa: E501 (a file on a line)
"""A folder as a person may have it: runs, a sweep, pictures good and broken, and Python files that do odd things."""

import os
import sys
from pathlib import Path

from PIL import Image

from attacks import grammar
from etude.cli import main

NET = """
import torch
from torch import nn
class Net(nn.Module):
    def __init__(self, *a, **k):
        super().__init__()
        self.a = nn.Linear(8, 4)
        {init}
    def forward(self, x):
        {forward}
        return self.a(x)
"""
ENDINGS = {
    "raise": "raise ValueError('wrong\\nin two lines')",
    "nameless": "raise Exception",
    "long": "raise ValueError('x' * 10**6)",
    "odd": "raise type('Odd', (Exception,), {'__str__': lambda self: 1 / 0})()",
    "surrogate": "raise ValueError('\\udcff \\x00 \\x1b[31m [/]')",
    "exit": "import sys; sys.exit(0)",
    "exit_text": "import sys; sys.exit('a text')",
    "os_exit": "import os; os._exit(0)",
    "prints": "print('PRINTED ' * 1000)",
    "recurse": "exec('def f(): return f()\\nf()')",
    "interrupts": "raise KeyboardInterrupt",
    "base": "raise type('Base', (BaseException,), {})('no Exception')",
    "memory": "raise MemoryError",
    "stop": "raise StopIteration(3)",
    "closes": "import sys; sys.stdout.close()",
    "moves": "import os; os.chdir('/')",
    "warns": "import warnings; warnings.warn('WARNED')",
    "huge": "import torch; torch.zeros(10**13)",
    "hang": "import time; time.sleep(1000)",
    "atexit": "import atexit; atexit.register(lambda: 1 / 0)",
    "thread": "import threading; threading.Thread(target=lambda: 1 / 0).start()",
    "numpy": "import numpy; numpy.array(1.0) / 0; 1 / 0",
}
"""What a file of a person's may do while it is imported, built or run."""
WHOLE = {
    "net.py": NET.format(init="", forward=""),
    "features.py": NET.format(init="", forward="return x.flatten(1)[:, :8]"),
    "itself.py": NET.format(init="self.__dict__['me'] = self; self._modules['me'] = self", forward=""),
    "list_itself.py": NET.format(init="self.l = []; self.l.append(self.l)", forward="return self.l"),
    "returns.py": NET.format(init="", forward="return {'a': None, 'b': [x, {1: (x,)}], 'c': 'x'}"),
    "none.py": NET.format(init="", forward="return None"),
    "attribute.py": NET.format(init="", forward="").replace("def forward",
    "def __getattr__(self, n): return 1/0\n    def forward"),
    "no_super.py": "from torch import nn\nclass Net(nn.Module):\n    def __init__(self):\n        self.a = nn.Linear(1, 1)\n",
    "number.py": "Net = 3\nCONTRACT = 3\nnumerical_grad = 3\n",
    "function.py": "def Net(*a): return 3\ndef numerical_grad(*a): return None\nCONTRACT = None\n",
    "names.py": "class M(type):\n    def __call__(c, *a): raise SystemExit(0)\nclass Net(metaclass=M): pass\nnumerical_grad = Net\n",
    "empty.py": "",
    "syntax.py": "def f(:\n",
    "null.py": "x = 1\0\n",
    "latin.py": "x = '\udcff'\n",
    "deep.py": "x = " + "(" * 500,
    "minus.py": "x = " + "-" * grammar.DEEP + "1",
    "coding.py": "# -*- coding: nonsense -*-\n",
    "itself_import.py": "import itself_import\nfrom etude.cli import main\nNet = 3\n",
    "all.py": "__all__ = 3\n__name__ = None\n__dict__ = 3\nNet = numerical_grad = CONTRACT = __builtins__\n",
    "right.py": "import torch\ndef numerical_grad(loss, w, eps):\n    return torch.zeros_like(w)\n",
    "contract.py": "from etude.verify import CONTRACTS, Contract\nCONTRACT = Contract('mine', 'mine', CONTRACTS['gradients'].checks)\n",
    "odd_contract.py": "from etude.verify import Contract\nCONTRACT = Contract(3, None, (1, 2))\n",
    "no_checks.py": "from etude.verify import Contract\nCONTRACT = Contract('mine', 'mine', ())\n",
}  # fmt: skip


def python_files() -> dict[str, str]:
    """Name to text."""
    found = dict(WHOLE)
    for name, act in ENDINGS.items():
        found[f"{name}.py"] = act + "\nNet = 3\n"
        found[f"{name}_built.py"] = NET.format(init=act, forward="")
        found[f"{name}_run.py"] = NET.format(init="", forward=act)
        found[f"{name}_called.py"] = f"def numerical_grad(*a):\n    {act}\n"
        found[f"{name}_contract.py"] = f"def __getattr__(n):\n    {act}\n{act}\n"
    return found


grammar.PYTHON_FILES += python_files()


def make(folder: Path) -> None:
    """Fill the folder."""
    (folder / "files").mkdir(parents=True)
    for name, text in python_files().items():
        (folder / "files" / name).write_bytes(text.encode(errors="surrogateescape"))
    (folder / "files/gradients.py").write_text("def slope(loss, w, eps):\n    return w\nnumerical_grad = slope\n")
    (folder / "files/noise.bin").write_bytes(bytes(range(256)) * 20)
    (folder / "files/loop").symlink_to("loop")
    for number in range(6):
        for name in ("cat", "dog"):
            path = folder / "pictures" / name / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (20, 20), (40 * number, 9, 9)).save(path)
    (folder / "broken/a").mkdir(parents=True)
    (folder / "broken/a/x.png").write_bytes(b"\x89PNG nothing")
    flags = [
        "--data",
        "digits",
        "--epochs",
        "1",
        "--train-images",
        "256",
        "--batch-size",
        "64",
        "--quiet",
        "--threads",
        "1",
    ]
    for words in (
        *(["train", recipe, *flags, "--name", recipe, "--no-figures"] for recipe in ("lenet", "gan", "vae", "cvae")),
        ["sweep", "lenet", *flags, "--seeds", "1", "--jobs", "1", "--name", "small"],
    ):
        child = os.fork()  # from a process that has PyTorch: quick
        if child == 0:
            os.chdir(folder)
            os.environ["XDG_CACHE_HOME"] = str(folder / "cache")
            code = main(words)
            sys.stdout.flush()
            os._exit(code)
        assert os.waitpid(child, 0)[1] == 0, words

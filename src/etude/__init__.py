"""étude: a laboratory for small neural networks.

    import etude
    run = etude.train("vae", data="digits", epochs=3)
    run = etude.load("runs/vae-digits-1")
    images = run.sample(64)
    etude.sweep("lenet", data="digits", grid={"batch_size": [4, 16]}, num_seeds=8)

Names are imported when first used, so that `import etude` is quick.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from etude import data, losses, metrics, models, recipes, sweeps, verify
    from etude.inspection import inspect
    from etude.inspection.conv_solver import solve
    from etude.inspection.derive import derive
    from etude.runs import Run, load
    from etude.sweeps import compare, sweep
    from etude.training import resume, train

_HOMES = {
    "train": "training",
    "resume": "training",
    "load": "runs",
    "Run": "runs",
    "inspect": "inspection",
    "derive": "inspection.derive",
    "solve": "inspection.conv_solver",
    "sweep": "sweeps",
    "compare": "sweeps",
}
_MODULES = ("data", "losses", "metrics", "models", "recipes", "sweeps", "verify")

__all__ = [
    "Run",
    "compare",
    "data",
    "derive",
    "inspect",
    "load",
    "losses",
    "metrics",
    "models",
    "recipes",
    "resume",
    "solve",
    "sweep",
    "sweeps",
    "train",
    "verify",
]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(f"etude.{_HOMES[name]}"), name)
    if name in _MODULES:
        return import_module(f"etude.{name}")
    raise AttributeError(f"module 'etude' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__

"""étude: a laboratory for small neural networks.

    import etude
    run = etude.train("vae", data="digits", epochs=3)
    run = etude.load("runs/vae-digits-1")
    images = run.sample(64)
    etude.sweep("lenet", data="digits", grid={"batch_size": [4, 16]}, seeds=8)

Names are imported when first used, so that `import etude` is quick.
"""

import random
from importlib import import_module
from typing import TYPE_CHECKING, Any

_random_state = random.getstate()
import rich.style  # noqa: E402, F401 (it draws random bits when first imported, which a seeded script must not notice)

random.setstate(_random_state)

if TYPE_CHECKING:
    from etude import data, losses, metrics, models, recipes, studies, sweeps, verify
    from etude.data import Dataset
    from etude.exports import export
    from etude.figures.catalogue import draw as figure
    from etude.inspection import inspect
    from etude.inspection.calculus.conv_solver import solve
    from etude.inspection.calculus.derive import derive
    from etude.measurement import measure
    from etude.reports import report
    from etude.runs import Run, load
    from etude.runs.explaining import explain
    from etude.studies import study
    from etude.sweeps import compare, sweep
    from etude.training import resume, train
    from etude.training.conformance import check

_HOMES = {
    "Dataset": "data.Dataset",
    "train": "training.train",
    "resume": "training.resume",
    "load": "runs.load",
    "Run": "runs.Run",
    "measure": "measurement.measure",
    "explain": "runs.explaining.explain",
    "figure": "figures.catalogue.draw",
    "export": "exports.export",
    "report": "reports.report",
    "inspect": "inspection.inspect",
    "derive": "inspection.calculus.derive.derive",
    "solve": "inspection.calculus.conv_solver.solve",
    "sweep": "sweeps.sweep",
    "compare": "sweeps.compare",
    "study": "studies.study",
    "check": "training.conformance.check",
}
"""Where each name is defined; as a command is called, so is its function."""
_MODULES = ("data", "losses", "metrics", "models", "recipes", "studies", "sweeps", "verify")

__all__ = [
    "Dataset",
    "Run",
    "check",
    "compare",
    "data",
    "derive",
    "explain",
    "export",
    "figure",
    "inspect",
    "load",
    "losses",
    "measure",
    "metrics",
    "models",
    "recipes",
    "report",
    "resume",
    "solve",
    "studies",
    "study",
    "sweep",
    "sweeps",
    "train",
    "verify",
]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        module, _, defined_as = _HOMES[name].rpartition(".")
        return getattr(import_module(f"etude.{module}"), defined_as)
    if name in _MODULES:
        return import_module(f"etude.{name}")
    raise AttributeError(f"module 'etude' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__

"""Check anyone's implementation and name the mistake: contracts, kept honest by mutants.

    from etude import verify
    verify.check("gan", generator_loss)           # in this process, by the function's own name
    verify.check("gan.generator_loss", my_loss)   # whatever it is called
    verify.verify_file("gan", Path("my_gan.py"))  # in a child process with limits

Names are imported when first used: pytest imports this package for its plug-in, in every session.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from etude.verify.contract import Check, CheckResult, Contract, Convention, Mistake, Report, mistake
    from etude.verify.contracts import CONTRACTS, find
    from etude.verify.proof import check, prove
    from etude.verify.sandbox import Limits, verify_file

_HOMES = {
    **dict.fromkeys(("Check", "CheckResult", "Contract", "Convention", "Mistake", "Report", "mistake"), "contract"),
    **dict.fromkeys(("CONTRACTS", "find"), "contracts"),
    **dict.fromkeys(("check", "prove"), "proof"),
    **dict.fromkeys(("Limits", "verify_file"), "sandbox"),
}

__all__ = [
    "CONTRACTS",
    "Check",
    "CheckResult",
    "Contract",
    "Convention",
    "Limits",
    "Mistake",
    "Report",
    "check",
    "find",
    "mistake",
    "prove",
    "verify_file",
]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(f"etude.verify.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'etude.verify' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__

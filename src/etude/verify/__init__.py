"""Check anyone's implementation and name the mistake: contracts, kept honest by mutants.

from etude import verify
verify.check("gan", generator_loss)           # in this process, by the function's own name
verify.check("gan.generator_loss", my_loss)   # another name
verify.verify_file("gan", Path("my_gan.py"))  # in a child process with limits
"""

from etude.verify.contract import Check, CheckResult, Contract, Mistake, Report, mistake
from etude.verify.contracts import CONTRACTS, find
from etude.verify.proof import check, prove
from etude.verify.sandbox import Limits, verify_file

__all__ = [
    "CONTRACTS",
    "Check",
    "CheckResult",
    "Contract",
    "Limits",
    "Mistake",
    "Report",
    "check",
    "find",
    "mistake",
    "prove",
    "verify_file",
]

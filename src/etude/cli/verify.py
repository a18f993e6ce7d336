"""`etude verify CONTRACT FILE`: check a learner's file against a contract."""

from __future__ import annotations

import sys
from pathlib import Path

from tyro.conf import Positional

from etude.cli.printing import print_json
from etude.errors import UsageError


def verify(
    contract: Positional[str] = "",
    file: Positional[Path | None] = None,
    list: bool = False,
    json: bool = False,
    hidden: int | None = None,
    network: bool = False,
) -> None:
    """Check an implementation against a contract and name its mistakes.

    The file runs in a child process with limits on time and memory. This isolates accidents, not attackers. The exit
    code is 0 if all checks pass, else 1.

    Args:
        contract: gan, vae, cvae, classifier, gradients, layers, optimizers or sequences; one check of them,
            such as gan.bce_loss; or a Python file that defines CONTRACT.
        file: Module (.py), notebook (.ipynb), or adapter that maps other names (.toml).
        list: List the contracts and the names they look for.
        json: Print one JSON object on stdout.
        hidden: For graders: a secret seed for the generated inputs. No counter-example is shown.
        network: Allow network connections.
    """
    from etude.verify import CONTRACTS, Limits, find, verify_file

    if list:
        for each in (find(contract),) if contract else CONTRACTS.values():
            print(each)
        return
    if not contract or file is None:
        raise UsageError("give a contract and a file: `etude verify gan my_gan.py`; `etude verify --list` lists them.")
    report = verify_file(contract, file, seed=hidden or 0, hidden=hidden is not None, limits=Limits(network=network),
        say=lambda text: print(text, file=sys.stderr, flush=True),
    )  # fmt: skip
    for note in report.notes:
        print(f"note: {note}", file=sys.stderr)
    if json:
        print_json(report.to_dict(), indent=2)
    else:
        print(report)
    if not report.passed:
        raise SystemExit(1)

"""The learner's code in a child process, with limits of time and memory and without the network.

This is isolation from accidents (an endless loop, a crash, a download), not from attackers: code that wants to escape
can. Files of strangers belong in a container.

One child loads the file and forks once per check, so that a check that crashes, hangs or exits costs only itself.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from etude.errors import UsageError, unknown
from etude.verify.adapter import Adapter, read_adapter
from etude.verify.contract import CheckResult, Contract, Report
from etude.verify.contracts import CONTRACTS, find
from etude.verify.loader import checked_path
from etude.verify.matching import hide

START_SECONDS = 60.0
"""Time for Python and PyTorch to start; two seconds, many times that on a busy machine."""
SAY_SECONDS = 5.0
ENVIRONMENT = {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": "", "MPLBACKEND": "Agg"}
"""The learner's code runs on one thread, without accelerator and without windows."""


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What the learner's code may use."""

    load_seconds: float = 60.0
    """Wall time for importing the file."""
    check_seconds: float = 20.0
    """Wall time for one check."""
    memory_mib: int = 4096
    """Memory that it may use in addition to PyTorch's."""
    network: bool = False
    """Whether connections are allowed."""


DEFAULT = Limits()


def verify_file(
    contract_name: str,
    path: Path,
    *,
    seed: int = 0,
    hidden: bool = False,
    limits: Limits = DEFAULT,
    say: Callable[[str], None] = lambda text: None,
) -> Report:
    """The verdict on a file. Nothing that its code does ends this process.

    `seed` determines the generated inputs. With `hidden`, no counter-example is shown. `say` is told the progress if it
    takes longer than `SAY_SECONDS`.
    """
    contract = find(contract_name)
    if not hasattr(os, "fork"):
        raise UsageError("etude verify needs an operating system with fork (Linux, macOS); use one, or a container.")
    if contract_name.endswith(".py"):
        contract_name = str(Path(contract_name).resolve())
    adapter = _adapter(checked_path(path), contract)
    order = {"contract": contract_name, "path": str(adapter.file.resolve()), "names": adapter.names, "seed": seed}
    order |= asdict(limits)
    seconds = START_SECONDS + limits.load_seconds + len(contract.checks) * (limits.check_seconds + 1)
    messages, reason = _run_child(order, limits, seconds, lambda text: say(f"{path.name}: {text}"))

    results: dict[str, CheckResult] = {}
    notes: tuple[str, ...] = ()
    for message in messages:
        notes = tuple(message.get("notes", notes))
        reason = message.get("reason", reason)
        if "result" in message:
            result = CheckResult(**message["result"])
            results[result.name] = hide(result) if hidden else result
    for check in contract.checks:
        results.setdefault(check.name, CheckResult(name=check.name, status="undecided", message=reason))
    points = sum(check.points for check in contract.checks)
    return Report(contract.name, tuple(results[check.name] for check in contract.checks), points, notes)


def _adapter(path: Path, contract: Contract) -> Adapter:
    if path.suffix != ".toml":
        return Adapter(path)
    adapter = read_adapter(path)
    known = contract.names.union(*(each.names for each in CONTRACTS.values()))  # one adapter may serve several
    for name in adapter.names:
        if name not in known:
            raise unknown(f"name in {path.name}", name, contract.names)
    return adapter


def _run_child(
    order: dict[str, Any], limits: Limits, seconds: float, say: Callable[[str], None]
) -> tuple[list[dict[str, Any]], str]:
    """What the child reported, and how it ended. Afterwards its whole process group is gone."""
    with tempfile.TemporaryDirectory(prefix="etude-verify-") as folder:
        reports = Path(folder) / "reports.jsonl"
        reports.touch()
        child = subprocess.Popen(
            [sys.executable, "-m", "etude.verify.child", str(reports)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,  # what the learner's code prints is not part of the result
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            env={**os.environ, **ENVIRONMENT, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        )
        try:
            _wait(child, json.dumps(order).encode(), reports, seconds, say)
            reason = ending(child.returncode, limits.load_seconds, "importing the file")
        except subprocess.TimeoutExpired:
            reason = f"not finished within {seconds:g} s"
        finally:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(child.pid, signal.SIGKILL)
            child.wait()
        messages = []
        for line in reports.read_text(encoding="utf-8", errors="replace").splitlines():
            with contextlib.suppress(ValueError):
                messages.append(json.loads(line))
        return messages, reason


def _wait(
    child: subprocess.Popen[bytes], order: bytes, reports: Path, seconds: float, say: Callable[[str], None]
) -> None:
    """Give the child its order and wait until it ends; `TimeoutExpired` after `seconds`."""
    assert child.stdin
    with contextlib.suppress(BrokenPipeError), child.stdin:
        child.stdin.write(order)
    started = time.monotonic()
    while (elapsed := time.monotonic() - started) < seconds:
        try:
            child.wait(timeout=min(SAY_SECONDS, seconds - elapsed))
            return
        except subprocess.TimeoutExpired:
            done = reports.read_bytes().count(b'{"result"')
            say(f"checks done after {time.monotonic() - started:.0f} s: {done}")
    raise subprocess.TimeoutExpired(child.args, seconds)


def ending(code: int, seconds: float, what: str) -> str:
    """Why a process ended before its result, from its exit code (negative: the signal)."""
    if code == -signal.SIGALRM:
        return f"{what} did not finish within {seconds:g} s (an endless loop?)"
    if code == -signal.SIGKILL:
        return f"{what} was killed by the system, probably for its memory"
    if code < 0:
        return f"{what} crashed with {signal.Signals(-code).name}"
    return f"{what} ended the process with exit code {code}"

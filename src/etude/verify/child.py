"""The process in which the learner's code runs: `python -m etude.verify.child REPORTS`, its order as JSON on stdin.

It appends one JSON line per check to the file REPORTS, which `sandbox` reads.
"""

import json
import os
import resource
import signal
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from etude.verify.adapter import Adapter
from etude.verify.contract import Check, CheckResult
from etude.verify.contracts import find
from etude.verify.loader import CannotLoad, Loaded, load
from etude.verify.matching import judge
from etude.verify.observation import NotAllowed, Undecided, one_line
from etude.verify.sandbox import ending

_NETWORK = {"socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto", "socket.bind"}
_PROCESSES = {"os.fork", "os.forkpty", "os.exec", "os.posix_spawn", "os.spawn", "os.system", "subprocess.Popen"}


class Guard:
    """Refuses connections and new processes while the learner's code runs."""

    def __init__(self, network: bool) -> None:
        self.is_on = False
        self.network = network
        sys.addaudithook(self._hook)

    def _hook(self, event: str, arguments: tuple[object, ...]) -> None:
        if not self.is_on:
            return
        if event in _NETWORK and not self.network:
            raise NotAllowed("it uses the network, which verify does not allow (--network does)")
        if event in _PROCESSES:
            raise NotAllowed(f"it starts another process ({event}), which verify does not allow")


def main(reports: Path) -> None:
    order = json.load(sys.stdin)  # up to its end, so that input() of the learner's does not wait
    torch.set_num_threads(1)  # also: a fork after parallel work would hang
    torch.optim.SGD([torch.zeros(1)]).zero_grad()  # loads what optimizers need, once for all forks
    guard = Guard(order["network"])

    def report(message: dict[str, Any]) -> None:
        with reports.open("a", encoding="utf-8") as file:
            file.write(json.dumps(message) + "\n")

    contract = find(order["contract"])
    _limit_memory(order["memory_mib"])
    signal.setitimer(signal.ITIMER_REAL, order["load_seconds"])  # SIGALRM ends the process
    guard.is_on = True
    try:
        loaded = load(Adapter(Path(order["path"]), order["names"]))
    except (CannotLoad, Undecided) as error:
        report({"reason": str(error)})
        return
    guard.is_on = False
    signal.setitimer(signal.ITIMER_REAL, 0)
    torch.set_num_threads(1)  # the file may have set another number
    report({"notes": loaded.notes})

    looked_for = {check.looks_for for check in contract.checks}
    for check in contract.checks:
        if loaded.named(check.looks_for) is None:
            message = loaded.missing(check.looks_for, looked_for)
            report({"result": asdict(CheckResult(name=check.name, status="missing", message=message))})
            continue
        size = reports.stat().st_size
        code = _in_fork(lambda check=check: report({"result": asdict(_verdict(check, loaded, order, guard))}))
        if reports.stat().st_size == size:
            # Too slow or too large may still be right. A crash or an exit is wrong.
            status = "undecided" if code in (-signal.SIGALRM, -signal.SIGKILL) else "wrong"
            message = ending(code, order["check_seconds"], "it")
            report({"result": asdict(CheckResult(name=check.name, status=status, message=message))})


def _verdict(check: Check, loaded: Loaded, order: dict[str, Any], guard: Guard) -> CheckResult:
    signal.setitimer(signal.ITIMER_REAL, order["check_seconds"])
    _limit_memory(order["memory_mib"])
    guard.is_on = True
    try:
        result = judge(check, loaded.named(check.looks_for), seed=order["seed"])
    except Exception as error:  # ours, not the learner's: say so and go on
        reason = f"verify itself failed: {type(error).__name__}: {one_line(str(error))}"
        result = CheckResult(name=check.name, status="undecided", message=reason)
    signal.setitimer(signal.ITIMER_REAL, 0)
    return result


def _in_fork(work: Callable[[], None]) -> int:
    """Run `work` in a forked process. Returns its exit code, negative for a signal."""
    process = os.fork()
    if process == 0:
        try:
            work()
        finally:
            os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])


def _limit_memory(mebibytes: int) -> None:
    """Allow this many more mebibytes than the process has now. Only Linux reports and enforces it."""
    statm = Path("/proc/self/statm")
    if statm.exists():
        used = int(statm.read_text().split()[0]) * resource.getpagesize()
        _, hard = resource.getrlimit(resource.RLIMIT_AS)
        limit = used + mebibytes * 2**20
        resource.setrlimit(resource.RLIMIT_AS, (limit if hard == resource.RLIM_INFINITY else min(limit, hard), hard))


if __name__ == "__main__":
    main(Path(sys.argv[1]))

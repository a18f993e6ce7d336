"""Serve the studio on an address of this machine until Ctrl-C."""

import errno
import secrets
import signal
import socket
import sys
import webbrowser
from pathlib import Path

import torch
import uvicorn

from etude.errors import UsageError
from etude.studio.app import Studio
from etude.studio.guard import Guard

LOOPBACK = ("127.0.0.1", "localhost", "[::1]")
FIRST_PORT, TRIED_PORTS = 8642, 20


def serve(runs_dir: Path, *, host: str, port: int | None, data_dir: Path | None, open_page: bool) -> None:
    """Print the address, and answer requests until the process is stopped.

    Without a `port`, the first free one from `FIRST_PORT` on is taken.
    """
    with listen(host, port) as listening:
        taken = listening.getsockname()[1]
        token = secrets.token_urlsafe(24)
        names = {*LOOPBACK} if host in ("127.0.0.1", "localhost", "::1") else {*LOOPBACK, _named(host).lower()}
        studio = Studio(runs_dir, data_dir)
        before = signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that `finally` is reached
        try:
            app = Guard(studio.app(), hosts=names, port=taken, token=token)
            address = f"http://{_named(host)}:{taken}/?token={token}"
            print(f"studio of {runs_dir} at {address}\nCtrl-C ends it; trainings go on.", flush=True)
            if open_page:
                webbrowser.open(address)
            torch.set_num_threads(1)  # pictures are small, and a training beside it needs the cores
            config = uvicorn.Config(
                app, log_level="error", access_log=False, server_header=False, timeout_keep_alive=60
            )
            uvicorn.Server(config).run(sockets=[listening])
        finally:
            signal.signal(signal.SIGTERM, before)
            studio.jobs.close()


def _named(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def listen(host: str, port: int | None) -> socket.socket:
    """A socket that listens there; `UsageError` says why it cannot."""
    if not host:  # the system takes it for every address of this machine
        raise _no_host(host)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    for number in [port] if port is not None else range(FIRST_PORT, FIRST_PORT + TRIED_PORTS):
        # With its protocol named, asyncio sends at once; otherwise each answer waits 40 ms for an acknowledgement.
        listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind((host, number))
            listening.listen(128)
            if listening.getsockname()[0] in ("0.0.0.0", "::"):
                listening.close()
                raise UsageError(f"--host {host} is every address: give the one by which others call this machine.")
            return listening
        except OSError as error:
            listening.close()
            if error.errno not in (errno.EADDRINUSE, errno.EACCES):
                raise _no_host(host) from error
            if error.errno == errno.EACCES or port is not None:
                reason = (error.strerror or str(error)).lower()
                raise UsageError(f"cannot listen on {host}:{number}: {reason}; choose another --port.") from error
        except (TypeError, ValueError) as error:  # what can be no name
            listening.close()
            raise _no_host(host) from error
    raise UsageError(f"ports {FIRST_PORT} to {FIRST_PORT + TRIED_PORTS - 1} are all in use: give a --port.")


def _no_host(host: str) -> UsageError:
    return UsageError(f"--host {host!r} (allowed: a name or an address of this machine).")

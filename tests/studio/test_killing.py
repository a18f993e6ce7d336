"""A studio and the trainings that it started or shows: each can be killed without harm to the other."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

import etude


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[[], tuple[subprocess.Popen[str], httpx.Client]]]:
    """Start a studio of the folder `runs`; a client that it knows."""
    started: list[tuple[subprocess.Popen[str], httpx.Client]] = []

    def studio() -> tuple[subprocess.Popen[str], httpx.Client]:
        words = [sys.executable, "-m", "etude", "studio", str(tmp_path / "runs"), "--port", "0"]
        process = subprocess.Popen(
            words, stdout=subprocess.PIPE, text=True, env={**os.environ, "TMPDIR": str(tmp_path)}
        )
        assert process.stdout
        found = re.search(r"(http://\S+)/\?token=\S+", process.stdout.readline())
        assert found
        client = httpx.Client(base_url=found[1], headers={"origin": found[1]}, timeout=20)
        client.get(found[0])
        started.append((process, client))
        return process, client

    yield studio
    for process, client in started:
        client.close()
        with process:
            process.kill()


def eventually(holds: Callable[[], Any], seconds: float = 60) -> Any:
    until = time.monotonic() + seconds
    while not (found := holds()):
        assert time.monotonic() < until
        time.sleep(0.1)
    return found


def test_either_may_be_killed(tmp_path: Path, start: Callable[[], tuple[subprocess.Popen[str], httpx.Client]]) -> None:
    process, client = start()
    changes = {"data": "moons", "epochs": 3000, "train_images": 400}
    assert (
        client.post("/api/train", json={"recipe": "classifier", "name": "long", "changes": changes}).status_code == 200
    )
    row = eventually(lambda: next((r for r in client.get("/api/runs").json()["runs"] if r["epoch"] >= 2), None))
    assert (row["id"], row["state"]) == ("long", "running")

    process.kill()  # the training does not notice
    process.wait()
    run = etude.load(tmp_path / "runs" / "long")
    epoch = run.state.epoch
    eventually(lambda: run.state.epoch > epoch + 2)
    assert run.state.status == "running"

    process, client = start()  # another studio shows it, and pauses it
    assert client.post("/api/runs/long/pause", json={}).status_code == 200
    eventually(lambda: run.state.status == "interrupted")

    assert client.post("/api/runs/long/resume", json={}).status_code == 200
    eventually(lambda: client.get("/api/runs/long").json()["state"]["status"] == "running")
    number = eventually(lambda: (tmp_path / "runs" / "long" / ".lock").read_text())
    os.kill(int(number), signal.SIGKILL)  # the studio does not notice
    eventually(lambda: client.get("/api/runs/long").json()["state"]["status"] == "interrupted")
    assert json.loads(client.get("/api/jobs").text)[0]["state"] == "failed"

    process.terminate()
    assert process.wait(timeout=20) == 143
    assert len(list(tmp_path.glob("etude-studio-*"))) == 1  # of the killed one

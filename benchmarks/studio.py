"""How fast the studio is: opening, dragging, polling, and a training beside it. It needs a Chromium and playwright.

    python benchmarks/studio.py                 # all parts, about six minutes on a machine that does nothing else
    python benchmarks/studio.py drag clients    # some

Runs with many points are made from a trained one; they are read like any other.
"""

import argparse
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from playwright.sync_api import Page, sync_playwright

import etude
from etude.files import checked_json, checksum, parse_checked_json
from etude.training import Display

CLIENTS, SECONDS = 100, 60
DRAG_SECONDS = 5


@contextmanager
def studio(runs_dir: Path) -> Iterator[tuple[str, int]]:
    """A studio of its own: its address with the token, and its process."""
    words = [sys.executable, "-m", "etude", "studio", str(runs_dir), "--port", "0"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        found = re.search(r"http://\S+", process.stdout.readline())
        assert found
        yield found[0], process.pid
        process.terminate()


@contextmanager
def page() -> Iterator[Page]:
    """A page of a headless Chromium."""
    with sync_playwright() as running:
        path = os.environ.get("ETUDE_CHROMIUM") or shutil.which("chromium")
        browser = running.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser.new_page(viewport={"width": 1280, "height": 720})
        browser.close()


def many(trained: Path, folder: Path, *, runs: int, points: int) -> Path:
    """A folder of runs with that many points each; one is a spike."""
    rng = np.random.default_rng(0)
    for number in range(runs):
        path = folder / f"run-{number}"
        path.mkdir(parents=True)
        content, _ = parse_checked_json((trained / "recipe.json").read_bytes())
        content["recipe"] |= {"seed": number % 5, "batch_size": 4 + number // 5}
        (path / "recipe.json").write_text(checked_json(content))
        values = np.exp(-3 * np.arange(points) / points) + rng.normal(0, 0.05, points)
        values[points // 3] = 5
        events = [{"event": i, "step": 10 * i + 10, "epoch": 1, "running/loss": float(v)} for i, v in enumerate(values)]
        text = "".join(f"{json.dumps(event)}\n" for event in events)
        (path / "metrics.jsonl").write_text(text)
        state, _ = parse_checked_json((trained / "state.json").read_bytes())
        state |= {"metrics_bytes": len(text), "metrics_checksum": checksum(text.encode())}
        (path / "state.json").write_text(checked_json(state))
    return folder


def opening(folder: Path) -> dict[str, Any]:
    """Seconds until the table is there, and until the curves of all runs are; the longest pause between two frames."""
    ids = ",".join(path.name for path in sorted(folder.iterdir()))
    with studio(folder) as (address, _), page() as view:
        started = time.perf_counter()
        view.goto(address)
        view.wait_for_selector("table.runs tbody tr")
        table = time.perf_counter() - started
        paint = view.evaluate("performance.getEntriesByName('first-contentful-paint')[0]?.startTime / 1000")
        started = time.perf_counter()
        view.goto(f"{address.partition('?')[0]}#/runs?column=running/loss&runs={ids}")
        view.wait_for_selector(".u-over")
        curves = time.perf_counter() - started
        view.wait_for_timeout(1500)
        frames = view.evaluate(
            """async () => {
              const pauses = [], over = document.querySelector('.u-over');
              for (let i = 0, last = performance.now(); i < 120; i++) {
                over.dispatchEvent(new MouseEvent('mousemove', {clientX: 300 + 4 * i, clientY: 500, bubbles: true}));
                await new Promise(requestAnimationFrame);
                const now = performance.now();
                pauses.push(now - last);
                last = now;
              }
              return pauses.sort((a, b) => a - b);
            }"""
        )
    return {
        "first paint s": paint,
        "table s": table,
        "curves s": curves,
        "frame ms, median": statistics.median(frames),
        "frame ms, p95": frames[113],
    }


def drag(runs_dir: Path) -> dict[str, Any]:
    """Decodes a second while the pointer moves through the latent plane, and how long each takes."""
    with studio(runs_dir) as (address, _), page() as view:
        view.goto(address)
        view.goto(f"{address.partition('?')[0]}#/run/vae/plane")
        view.wait_for_selector("canvas.decoded[data-z]")
        view.wait_for_timeout(1000)
        view.evaluate("performance.setResourceTimingBufferSize(10000); performance.clearResourceTimings()")
        found = view.evaluate(
            """async (seconds) => {
              const plane = document.querySelector('canvas.plane'), box = plane.getBoundingClientRect();
              const event = (name, i) => plane.dispatchEvent(new PointerEvent(name, {pointerId: 1, bubbles: true,
                clientX: box.left + box.width * (0.5 + 0.4 * Math.cos(i / 40)),
                clientY: box.top + box.height * (0.5 + 0.4 * Math.sin(i / 40))}));
              plane.setPointerCapture = () => {};
              event('pointerdown', 0);
              const until = performance.now() + 1000 * seconds;
              for (let i = 0; performance.now() < until; i++) {
                event('pointermove', i);
                await new Promise((resolve) => setTimeout(resolve, 4));
              }
              event('pointerup', 0);
              const asked = performance.getEntriesByType('resource').filter((each) => each.name.endsWith('/decode'));
              return asked.map((each) => each.duration);
            }""",
            DRAG_SECONDS,
        )
    durations = sorted(found)
    return {"decodes a second": len(durations) / DRAG_SECONDS, "p95 ms": durations[int(0.95 * len(durations))]}


def clients(runs_dir: Path) -> dict[str, Any]:
    """100 clients that poll the table and one run's curves every second for a minute: errors, answers, memory."""
    with studio(runs_dir) as (address, pid):
        base = address.partition("/?")[0]
        with httpx.Client() as first:
            first.get(address)
            cookies = dict(first.cookies)
        before, wrong, statuses = resident(pid), [], {200: 0, 304: 0}

        def poll() -> None:
            with httpx.Client(base_url=base, cookies=cookies, timeout=30) as client:
                tags: dict[str, str] = {}
                until = time.monotonic() + SECONDS
                while time.monotonic() < until:
                    for path in ("/api/runs", "/api/curves?run=vae&column=train/loss_nats"):
                        try:
                            headers = {"if-none-match": tags[path]} if path in tags else {}
                            answer = client.get(path, headers=headers)
                            statuses[answer.status_code] = statuses.get(answer.status_code, 0) + 1
                            tags[path] = answer.headers["etag"]
                            if answer.status_code == 304 and answer.content:
                                wrong.append("a body with 304")
                        except (httpx.HTTPError, KeyError) as error:
                            wrong.append(repr(error))
                    time.sleep(1)

        threads = [threading.Thread(target=poll) for _ in range(CLIENTS)]
        for thread in threads:
            thread.start()
        time.sleep(SECONDS / 4)
        early = resident(pid)
        for thread in threads:
            thread.join()
        late = resident(pid)
    return {"answers": statuses, "errors": len(wrong), "first": wrong[:1], "MiB": [before, early, late]}


def resident(pid: int) -> int:
    """MiB of memory that a process holds."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") // 2**20


def beside(runs_dir: Path, pairs: int = 4) -> dict[str, Any]:
    """Steps a second of a training alone, and with a page that watches it, in turn: the share that is lost."""
    lost = []
    with studio(runs_dir) as (address, _), page() as view:
        for pair in range(pairs):
            seconds = []
            for watched in (False, True) if pair % 2 else (True, False):
                name = f"beside-{pair}-{watched}"
                view.goto(address if watched else "about:blank")
                if watched:
                    view.goto(f"{address.partition('?')[0]}#/runs?follow=on")
                started = time.perf_counter()
                etude.train("vae", name=name, data="digits", epochs=120, compile="off", threads=2, runs_dir=runs_dir,
                            display=Display(quiet=True))  # fmt: skip
                seconds.append((watched, time.perf_counter() - started))
            times = dict(seconds)
            lost.append(1 - times[False] / times[True])
    return {"share lost, by pair": [round(each, 4) for each in lost], "median": statistics.median(lost)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", default=["opening", "drag", "clients", "beside"])
    parts = parser.parse_args().parts
    with tempfile.TemporaryDirectory() as folder:
        runs_dir = Path(folder) / "runs"
        etude.train("vae", name="vae", data="digits", epochs=3, runs_dir=runs_dir, display=Display(quiet=True))
        if "opening" in parts:
            for runs, points in ((250, 2_000), (100, 10_000)):
                made = many(runs_dir / "vae", Path(folder) / f"{runs}", runs=runs, points=points)
                print(f"{runs} runs of {points:,} points:", opening(made), flush=True)
        for name, part in (("drag", drag), ("clients", clients), ("beside", beside)):
            if name in parts:
                print(f"{name}:", part(runs_dir), flush=True)


if __name__ == "__main__":
    main()

"""The benchmarks run: what they print on the machine that they are made for no test can say."""

import subprocess
import sys
from pathlib import Path

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"

TIMED = ["`gan`", "`dcgan`", "`vae`", "`lenet`", "`lenet`, 3 seeds", "`cifar-fast`, 3 runs"]
CHECKED = ["a step against PyTorch's own", "replicas against runs alone", "trained again", "stopped and resumed"]


def test_the_programme_for_a_gpu_runs_on_a_processor() -> None:
    words = [sys.executable, str(BENCHMARKS / "gpu.py"), "--quick", "--device", "cpu"]
    done = subprocess.run(words, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    about, _, header, _, *lines = done.stdout.splitlines()
    assert about.startswith("no GPU; ")
    assert header == "| what | measured | wanted on an H100 | learned | peak GPU MiB |"
    rows = [line.strip("| ").split(" | ") for line in lines]
    assert {len(row) for row in rows} == {5}
    timed, checked = rows[: len(TIMED)], rows[len(TIMED) :]
    assert all(row[0].startswith(what) for row, what in zip(timed, TIMED, strict=True))
    # In bf16 too where that is fast.
    wanted = [f"check: `{name}`, fp32, 10 steps, {what}" for name in ("lenet", "dcgan") for what in CHECKED]
    assert [row[0] for row in checked if "bf16" not in row[0]] == wanted
    assert {row[3] for row in checked} == {"holds"}

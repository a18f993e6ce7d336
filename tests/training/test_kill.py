"""SIGKILL at a random moment loses nothing; `kill_and_resume.py` beside this file tries 20 moments of each family."""

import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).with_name("kill_and_resume.py")


def test_killed_runs_resume_to_the_same_bits() -> None:
    words = [sys.executable, str(SCRIPT), "--kills", "2", "--recipes", "gan"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    *kills, verdict = done.stdout.splitlines()
    assert (done.returncode, verdict) == (0, "0 runs ended differently"), done.stdout + done.stderr
    assert len(kills) == 1
    assert not any(line.split(": ")[1].startswith("0 of 2") for line in kills), done.stdout

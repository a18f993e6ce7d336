"""The child process: whatever a learner's file does, the result is a report. Few children: each starts PyTorch."""

import json
import re
import signal
from pathlib import Path

import pytest

from etude.errors import UsageError
from etude.verify import CheckResult, Limits, sandbox, verify_file
from etude.verify.sandbox import ending

HOSTILE = """
import ctypes, os, socket, subprocess, sys, time
import torch

print("noise on import", file=sys.stderr)

def sample_noise(batch_size, dim):
    while True:
        pass

def discriminator():
    os._exit(3)

def generator(noise_dim):
    ctypes.string_at(0)

def build_dc_classifier(batch_size):
    os.fork()

def build_dc_generator(noise_dim):
    subprocess.run(["true"])

def get_optimizer():
    return None

torch.set_num_threads(4)

def bce_loss(input, target):
    return torch.zeros(2**34).sum()

def discriminator_loss(logits_real, logits_fake):
    socket.create_connection(("127.0.0.1", 9))

def generator_loss(logits_fake):
    print("x" * 100_000)
    sys.exit("done")

def ls_discriminator_loss(scores_real, scores_fake):
    return input("scores?")

def ls_gen_loss(scores_fake):
    return 0.0

def train_step(D, G, D_solver, G_solver, discriminator_loss, generator_loss, real, noise_dim):
    raise ValueError(f"on {torch.get_num_threads()} thread\\nand another line")
"""


def test_bad_functions_are_results(tmp_path: Path):
    (tmp_path / "mine.py").write_text(HOSTILE)
    report = verify_file("gan", tmp_path / "mine.py", limits=Limits(check_seconds=10.0, memory_mib=2048))
    assert {check.name: (check.status, check.message) for check in report.checks} == {
        "sample_noise": ("undecided", "it did not finish within 10 s (an endless loop?)"),
        "discriminator": ("wrong", "it ended the process with exit code 3"),
        "generator": ("wrong", "it crashed with SIGSEGV"),
        "build_dc_classifier": (
            "undecided",
            "could not judge: it starts another process (os.fork), which verify does not allow",
        ),
        "build_dc_generator": (
            "undecided",
            "could not judge: it starts another process (subprocess.Popen), which verify does not allow",
        ),
        "get_optimizer": (
            "wrong",
            "it takes (); it is called as get_optimizer(model) → Adam, learning rate 1e-3, betas (0.5, 0.999).",
        ),
        "bce_loss": ("undecided", "could not judge: asked for more memory than verify allows"),
        "discriminator_loss": (
            "undecided",
            "could not judge: it uses the network, which verify does not allow (--network does)",
        ),
        "generator_loss": ("wrong", "it called exit; call: generator_loss(logits_fake) → one number."),
        "ls_discriminator_loss": (
            "wrong",
            "it raised EOFError: EOF when reading a line; "
            "call: ls_discriminator_loss(scores_real, scores_fake) → one number.",
        ),
        "ls_generator_loss": (
            "missing",
            "nothing is called ls_generator_loss; did you mean to rename ls_gen_loss? An adapter maps other names.",
        ),
        "train_step": (
            "wrong",
            "it raised ValueError: on 1 thread; "
            "call: train_step(D, G, D_solver, G_solver, discriminator_loss, generator_loss, real, noise_dim)"
            "; real is (batch, 784) in [−1, 1].",
        ),
    }
    assert not report.passed
    assert report.score == 0.0


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("while True: pass", "importing the file did not finish within 5 s (an endless loop?)"),
        ("import os; os._exit(0)", "mine.py could not be imported: SystemExit: 0"),
        ("import os; os.fork()", "it starts another process (os.fork), which verify does not allow"),
        ("import torch; torch.zeros(2**31)", "importing it asked for more memory than verify allows"),
        ("def f(:", "mine.py could not be imported (line 1): invalid syntax"),
    ],
)
def test_files_that_do_not_import_are_results(source: str, reason: str, tmp_path: Path):
    (tmp_path / "mine.py").write_text(source)
    report = verify_file("gan.bce_loss", tmp_path / "mine.py", limits=Limits(load_seconds=5.0, memory_mib=2048))
    assert report.checks == (CheckResult(name="bce_loss", status="undecided", message=reason),)


def test_a_slow_file_says_how_far_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sandbox, "SAY_SECONDS", 0.5)
    (tmp_path / "mine.py").write_text("import time; time.sleep(1)\ndef bce_loss(input, target): return 0")
    said: list[str] = []
    verify_file("gan.bce_loss", tmp_path / "mine.py", say=said.append)
    assert len(said) >= 2
    assert all(re.fullmatch(r"mine\.py: checks done after \d+ s: [01]", each) for each in said), said


def test_a_hidden_seed_shows_no_counterexample(tmp_path: Path):
    (tmp_path / "mine.py").write_text("def bce_loss(input, target): return ((input - target) ** 2).mean()")
    report = verify_file("gan.bce_loss", tmp_path / "mine.py", seed=77, hidden=True)
    (check,) = report.checks
    assert (check.status, check.mistake, check.counterexample) == ("wrong", None, None)
    assert json.loads(json.dumps(report.to_dict()))["checks"][0]["counterexample"] is None


def test_files_that_cannot_be_read_are_a_persons_mistake(tmp_path: Path):
    with pytest.raises(UsageError) as error:
        verify_file("gan", tmp_path / "my_gan.py")
    assert str(error.value) == (
        f"{tmp_path}/my_gan.py: no such file; give a module (.py), a notebook (.ipynb) or an adapter (.toml)."
    )
    (tmp_path / "gan.txt").touch()
    with pytest.raises(UsageError) as error:
        verify_file("gan", tmp_path / "gan.txt")
    assert str(error.value) == f"{tmp_path}/gan.txt: a .txt file; give .py, .ipynb or an adapter (.toml)."


def test_endings_tell_too_slow_from_crashed():
    assert ending(-signal.SIGKILL, 5, "it") == "it was killed by the system, probably for its memory"
    assert ending(-signal.SIGABRT, 5, "it") == "it crashed with SIGABRT"
    assert ending(1, 5, "it") == "it ended the process with exit code 1"

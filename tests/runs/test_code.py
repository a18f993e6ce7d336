"""A run's own code runs where it was made, or where its user says so; what needs none never runs it."""

import json
import os
import shutil
import stat
from pathlib import Path
from typing import Any

import pytest

import etude
from etude.cli import main
from etude.errors import EtudeError, RunError, TrainingError
from etude.files import checked_json
from etude.runs import Run, code
from etude.sweeps import load as load_sweep
from etude.training import Display

NET = """
import pathlib
import subprocess
from torch import nn
from near import width

pathlib.Path({ran!r}).touch()

class Net(nn.Module):
    def __init__(self, num_features, num_classes):
        super().__init__()
        self.fc = nn.Linear(num_features, num_classes)
    def forward(self, x):
        return self.fc(x.flatten(1))
"""


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A user with a key and no trusted folders; files that say when they run."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(code, "key_path", lambda: tmp_path / "data" / "seal.key")
    monkeypatch.setattr(code, "_trusted", set())
    monkeypatch.setattr("etude.families.own_networks._programs", {})
    Path("near.py").write_text("width = 3\n")
    Path("net.py").write_text(NET.format(ran=str(tmp_path / "ran")))


def train(name: str = "mine", **changes: Any) -> Run:
    few = {"epochs": 1, "train_images": 64, "threads": 1, "display": Display(quiet=True)}
    return etude.train("classifier", network="net.py:Net", data="digits", name=name, **{**few, **changes})


def elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """From now on on another machine: with another key, and nothing run yet."""
    monkeypatch.setattr(code, "key_path", lambda: Path("other") / "seal.key")
    monkeypatch.setattr("etude.families.own_networks._programs", {})
    Path("ran").unlink(missing_ok=True)


ASKS = (
    "run mine has code of its own, runs/mine/code/net.py, and was not made here: read it, then give --trust to run it."
)


def test_the_key_is_for_its_user_alone() -> None:
    train()
    path = Path("data/seal.key")
    assert len(path.read_bytes()) == 32
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
    assert [each.name for each in Path("data").iterdir()] == ["seal.key"]


def test_a_run_made_here_asks_nothing(tmp_path: Path) -> None:
    run = train()
    assert (run.path / "code" / "net.py").read_bytes() == Path("net.py").read_bytes()
    assert (run.path / "code" / "near.py").read_bytes() == Path("near.py").read_bytes()
    Path("net.py").unlink()
    assert etude.load("mine").model(etude.load("mine").inputs([[[[0.0] * 28] * 28]])).shape == (1, 10)
    shutil.move(run.path, tmp_path / "moved")
    assert sum(p.numel() for p in etude.load(tmp_path / "moved").model.parameters()) == 7850


def test_a_run_from_elsewhere_asks(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    train()
    elsewhere(monkeypatch)
    run = etude.load("mine")
    assert run.metrics().last()["train/loss"] > 0
    assert run.parameters == {"Net": 7850}
    assert not run.conditional
    assert "mine" in run._repr_html_()
    for words in (["show", "mine"], ["show", "mine", "--json"], ["runs"], ["figure", "mine"]):
        assert main(words) == 0
    capsys.readouterr()
    for words in (["measure", "mine"], ["figure", "mine", "confusion"], ["figure", "mine", "--all"]):
        assert main(words) == 2
        assert capsys.readouterr().err.endswith(f"etude: {ASKS}\n")
    with pytest.raises(RunError) as error:
        _ = run.networks
    assert str(error.value) == ASKS
    assert not Path("ran").exists()
    assert main(["figure", "mine", "confusion", "--trust"]) == 0
    assert Path("ran").exists()


def test_trust_in_python_and_for_resuming(monkeypatch: pytest.MonkeyPatch) -> None:
    class Stop(Display):
        def epoch(self, **values: Any) -> None:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(epochs=2, display=Stop(quiet=True))
    elsewhere(monkeypatch)
    with pytest.raises(RunError) as error:
        etude.resume("mine", display=Display(quiet=True))
    assert str(error.value) == ASKS
    assert not Path("ran").exists()
    etude.resume(etude.load("mine", trust=True), display=Display(quiet=True))
    assert etude.load("mine").state.status == "finished"


def rewritten(path: Path, change: Any) -> None:
    """Change recipe.json as somebody with an editor and this file would."""
    content = json.loads((path / "recipe.json").read_text())
    del content["checksum"]
    change(content)
    (path / "recipe.json").write_text(checked_json(content))


def refused(run: str) -> str:
    with pytest.raises(EtudeError) as error:
        _ = etude.load(run).networks
    return str(error.value)


def test_a_seal_is_of_the_files_and_of_what_is_called_in_them(monkeypatch: pytest.MonkeyPatch) -> None:
    run = train()
    rewritten(run.path, lambda content: content["recipe"].update(network="code/net.py:subprocess"))
    assert refused("mine") == ASKS
    rewritten(run.path, lambda content: content["recipe"].update(network="code/net.py:Net"))
    assert etude.load("mine").networks
    for seal in ("", "0" * 64, "é"):
        rewritten(run.path, lambda content, seal=seal: content["code"][1].update(seal=seal))
        assert refused("mine") == ASKS


def test_copies_that_have_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    run = train()
    copy = run.path / "code" / "near.py"
    copy.write_text("width = 4\n")
    changed = (
        "damaged run runs/mine: code/near.py has changed since the run began; put the file back, or train it again."
    )
    assert refused("mine") == changed
    code.trust(run.path)
    assert refused("mine") == changed  # trusted or not
    copy.unlink()
    assert refused("mine") == "damaged run runs/mine: code/near.py: no such file or directory; put the file back."
    rewritten(run.path, lambda content: content["code"].clear())
    assert refused("mine") == "damaged run runs/mine: it has no copy of net.py; train it again."


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c["recipe"].update(network="/etc/net.py:Net"),
         "holds no recipe (it names /etc/net.py:Net, which lies outside of code/)"),
        (lambda c: c["recipe"].update(network="code/../net.py:Net"),
         "holds no recipe (it names code/../net.py:Net, which lies outside of code/)"),
        (lambda c: c["recipe"].update(network="code/net.py:Net("),
         "holds no recipe ('code/net.py:Net(' names no network; write FILE.py:NAME or FILE.py:NAME(3, width=16))"),
        (lambda c: c["code"][0].update(file="../net.py"), "holds no recipe (it has '../net.py' for a file in code)"),
        (lambda c: c["code"][0].update(file="/net.py"), "holds no recipe (it has '/net.py' for a file in code)"),
        (lambda c: c["code"][0].pop("seal"), None),
        (lambda c: c.update(code=3), "holds no recipe (it has 3 for code)"),
    ],
)  # fmt: skip
def test_recipes_that_were_tampered_with(change: Any, message: str | None) -> None:
    run = train()
    Path("ran").unlink()
    rewritten(run.path, change)
    found = refused("mine")
    assert "\n" not in found
    if message:
        assert found == (f"damaged run runs/mine: recipe.json {message}; put the file back, or train the run again.")
    assert not Path("ran").exists()


def test_a_recipe_runs_no_file_that_was_not_admitted() -> None:
    from etude.recipes import change, get
    from etude.training.learners import examined

    train()
    recipe = change(get("classifier"), network=f"{Path.cwd()}/other.py:Net")
    Path("other.py").write_text("1 / 0\n")
    with pytest.raises(RunError) as error:
        examined(recipe, etude.load("mine").kind)
    assert str(error.value) == (
        f"{Path.cwd()}/other.py has not been admitted to run: give it to `etude train`, or open its run."
    )


def test_two_files_of_one_name(tmp_path: Path) -> None:
    Path("other").mkdir()
    Path("other/g.py").write_text(
        "from torch import nn\ndef D(): return nn.Sequential(nn.Flatten(), nn.Linear(784, 1))\n"
    )
    Path("g.py").write_text(
        "from torch import nn\ndef G(noise_dim):\n"
        "    return nn.Sequential(nn.Linear(noise_dim, 784), nn.Tanh(), nn.Unflatten(1, (1, 28, 28)))\n"
    )
    with pytest.raises(EtudeError) as error:
        etude.train("gan", data="digits", generator="g.py:G", discriminator="other/g.py:D", epochs=1,
                    display=Display(quiet=True))  # fmt: skip
    assert str(error.value) == "two different files are called g.py: rename one of them."
    assert not any(Path("runs").iterdir())


def test_what_fails_in_training_names_the_line() -> None:
    Path("net.py").write_text(
        "import torch\nfrom torch import nn\nclass Net(nn.Sequential):\n    def __init__(self):\n"
        "        super().__init__(nn.Flatten(), nn.Linear(784, 10))\n"
        "        self.register_buffer('n', torch.zeros(()))\n"
        "    def forward(self, x):\n        if self.training: self.n += 1\n"
        "        if self.n > 1: raise ValueError('late')\n        return super().forward(x)\n"
    )
    with pytest.raises(TrainingError) as error:
        train()
    assert str(error.value) == (
        f"the code of run runs/mine failed at {Path.cwd()}/runs/mine/code/net.py line 9: ValueError: late; mend the "
        "file that it was copied from, and train again."
    )


def test_a_sweep_keeps_the_code_and_asks(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["sweep", "classifier", "--network", "net.py:Net", "--data", "digits", "--train-images", "64", "--epochs",
             "1", "--grid", "batch_size=16,32", "--seeds", "1", "--name", "s", "--quiet", "--jobs", "1"]  # fmt: skip
    monkeypatch.setenv("XDG_DATA_HOME", str(Path.cwd() / "data"))  # of the workers
    monkeypatch.setattr(code, "key_path", lambda: Path.cwd() / "data" / "etude" / "seal.key")
    assert main(words) == 0
    assert (Path("runs/s/code/net.py")).is_file()
    assert load_sweep("s").recipe.network == f"{Path.cwd()}/runs/s/code/net.py:Net"
    assert main([*words[:-4], "s", "--quiet"]) == 0  # the same plan: nothing to train
    Path("near.py").write_text("width = 4\n")
    capsys.readouterr()
    assert main(words) == 2
    assert capsys.readouterr().err == (
        "etude: sweep runs/s has other code (near.py has changed since): choose another --name, or continue the "
        "sweep as it is with `etude resume s`.\n"
    )
    elsewhere(monkeypatch)
    assert main(["show", "s"]) == 0
    assert main(["resume", "s", "--quiet"]) == 2
    assert capsys.readouterr().err.endswith(
        "etude: sweep s has code of its own, runs/s/code/net.py, and was not made here: read it, then give --trust to "
        "run it.\n"
    )
    assert not Path("ran").exists()
    assert main(["resume", "s", "--quiet", "--trust"]) == 0
    assert main(["measure", "s", "--metrics", "accuracy"]) == 0  # trusted while this process lasts


def test_the_command_of_the_docs(capsys: pytest.CaptureFixture[str]) -> None:
    Path("net.py").write_text(Path("net.py").read_text().replace("self.fc(x", "print('seen') or self.fc(x"))
    words = ["train", "classifier", "--network", "net.py:Net", "--data", "digits", "--epochs", "1", "--json", "--quiet"]
    assert main(words) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["recipe"], found["parameters"], found["epochs"]) == ("classifier", {"Net": 7850}, 1)

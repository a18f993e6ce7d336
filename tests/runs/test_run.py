"""A run folder: made, named, listed, opened, and what its networks do."""

import dataclasses
import fcntl
import json
import re
import shutil
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch

import etude
from etude.cli import main
from etude.errors import DiskError, RunError, UsageError
from etude.files import checked_json, parse_checked_json
from etude.recipes import RECIPES
from etude.runs import Run, RunStatus, create_run, find, list_paths
from etude.runs.lock import is_training, training_lock
from etude.training import Display
from made_up import configuration


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Run]:
    """A briefly trained run of each kind, by recipe."""
    folder, quiet = tmp_path_factory.mktemp("runs"), Display(quiet=True)
    return {
        name: etude.train(name, data="digits", epochs=1, runs_dir=folder, threads=1, precision="fp32", display=quiet)
        for name in ("lenet", "gan", "dcgan", "vae", "cvae")
    }


def make(folder: Path, name: str | None = None, recipe: str = "vae") -> Run:
    return create_run(RECIPES[recipe], name=name, runs_dir=folder, configuration=configuration())


def test_the_folder_holds_what_the_house_says(runs: dict[str, Run]) -> None:
    run = runs["vae"]
    assert run.name == "vae-digits-1"
    names = {path.name for path in run.path.iterdir()}
    assert names == {".lock", "recipe.json", "state.json", "metrics.jsonl", "samples", "checkpoints"}
    configuration = json.loads((run.path / "recipe.json").read_text())
    assert configuration["recipe"]["epochs"] == 1
    assert configuration["dataset"]["train_images"] == 1500
    assert set(configuration["versions"]) == {"python", "etude", "torch", "numpy"}
    assert configuration["execution"] == {"device": "cpu", "threads": 1, "precision": "fp32", "compiled": False}


def test_names_count_up_and_never_collide(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda _: make(tmp_path).name, range(24)))
    assert sorted(made, key=lambda name: int(name.split("-")[-1])) == [f"vae-mnist-{n}" for n in range(1, 25)]
    assert not list(tmp_path.glob(".*"))


def test_a_name_that_is_taken(tmp_path: Path) -> None:
    make(tmp_path, "mine")
    with pytest.raises(RunError) as caught:
        make(tmp_path, "mine")
    assert str(caught.value) == (
        f"run mine is already in {tmp_path}: choose another --name, or go on with `etude resume mine`."
    )


@pytest.mark.parametrize("name", ["../x", "a b", ".hidden", "", "a/b"])
def test_a_name_that_cannot_be_a_folder(name: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        make(tmp_path, name)
    assert str(caught.value) == (
        f"--name {name!r} (allowed: letters, digits, '.', '_' and '-', starting with a letter or digit, at most 100)."
    )


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DiskError) as caught:
        make(tmp_path / "file")
    assert str(caught.value) == (
        f"cannot write {tmp_path / 'file'}: not a directory; free some space or choose another folder."
    )


def test_find_suggests_the_nearest_name(tmp_path: Path) -> None:
    make(tmp_path, "first")
    assert find("first", runs_dir=tmp_path) == tmp_path / "first"
    assert find(tmp_path / "first") == tmp_path / "first"
    with pytest.raises(RunError) as caught:
        find("frist", runs_dir=tmp_path)
    assert str(caught.value) == f"no run 'frist' here or in {tmp_path}: did you mean 'first'? `etude runs` lists 1."


def test_a_path_is_looked_for_among_the_runs_beside_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for folder, name in (("runs", "first"), ("old ones", "second"), ("old ones", "third"), ("runs/sweep", "lenet")):
        make(tmp_path / folder, name)
    for given, said in {
        "old ones/secnd": "did you mean 'old ones/second'? `etude runs --runs-dir 'old ones'` lists 2.",
        "old ones/frist": "`etude runs --runs-dir 'old ones'` lists 2.",
        "runs/frist": "did you mean 'first'? `etude runs` lists 1.",
        "sweep/lenett": "did you mean 'runs/sweep/lenet'? `etude runs --runs-dir runs/sweep` lists 1.",
        "gone/first": "`etude runs --runs-dir gone` lists 0.",
        "frist": "did you mean 'first'? `etude runs` lists 1.",
    }.items():
        with pytest.raises(RunError) as caught:
            find(given)
        assert str(caught.value) == f"no run '{given}' here or in runs: {said}"


def test_a_run_of_a_newer_version(tmp_path: Path) -> None:
    run = make(tmp_path, "new")
    file = run.path / "recipe.json"
    file.write_text(checked_json({**parse_checked_json(file.read_bytes())[0], "format": 3}))
    with pytest.raises(RunError) as caught:
        Run(run.path)
    assert str(caught.value) == f"run {run.path} is of format 3, newer than 2: update étude to open it."


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "cannot be read (Expecting value: line 1 column 1 (char 0))"),
        ("[]", "cannot be read (it holds a list, not an object)"),
        ("{}", "lacks format"),
        ('{"format": "x"}', "cannot be read (it has 'x' for format)"),
        ('{"format": Infinity}', "cannot be read (Infinity is not a finite number)"),
        ('{"format": 1e400}', "cannot be read (1e400 is not a finite number)"),
        ('{"format": 9999999999999999999999}', "cannot be read (it holds a whole number beyond 64 bits)"),
        ('{"format": 1, "a": ' + 100_000 * "[" + "}", "cannot be read (it is nested too deeply)"),
        ('{"format": 2}', "has lost its checksum"),
        ('{"format": 1}', "lacks recipe"),
    ],
)
def test_a_damaged_recipe_file(text: str, problem: str, tmp_path: Path) -> None:
    run = make(tmp_path, "torn")
    (run.path / "recipe.json").write_text(text)
    with pytest.raises(RunError) as caught:
        Run(run.path)
    assert str(caught.value) == (
        f"damaged run {run.path}: recipe.json {problem}; put the file back, or train the run again."
    )


def test_a_run_without_a_checkpoint(tmp_path: Path) -> None:
    run = make(tmp_path, "young")
    assert run.state.status == "interrupted"
    with pytest.raises(RunError) as caught:
        _ = run.model
    assert str(caught.value) == f"run young has no checkpoint yet: train on with `etude resume {run.path}`."


def test_a_damaged_checkpoint_says_so(runs: dict[str, Run]) -> None:
    run = runs["gan"]
    file = run.checkpoint_path() / "model.safetensors"
    whole = file.read_bytes()
    try:
        file.write_bytes(whole[: len(whole) // 2])
        with pytest.raises(RunError, match=r"^damaged checkpoint .*; delete the folder .* to use the one before it\.$"):
            _ = Run(run.path).model
    finally:
        file.write_bytes(whole)


@pytest.mark.parametrize("name", ["model.safetensors", "trainer.safetensors", "trainer.json", "checksums.json"])
@pytest.mark.parametrize("harm", ["flip", "gone", "empty"])
def test_resume_refuses_where_no_checkpoint_is_as_it_was_written(
    name: str, harm: str, runs: dict[str, Run], tmp_path: Path
) -> None:
    copy = shutil.copytree(runs["vae"].path, tmp_path / "copy")
    Run(copy).write_state(RunStatus(status="interrupted"))
    shutil.rmtree(copy / "checkpoints" / "step-0")  # the one before it
    file = Run(copy).checkpoint_path() / name
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 4  # one bit
    if harm == "gone":
        file.unlink()
    else:
        file.write_bytes(bytes(content) if harm == "flip" else b"")
    before = (copy / "metrics.jsonl").read_bytes()
    wanted = rf"^damaged checkpoint {re.escape(str(file.parent))}/.*; no checkpoint before it is whole: train the run "
    with pytest.raises(RunError, match=wanted):
        etude.resume(Run(copy), display=Display(quiet=True))
    assert (copy / "metrics.jsonl").read_bytes() == before


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("state.json", b"{", "state.json cannot be read"),
        ("state.json", b'{"status": "running", "speed": 3}', "state.json cannot be read"),
        ("state.json", b"\xff\xfe", "state.json cannot be read"),
        ("metrics.jsonl", b'{"event": 0, "st\n', "line 1 of metrics.jsonl is not event 0"),
        ("metrics.jsonl", b"\xff\xfe\n", "line 1 of metrics.jsonl is not event 0"),
        ("metrics.jsonl", b"[]\n", "line 1 of metrics.jsonl is not event 0"),
        ("metrics.jsonl", b'{"event": 1, "step": 1, "epoch": 1}\n', "line 1 of metrics.jsonl is not event 0"),
        ("recipe.json", b"dataset.kind", r"recipe.json has \[1, 28\] for shape of dataset.kind"),
        ("recipe.json", b"execution", "recipe.json lacks execution"),
        ("recipe.json", b"dataset", "recipe.json lacks dataset"),
    ],
)
def test_a_damaged_file_says_so_and_hides_no_other_run(
    name: str, content: bytes, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make(tmp_path, "whole")
    file = make(tmp_path, "harmed").path / name
    if name == "recipe.json":
        configuration, _ = parse_checked_json(file.read_bytes())
        part, _, key = content.decode().partition(".")
        if key:
            configuration[part][key]["shape"] = [1, 28]
        else:
            del configuration[part]
        content = checked_json(configuration).encode()
    file.write_bytes(content)
    assert main(["runs", "--runs-dir", str(tmp_path), "--json"]) == 0
    rows = {row["run"]: row for row in json.loads(capsys.readouterr().out)["runs"]}
    assert rows["whole"]["state"] == "interrupted"
    assert rows["harmed"]["state"] == "damaged"
    assert re.match(rf"damaged run {re.escape(str(tmp_path))}/harmed: {message}", rows["harmed"]["error"])
    assert main(["runs", "--runs-dir", str(tmp_path)]) == 0
    assert main(["show", "harmed", "--runs-dir", str(tmp_path)]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_resume_refuses_metrics_that_were_cut(runs: dict[str, Run], tmp_path: Path) -> None:
    copy = shutil.copytree(runs["gan"].path, tmp_path / "copy")
    Run(copy).write_state(RunStatus(status="interrupted"))
    (copy / "metrics.jsonl").write_bytes(b"")
    with pytest.raises(RunError, match=r"^damaged run .*: metrics.jsonl has 0 bytes where its checkpoint counted \d+"):
        etude.resume(Run(copy), display=Display(quiet=True))


def test_looking_whether_a_run_trains_does_not_stop_it_from_training(tmp_path: Path) -> None:
    run = make(tmp_path, "watched")
    (run.path / ".lock").touch()
    with (run.path / ".lock").open() as watcher:
        fcntl.flock(watcher, fcntl.LOCK_SH)
        threading.Timer(0.2, fcntl.flock, (watcher, fcntl.LOCK_UN)).start()
        with training_lock(run.path):
            pass


@pytest.mark.parametrize(
    ("images", "given"),
    [
        (torch.zeros(1, 1, 28, 28, dtype=torch.int64), "torch.int64 from 0 to 0"),
        (torch.full((1, 1, 28, 28), -1.0), "torch.float32 from -1 to -1"),
        (torch.full((1, 1, 28, 28), 255.0), "torch.float32 from 255 to 255"),
        (torch.full((1, 1, 28, 28), float("nan")), "torch.float32 from nan to nan"),
    ],
)
def test_images_in_another_range_are_refused(images: torch.Tensor, given: str, runs: dict[str, Run]) -> None:
    for name, look in (("lenet", Run.classify), ("vae", Run.encode)):
        with pytest.raises(UsageError) as caught:
            look(runs[name], images)
        assert str(caught.value) == (
            f"images of {given}; run {name}-digits-1 takes floating-point in [0, 1] or uint8 in [0, 255]."
        )


@pytest.mark.parametrize("labels", [0.5, -1, 10, [0.0, 1.0], [0, 11]])
def test_labels_that_are_none_are_refused(labels: object, runs: dict[str, Run]) -> None:
    with pytest.raises(UsageError, match=r"; allowed: integers from 0 to 9\.$"):
        runs["cvae"].decode(torch.zeros(2, 2), labels=labels)  # type: ignore[arg-type]


def test_one_process_trains_a_run_at_a_time(tmp_path: Path) -> None:
    run = make(tmp_path, "busy")
    run.write_state(RunStatus(status="running"))
    assert run.state.status == "interrupted"  # nobody holds it: its process was killed
    with training_lock(run.path):
        assert is_training(run.path)
        assert run.state.status == "running"
        with pytest.raises(RunError) as caught, training_lock(run.path):
            pass
    assert not is_training(run.path)
    assert str(caught.value) == (f"run {run.path} is being trained by another process: wait for it, or stop it first.")


def test_runs_are_listed_oldest_first(tmp_path: Path) -> None:
    for name in ("b", "a"):
        make(tmp_path, name)
    (tmp_path / "not-a-run").mkdir()
    assert [path.name for path in list_paths(tmp_path)] == ["b", "a"]


def test_models(runs: dict[str, Run]) -> None:
    for name, run in runs.items():
        assert not run.model.training, name
    assert set(runs["gan"].networks) == {"discriminator", "generator"}
    assert runs["gan"].model is runs["gan"].networks["generator"]


def test_a_model_is_called_with_what_it_was_trained_on(runs: dict[str, Run]) -> None:
    for name, run in runs.items():
        images = run.inputs(run.dataset().test.images[:3])
        with torch.no_grad():
            if name in ("gan", "dcgan"):
                assert run.model(torch.zeros(3, run.recipe.noise_dim)).shape == images.shape  # type: ignore[attr-defined]
            elif name in ("vae", "cvae"):
                labels = [torch.tensor([0, 1, 2])] if name == "cvae" else []
                logits, mean, _ = run.model(images, *labels)
                assert logits.shape == images.shape
                assert torch.equal(logits.sigmoid(), run.decode(mean, *labels))
            else:
                assert run.model(images).shape == (3, 10), name


@pytest.mark.parametrize("name", ["gan", "dcgan", "vae", "cvae"])
def test_samples_are_images_determined_by_the_seed(name: str, runs: dict[str, Run]) -> None:
    run = runs[name]
    images = run.sample(12, seed=3)
    assert images.shape == (12, 1, 28, 28)
    assert images.min() >= 0
    assert images.max() <= 1
    assert torch.equal(images, run.sample(12, seed=3))
    assert not torch.equal(images, run.sample(12, seed=4))
    with pytest.raises(UsageError, match=r"^--num 0 \(allowed: 1 to 100,000; draw more with other seeds\)\.$"):
        run.sample(0)


def test_a_longer_sample_begins_as_a_shorter_one(runs: dict[str, Run]) -> None:
    assert torch.allclose(runs["gan"].sample(600)[:5], runs["gan"].sample(5), atol=1e-6)


def test_encode_and_decode(runs: dict[str, Run]) -> None:
    run = runs["vae"]
    images = run.dataset().test.images[:7]
    z = run.encode(images)
    assert z.shape == (7, 2)
    assert torch.allclose(z, run.encode(images.float() / 255))
    assert torch.allclose(z, run.encode(images.numpy()))
    assert run.decode(z).shape == (7, 1, 28, 28)
    assert torch.allclose(run.decode(np.zeros((1, 2))), run.decode(torch.zeros(1, 2)))


def test_a_conditional_run_heeds_its_labels(runs: dict[str, Run]) -> None:
    run = runs["cvae"]
    z = torch.zeros(2, 2)
    assert not torch.allclose(run.decode(z, labels=4), run.decode(z, labels=8))
    assert torch.allclose(run.decode(z, labels=[4, 8])[:1], run.decode(z[:1], labels=4), atol=1e-6)
    assert torch.equal(run.sample(3, labels=4), run.sample(3, labels=[4, 4, 4]))


def test_classify_gives_probabilities(runs: dict[str, Run]) -> None:
    run = runs["lenet"]
    test = run.dataset().test
    probabilities = run.classify(test.images)
    assert torch.allclose(probabilities.sum(dim=1), torch.ones(297), atol=1e-5)
    accuracy = (probabilities.argmax(dim=1) == test.labels).double().mean().item()
    assert accuracy == pytest.approx(run.metrics().last()["test/accuracy"], abs=1e-6)


def test_what_a_family_cannot_do(runs: dict[str, Run]) -> None:
    images = torch.zeros(1, 1, 28, 28)
    gan, vae, cvae = runs["gan"], runs["vae"], runs["cvae"]
    cases = {
        "run lenet-digits-1 is of a lenet and cannot sample: choose a run of a GAN or VAE.": lambda: runs[
            "lenet"
        ].sample(1),
        "run gan-digits-1 is of a gan and cannot encode: choose a run of a VAE.": lambda: gan.encode(images),
        "run vae-digits-1 is of a vae and cannot classify: choose a run of a classifier.": lambda: vae.classify(images),
        "images of shape (1, 1, 27, 28); run vae-digits-1 takes (N, 1, 28, 28).": lambda: vae.encode(images[:, :, 1:]),
        "latents of shape (1, 3); run vae-digits-1 decodes (N, 2).": lambda: vae.decode(torch.zeros(1, 3)),
        "run vae-digits-1 (vae) knows no labels: leave them out, or train a cvae.": lambda: vae.sample(1, labels=3),
        "run gan-digits-1 (gan) knows no labels: leave them out, or train a cvae.": lambda: gan.sample(1, labels=3),
        "run cvae-digits-1 is conditional: give the labels too, one for all or one each.": lambda: cvae.encode(images),
        "3 labels for 2 inputs: give one for all or one each.": lambda: cvae.decode(
            torch.zeros(2, 2), labels=[1, 2, 3]
        ),
    }
    for message, call in cases.items():
        with pytest.raises(UsageError) as caught:
            call()
        assert str(caught.value) == message


def test_metrics_are_a_table(runs: dict[str, Run]) -> None:
    table = runs["vae"].metrics()
    assert table.steps_per_epoch == 46
    steps, values = table.series("test/loss_nats")
    assert steps.tolist() == [46]
    assert values[0] == pytest.approx(table.last()["test/reconstruction_nats"] + table.last()["test/kl_nats"], rel=1e-6)


def test_a_run_says_what_it_is(runs: dict[str, Run]) -> None:
    assert repr(runs["gan"]) == "<Run gan-digits-1: gan on digits, finished, epoch 1>"


def test_a_finished_run_cannot_be_resumed(runs: dict[str, Run]) -> None:
    run = runs["gan"]
    with pytest.raises(RunError) as caught:
        etude.resume(run)
    assert str(caught.value) == f"run {run.path} is finished; train another with `etude train gan`."


def test_best_checkpoint_needs_a_validation_split(runs: dict[str, Run]) -> None:
    with pytest.raises(RunError) as caught:
        _ = etude.load(runs["vae"].path, checkpoint="best").model
    assert str(caught.value) == "run vae-digits-1 has no best checkpoint: it held no images out; use 'last'."
    with pytest.raises(RunError, match=r"^run vae-digits-1 has no checkpoint 7: choose from last, best, \[0, 46\]\.$"):
        _ = etude.load(runs["vae"].path, checkpoint=7).model


def test_recipe_comes_back_as_it_was(runs: dict[str, Run]) -> None:
    assert runs["gan"].recipe == dataclasses.replace(RECIPES["gan"], data="digits", epochs=1)


def test_a_sweep_is_no_run(tmp_path: Path) -> None:
    (tmp_path / "sweep.json").write_text("{}")
    with pytest.raises(RunError) as caught:
        etude.load(tmp_path)
    assert str(caught.value) == f"{tmp_path} is a sweep: name one of the runs in it, {tmp_path}/CELL-seed-NUMBER."


def test_what_is_no_run_is_told_so() -> None:
    with pytest.raises(UsageError) as caught:
        etude.load(3)  # type: ignore[arg-type]
    assert str(caught.value) == "no run: int; give its name or its folder."

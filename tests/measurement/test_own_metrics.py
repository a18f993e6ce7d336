"""A metric of one's own, from a file or a function: what it is given, what it gives, and what is kept of it."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import etude
from etude import cli
from etude.cli.measure import names_in
from etude.errors import UsageError
from etude.measurement.own_metrics import OFFERED
from etude.metrics import bootstrap_interval
from etude.runs import Run
from etude.streams import stream

BRIGHTNESS = '''
def brightness(generated, real):
    """How much brighter generated images are."""
    return generated.mean() - real.mean()

def entropy(logits):
    return -(logits.softmax(1) * logits.log_softmax(1)).sum(1)

def scaled(factor):
    def times(labels):
        return factor * labels.float().mean()
    return times
'''


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "mine.py"
    path.write_text(BRIGHTNESS)
    return path


def test_a_function_of_generated_and_real_images(runs: dict[str, Run], file: Path) -> None:
    results = etude.measure(runs["gan"], metrics=["copy_rate", f"{file}:brightness"], num_samples=100)
    assert list(results) == ["copy_rate", "brightness"]
    order = torch.randperm(297, generator=stream(0, "measure/test"))[:100]
    real = runs["gan"].dataset().test.images[order].float() / 255
    generated = runs["gan"].sample(100, seed=0)
    assert results["brightness"] == {"value": (generated.mean() - real.mean()).item(), "num_samples": 100}


def test_one_number_for_each_example_has_an_interval(runs: dict[str, Run], file: Path) -> None:
    found = etude.measure(runs["lenet"], metrics=[f"{file}:entropy"])["entropy"]
    test = runs["lenet"].dataset().test
    p = runs["lenet"].classify(test.images).double()
    each = -(p * p.log()).sum(dim=1)
    assert found["value"] == pytest.approx(each.mean().item(), rel=1e-5)
    assert found["num_samples"] == 297
    low, high = found["interval"]
    wanted = bootstrap_interval(each.numpy(), seed=1)
    assert (low, high) == pytest.approx((wanted.low, wanted.high), rel=0.1)
    assert low < found["value"] < high


def test_a_function_made_by_a_call(runs: dict[str, Run], file: Path) -> None:
    words = f"accuracy,{file}:scaled(2.5)"
    assert names_in(f"{words}, fid") == ("accuracy", f"{file}:scaled(2.5)", "fid")
    assert names_in("a.py:f(1, width=2),b") == ("a.py:f(1, width=2)", "b")
    found = etude.measure(runs["lenet"], metrics=names_in(words))["times"]
    assert found["value"] == pytest.approx(2.5 * runs["lenet"].dataset().test.labels.float().mean().item())


def test_every_argument_is_what_its_name_says(runs: dict[str, Run]) -> None:
    seen: dict[str, Any] = {}

    def shapes(
        generated: Tensor, real: Tensor, labels: Tensor, latents: Tensor, train: Tensor, train_labels: Tensor, run: Run
    ) -> float:
        seen.update(locals())
        return 1.0

    run = runs["vae"]
    found = etude.measure(run, metrics=[shapes], num_samples=20)
    assert found["shapes"] == {"value": 1.0, "num_samples": 20}
    assert seen["run"] is run
    assert {name: tuple(value.shape) for name, value in seen.items() if isinstance(value, Tensor)} == {
        "generated": (20, 1, 28, 28), "real": (20, 1, 28, 28), "labels": (20,), "latents": (20, 2),
        "train": (1500, 1, 28, 28), "train_labels": (1500,),
    }  # fmt: skip
    torch.testing.assert_close(seen["latents"], run.encode(seen["real"]))
    for name in ("generated", "real", "train"):
        assert seen[name].dtype == torch.float32
        assert 0 <= seen[name].min() < seen[name].max() <= 1


def test_what_is_kept_depends_on_the_code(runs: dict[str, Run], file: Path) -> None:
    run, name = runs["lenet"], f"{file}:entropy"
    first = etude.measure(run, metrics=[name])["entropy"]
    (kept,) = (run.path / "measures").glob("entropy-*.json")
    kept.write_text(kept.read_text().replace('"num_samples": 297', '"num_samples": 298'))
    assert etude.measure(run, metrics=[name], say=lambda line: None)["entropy"] == first  # damaged: computed again
    etude.measure(run, metrics=[name])
    assert len(list((run.path / "measures").glob("entropy-*.json"))) == 1
    file.write_text(BRIGHTNESS.replace("return -(", "return -2 * ("))
    assert etude.measure(run, metrics=[name])["entropy"]["value"] == pytest.approx(2 * first["value"])
    assert len(list((run.path / "measures").glob("entropy-*.json"))) == 2


def test_a_neighbour_of_the_file_counts_as_its_code(runs: dict[str, Run], tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("from factor import FACTOR\n\ndef times(labels):\n    return FACTOR\n")
    for factor in (1.5, 2.5):
        (tmp_path / "factor.py").write_text(f"FACTOR = {factor}\n")
        found = etude.measure(runs["lenet"], metrics=[f"{tmp_path / 'mine.py'}:times"])
        assert found["times"]["value"] == factor


def test_a_function_is_not_kept(runs: dict[str, Run]) -> None:
    for value in (1.0, 2.0):

        def constant(labels: Tensor, value: float = value) -> float:
            return value

        assert etude.measure(runs["lenet"], metrics=[constant])["constant"]["value"] == value
    assert not list((runs["lenet"].path / "measures").glob("constant-*.json"))


def test_its_draws_are_the_measurements(runs: dict[str, Run]) -> None:
    def drawn(labels: Tensor) -> Tensor:
        return torch.rand(())

    torch.manual_seed(5)
    before = torch.get_rng_state()
    one, two, other = (etude.measure(runs["lenet"], metrics=[drawn], seed=seed)["drawn"]["value"] for seed in (0, 0, 1))
    assert one == two != other
    assert torch.equal(before, torch.get_rng_state())


def nothing() -> float:
    return 1.0


def unheard(pictures: Tensor) -> float:
    return 1.0


def fid(real: Tensor) -> float:
    return 1.0


def square(real: Tensor) -> Tensor:
    return torch.ones(2, 2)


def infinite(real: Tensor) -> float:
    return float("inf")


def failing(real: Tensor) -> float:
    raise ValueError("no such thing")


def sideways(real: Tensor) -> float:
    return 1.0


sideways.better = "left"  # pyright: ignore[reportFunctionMemberAccess]


def entropy(logits: Tensor) -> Tensor:
    return logits


ALL = "generated, labels, latents, logits, real, run, train, train_labels"
MISTAKES: list[tuple[Callable[..., Any], str]] = [
    (nothing, f"metric nothing takes nothing of a run: name its arguments, some of {', '.join(OFFERED)}."),
    (unheard, f"unknown argument of metric unheard: 'pictures': choose from {ALL}."),
    (fid, "metric fid has the name of one of étude's: call your function otherwise."),
    (square, "metric square gives shape (2, 2): give a number, or one for each example (N,)."),
    (infinite, "metric infinite gives a number that is not finite."),
    (failing, "metric failing could not be computed: ValueError: no such thing."),
    (sideways, "sideways.better is 'left' (allowed: 'higher', 'lower', or leave it out)."),
    (
        entropy,
        "metric entropy takes logits, and run gan, a gan, has none: it has generated, real, labels, train, "
        "train_labels, run.",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("function", "message"), MISTAKES)
def test_mistakes(runs: dict[str, Run], function: Callable[..., Any], message: str) -> None:
    with pytest.raises(UsageError) as caught:
        etude.measure(runs["gan"], metrics=[function], num_samples=10)
    assert str(caught.value) == message


def test_mistakes_on_the_command_line(runs: dict[str, Run], file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = str(runs["lenet"].path)
    assert cli.main(["measure", path, "--metrics", f"{file}:entropi"]) == 2
    assert capsys.readouterr().err == (
        f"etude: unknown metric in {file}: 'entropi': did you mean 'entropy'? "
        "Choose from brightness, entropy, scaled.\n"
    )
    assert cli.main(["measure", path, "--metrics", f"{file}:entropy", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["entropy"]["num_samples"] == 297

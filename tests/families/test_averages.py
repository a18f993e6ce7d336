"""A network that follows another as its running average: in every kind of step, and across a stop."""

import copy
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from etude import recipes
from etude.compute import Execution
from etude.data import Dataset, Split, Table
from etude.families.descent import Descent, Losses, Networks
from etude.families.learner import Batch, Learner
from etude.families.recipe import Optimizer, Recipe
from etude.runs.checkpoint import load_model
from etude.runs.events import EventWriter
from etude.speed.replicas import replicas_step
from etude.speed.steps import eager_step
from etude.speed.whole_step import Step, whole_step
from etude.training.active_run import ActiveRun, restore, save
from made_up import make_run

Make = Callable[[Learner[Recipe], Split], Step]
STEPS = 40
SETTINGS = Optimizer(name="sgd", learning_rate=0.05, momentum=0.5, average=0.8)
KIND = Table(class_names=("no", "yes"), mean=(0.0,) * 3, scale=(1.0,) * 3)


class Line(Learner[Recipe]):
    """Least squares, with a batch-norm so that there are buffers to follow too."""

    loss_names = ("loss",)

    def __init__(self, recipe: Recipe) -> None:
        with torch.random.fork_rng():
            torch.manual_seed(recipe.seed)
            network = nn.Sequential(nn.Linear(3, 4, bias=False), nn.BatchNorm1d(4), nn.Linear(4, 1))
        networks: dict[str, nn.Module] = {"line": network, "average": copy.deepcopy(network)}
        execution = Execution(device="cpu", threads=1, precision="fp32", compiled=False)
        dataset = Dataset(name="line", kind=KIND, train=data(), test=data(), licence="", source="")
        super().__init__(recipe, networks, dataset, execution)
        self.averages = {"average": "line"}
        del self.optimizers["average"]

    def step(self, batch: Batch, descend: Descent) -> Losses:
        def losses(networks: Networks) -> Losses:
            return {"loss": (networks["line"](batch["features"])[:, 0] - batch["labels"]).square().mean()}

        return descend("line", losses)


def line(seed: int = 0, settings: Optimizer = SETTINGS) -> Line:
    return Line(replace(recipes.get("lenet"), seed=seed, batch_size=8, optimizer=settings))


def data() -> Split:
    generator = torch.Generator().manual_seed(5)
    features = torch.randn(100, 3, generator=generator)
    return Split(features=features, labels=(features[:, 0] > 0).long())


def state(learner: Learner[Recipe]) -> dict[str, Tensor]:
    return {
        f"{name}/{key}": value.detach().clone()
        for name, network in learner.networks.items()
        for key, value in network.state_dict().items()
    }


def rows_of(runs: int = 1) -> list[Tensor]:
    generator = torch.Generator().manual_seed(0)
    return [torch.randint(100, (1, 8), generator=generator).expand(runs, -1) for _ in range(STEPS)]


def trained(step: Step, runs: int = 1, *, first: int = 0, last: int = STEPS) -> None:
    for done, rows in enumerate(rows_of(runs)[first:last], start=first):
        step(rows, SETTINGS.rates_at(done, STEPS))


def whole(learner: Learner[Recipe], train: Split) -> Step:
    return whole_step(learner, train, lambda function: function)


@pytest.mark.parametrize("make", [eager_step, whole])
def test_it_is_the_weighted_mean_of_all_weights_so_far(make: Make) -> None:
    learner = line()
    step, weights = make(learner, data()), [state(learner)]
    for done, rows in enumerate(rows_of()):
        step(rows, SETTINGS.rates_at(done, STEPS))
        weights.append(state(learner))
    decays = [min(0.8, (1 + done) / (10 + done)) for done in range(STEPS)]
    assert decays[0] == 0.1
    assert decays[-1] == 0.8
    # Unrolled: the initial weights times all decays, the weights after step t times 1 − dₜ and the decays that follow.
    shares = [torch.tensor(decays, dtype=torch.float64).prod()]
    shares += [
        (1 - decay) * torch.tensor(decays[t + 1 :], dtype=torch.float64).prod() for t, decay in enumerate(decays)
    ]
    assert sum(shares) == pytest.approx(1, abs=1e-12)
    for name, _ in learner.networks["line"].named_parameters():
        wanted = torch.stack(
            [share * each[f"line/{name}"].double() for share, each in zip(shares, weights, strict=True)]
        ).sum(0)
        torch.testing.assert_close(weights[-1][f"average/{name}"].double(), wanted, rtol=1e-5, atol=1e-6)
        assert not torch.allclose(weights[-1][f"average/{name}"], weights[-1][f"line/{name}"], rtol=1e-4, atol=0)
    for name, buffer in learner.networks["line"].named_buffers():
        assert torch.equal(weights[-1][f"average/{name}"], buffer)
        assert not torch.equal(weights[0][f"line/{name}"], buffer)


def test_the_whole_step_moves_both_as_the_operations_do() -> None:
    eager, other = line(), line()
    trained(eager_step(eager, data()))
    trained(whole(other, data()))
    there = state(other)
    for name, value in state(eager).items():
        torch.testing.assert_close(there[name], value, rtol=1e-5, atol=1e-6, msg=name)


def test_replicas_follow_each_their_own() -> None:
    settings = [SETTINGS, replace(SETTINGS, learning_rate=0.01)]
    replicas = [line(seed, each) for seed, each in enumerate(settings)]
    trained(replicas_step(replicas, data(), lambda function: function), runs=2)
    for seed, (replica, each) in enumerate(zip(replicas, settings, strict=True)):
        alone = line(seed, each)
        trained(eager_step(alone, data()))
        there = state(replica)
        for name, value in state(alone).items():
            torch.testing.assert_close(there[name], value, rtol=1e-5, atol=1e-6, msg=name)
    first, second = map(state, replicas)
    assert not torch.allclose(first["average/0.weight"], second["average/0.weight"])


@pytest.mark.parametrize("make", [eager_step, whole])
def test_it_goes_on_bit_for_bit_after_a_stop(make: Make, tmp_path: Path) -> None:
    unbroken, stopped, resumed = line(), line(), line(seed=9)
    trained(make(unbroken, data()))
    trained(make(stopped, data()), last=15)
    run = make_run(tmp_path, "line")
    with EventWriter(run.path / "metrics.jsonl", size_bytes=0) as events:
        sums, now = torch.zeros(2, 1), time.monotonic()
        active = ActiveRun(run=run, learner=stopped, events=events, step=15, sums=sums, best=None, started_at=now)
        save(active, status="interrupted")
    model = load_model(run.path / "checkpoints" / "step-15")
    assert torch.equal(model["average.0.weight"], state(stopped)["average/0.weight"])
    with restore(run, resumed, "cpu", say=pytest.fail).events:
        trained(make(resumed, data()), first=15)
    wanted = state(unbroken)
    assert [name for name, value in state(resumed).items() if not torch.equal(value, wanted[name])] == []


def test_without_an_average_it_is_the_network_itself() -> None:
    settings = replace(SETTINGS, average=0.0)
    learner = line(settings=settings)
    step = eager_step(learner, data())
    for done, rows in enumerate(rows_of()):
        step(rows, settings.rates_at(done, STEPS))
    for name, value in learner.networks["line"].state_dict().items():
        assert torch.equal(learner.networks["average"].state_dict()[name], value)

"""How images are flipped and moved while a classifier trains, and how it predicts."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F

import etude
from etude import recipes
from etude.compute import Execution
from etude.data import load
from etude.errors import UsageError
from etude.families.classifier.learner import ClassifierLearner
from etude.families.classifier.recipe import Classifier
from etude.families.descent import EagerDescent
from etude.recipes import Optimizer
from etude.runs import Run
from etude.training import Display
from etude.training.examples import examples_of
from etude.training.learners import create_learner


def change(**changes: Any) -> Classifier:
    recipe = recipes.change(recipes.get("cifar-fast"), data="digits", **{"width": 4, "batch_size": 50, **changes})
    assert isinstance(recipe, Classifier)
    return recipe


def learner_of(recipe: Classifier) -> ClassifierLearner:
    execution = Execution(device="cpu", threads=1, precision="fp32", compiled=False)
    learner = create_learner(recipe, load("digits"), execution)
    assert isinstance(learner, ClassifierLearner)
    return learner


def train(folder: Path, **changes: Any) -> Run:
    return etude.train(change(**changes), runs_dir=folder, threads=1, precision="fp32", display=Display(quiet=True))


def test_every_image_is_seen_in_both_orientations_in_two_epochs(tmp_path: Path) -> None:
    run = train(tmp_path, epochs=1, batch_size=10, train_images=40)
    learner, dataset = learner_of(change(batch_size=10, shift_pixels=0)), load("digits")
    examples = examples_of([run], dataset, "cpu")
    seen: list[dict[int, int]] = []
    orders = []
    for epoch in (1, 2, 3):
        rows = examples.batches([run], [learner], epoch)[:, 0]  # (steps, images)
        orientations: dict[int, int] = {}
        for each in rows:
            batch = learner.batch(examples.used.columns, each, {})
            for row, image, label in zip(each % 40, batch["images"], batch["labels"], strict=True):
                original = learner.scaled(examples.used.images[row])
                mirrored = torch.equal(image, original.flip(-1))
                assert mirrored or torch.equal(image, original)
                assert label == examples.used.labels[row]
                orientations[int(row)] = int(mirrored)
        seen.append(orientations)
        orders.append((rows % 40).flatten())
    assert all(sorted(each) == list(range(40)) for each in seen)
    assert all(seen[0][row] + seen[1][row] == 1 for row in range(40))
    assert seen[2] == seen[0]
    assert 8 < sum(seen[0].values()) < 32  # which way first is drawn for each image
    assert not torch.equal(orders[0], orders[1])


def test_images_move_as_numpy_moves_them() -> None:
    learner = learner_of(change(shift_pixels=3))
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(256, (7, 3, 16, 20), generator=generator, dtype=torch.uint8)
    rows = torch.tensor([2, 9, 5, 7])  # 9 and 7 are the mirror images of 2 and 0
    shift = torch.tensor([[0, 0], [3, -2], [-3, 3], [1, 2]])
    batch = learner.batch({"images": images, "labels": torch.arange(7)}, rows, {"shift": shift})
    assert batch["labels"].tolist() == [2, 2, 5, 0]
    for image, row, (down, right) in zip(batch["images"], rows.tolist(), shift.tolist(), strict=True):
        source = (images[row % 7] / 255 * 2 - 1).numpy()
        padded = np.pad(source, ((0, 0), (3, 3), (3, 3)), mode="reflect")
        wanted = padded[:, 3 - down : 19 - down, 3 - right : 23 - right]
        np.testing.assert_array_equal(image.numpy(), wanted[:, :, ::-1] if row >= 7 else wanted)


def test_moves_are_as_likely_each_way_and_follow_the_seed() -> None:
    first, second, other = (learner_of(change(seed=seed, batch_size=10_000)) for seed in (3, 3, 4))
    shift = first.draws()["shift"]
    assert shift.shape == (10_000, 2)
    for axis in shift.unbind(dim=1):
        assert axis.unique().tolist() == [-2, -1, 0, 1, 2]
        assert (axis + 2).bincount().min() > 1850
    assert torch.equal(shift, second.draws()["shift"])
    assert not torch.equal(shift, other.draws()["shift"])
    assert not torch.equal(shift, first.draws()["shift"])


def test_lenet_takes_its_images_as_they_are() -> None:
    recipe = recipes.change(recipes.get("lenet"), data="digits")
    assert isinstance(recipe, Classifier)
    learner, images = learner_of(recipe), torch.arange(256, dtype=torch.uint8).repeat(9).view(9, 1, 16, 16)
    assert learner.draws() == {}
    batch = learner.batch({"images": images, "labels": torch.arange(9)}, torch.tensor([4, 2]), {})
    assert torch.equal(batch["images"], images[[4, 2]] / 255 * 2 - 1)  # in the last bit


def test_a_step_is_pytorchs_own() -> None:
    """Label smoothing and Nesterov's momentum against `F.cross_entropy` and `torch.optim.SGD`."""
    learner = learner_of(change(label_smoothing=0.3, batch_size=20))
    twin = learner_of(change(label_smoothing=0.3, batch_size=20)).network
    images, labels = torch.randn(20, 1, 16, 16), torch.arange(20) % 10
    optimizer = torch.optim.SGD(twin.parameters(), 0.75, momentum=0.85, nesterov=True, weight_decay=3e-4)
    descend = EagerDescent(learner.networks, learner.optimizers)
    for _ in range(3):
        target = F.one_hot(labels, 10) * 0.7 + 0.03
        loss = -(target * twin(images).log_softmax(dim=1)).sum(dim=1).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        found = learner.step({"images": images, "labels": labels}, descend)["loss"]
        torch.testing.assert_close(found, loss.detach())
    for (name, value), other in zip(twin.state_dict().items(), learner.network.state_dict().values(), strict=True):
        torch.testing.assert_close(other, value, msg=name)


def test_it_learns_and_every_part_predicts_alike(tmp_path: Path) -> None:
    run = train(tmp_path, epochs=4)
    last, test = run.metrics().last(), load("digits").test
    assert last["test/accuracy"] > 0.8
    logits = run.logits(test.images)
    pixels = test.images / 127.5 - 1
    wanted = (run.model(pixels) + run.model(pixels.flip(-1))).detach() / 2
    torch.testing.assert_close(logits, wanted, rtol=1e-5, atol=1e-5)
    assert not torch.allclose(logits, run.model(pixels), atol=1e-2)
    right = run.classify(test.images).argmax(dim=1) == test.labels
    assert last["test/accuracy"] == pytest.approx(right.float().mean().item(), abs=1e-6)
    assert etude.measure(run, metrics=("accuracy",))["accuracy"]["value"] == pytest.approx(
        last["test/accuracy"], abs=1e-6
    )


def test_whitening_sees_training_images_alone_and_stays(tmp_path: Path) -> None:
    run = train(tmp_path, epochs=2, validation_images=500)
    recipe = change(validation_images=500)
    fresh = learner_of(recipe).network.state_dict()
    trained = run.model.state_dict()
    assert torch.equal(trained["whitening"], fresh["whitening"])
    assert not torch.equal(trained["bias"], fresh["bias"])
    other = learner_of(change(validation_images=500, seed=1)).network.state_dict()  # holds other images out
    assert not torch.equal(other["whitening"], fresh["whitening"])


def schedule(*points: float) -> list[float]:
    optimizer = Optimizer(name="sgd", learning_rate=1.0, schedule="triangular")
    return [optimizer.schedule_at(point) for point in points]


def test_the_triangle() -> None:
    assert schedule(0, 0.1, 0.2, 0.6, 1) == pytest.approx([0.2, 0.6, 1.0, 0.5, 0.0])


MISTAKES: list[tuple[dict[str, Any], str]] = [
    ({"shift_pixels": 9}, "--shift-pixels 9 (allowed: 0 to 8)"),
    ({"width": 2}, "--width 2 (allowed: 4 to 512)"),
    ({"width": None}, "--width None (allowed: 4 to 512)"),
    ({"batch_size": 1}, "--batch-size 1 (allowed: at least 2 for batch-norm)"),
    ({"network": "lenet"}, "--width 4 (allowed: none for lenet; train cifar-fast with one)"),
]


@pytest.mark.parametrize(("changes", "text"), MISTAKES)
def test_mistakes(changes: dict[str, Any], text: str) -> None:
    with pytest.raises(UsageError) as error:
        change(**changes)
    assert str(error.value) == f"out of range: {text}."


def test_a_file_takes_true_and_false_alone(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text('name = "cifar-fast"\ntest_flips = 1\n')
    with pytest.raises(UsageError) as error:
        recipes.read_toml(file)
    assert str(error.value) == f"{file}: test_flips is 1; allowed: true or false."


def test_nesterov_needs_a_momentum() -> None:
    with pytest.raises(UsageError) as error:
        Optimizer(name="adam", learning_rate=1e-3, nesterov=True)
    assert str(error.value) == (
        "out of range: --optimizer.nesterov True "
        "(allowed: for sgd with a momentum above 0; else --optimizer.no-nesterov)."
    )

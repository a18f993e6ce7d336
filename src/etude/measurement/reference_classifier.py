"""The classifier whose features judge generated images: étude's own, of the data set's kind, trained once."""

import hashlib
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

from etude import recipes
from etude.data import Dataset, Reading
from etude.data.names import parse_own
from etude.data.search_paths import cache_folder
from etude.errors import RunError, UsageError
from etude.families.classifier.recipe import Classifier
from etude.families.recipe import Optimizer
from etude.files import locked, remove, temporary_path
from etude.models import LeNet
from etude.runs import Run
from etude.training import Display, resume, train

BATCH_SIZE = 64
IMAGES_SEEN = 180_000
"""Of training, whatever the size of the data set: three passes over MNIST, 130 over the 1,350 digits."""
FEWEST_IMAGES = 100
_IN_THE_IMAGES = ("about", "data", "fit", "skip_broken")
"""Fields of the recipe that say which images it trains on, as their checksum does, or nothing of its training."""


def reference_recipe(data: str, *, reading: Reading, num_images: int) -> Classifier:
    """The fixed recipe, with a fixed seed, for a data set of `num_images` training images."""
    return Classifier(
        name="lenet",
        about="the classifier whose features étude measures with",
        data=data,
        image_size=reading.image_size,
        fit=reading.fit,
        skip_broken=reading.skip_broken,
        epochs=math.ceil(IMAGES_SEEN / num_images),
        batch_size=BATCH_SIZE,
        optimizer=Optimizer(name="adam", learning_rate=2e-3, schedule="cosine"),
    )


def reference_name(recipe: Classifier, dataset: Dataset) -> str:
    """Its name in the cache: data set, and a checksum of the recipe and of every image."""
    fields = {key: value for key, value in recipes.to_dict(recipe).items() if key not in _IN_THE_IMAGES}
    content = json.dumps(fields, sort_keys=True) + dataset.digest()
    short = own.format if (own := parse_own(recipe.data)) else recipe.data
    return f"lenet-{short}-{hashlib.sha256(content.encode()).hexdigest()[:8]}"


def reference_run(recipe: Classifier, name: str, *, data_dir: Path | None, say: Callable[[str], None]) -> Run:
    """The trained classifier's run, from the user's cache, or trained into it (about half a minute).

    On one processor thread in float32, so that its weights depend on neither cores nor processor. Training that was
    interrupted continues where it stopped; a damaged classifier is trained again. If several processes need the same
    one, the first trains it, and the others wait.
    """
    folder = cache_folder() / "classifiers"
    path = folder / name

    def waiting() -> None:
        say(f"another process trains the classifier in {path}: waiting for it")

    with locked(cache_folder() / f".{name}.lock", waiting=waiting):
        try:
            if (path / "recipe.json").is_file():
                return _whole(_trained(Run(path, data=recipe.data), data_dir, say))
        except RunError as error:  # damaged, or of another version of étude: it is only a cache
            say(str(error))
        if path.exists():
            trash = temporary_path(path)
            path.rename(trash)
            remove(trash)
        say(f"training the classifier whose features compare images (once for {recipe.data}, kept in {path})")
        how: dict[str, Any] = {"device": "cpu", "threads": 1, "precision": "fp32", "compile": "off"}
        return train(recipe, name=name, runs_dir=folder, data_dir=data_dir, display=Display(quiet=True), **how)


def _trained(run: Run, data_dir: Path | None, say: Callable[[str], None]) -> Run:
    """The run, once its training is finished."""
    if run.state.status == "finished":
        return run
    say(f"going on with the training of the classifier in {run.path}")
    return resume(run, data_dir=data_dir, display=Display(quiet=True))


def _whole(run: Run) -> Run:
    """The run; `RunError` where its weights or its accuracy are damaged."""
    _ = run.networks
    if "test/accuracy" not in run.metrics().last():
        raise RunError(f"damaged run {run.path}: metrics.jsonl has no test/accuracy; train it again.")
    return run


def require_enough(dataset: Dataset) -> None:
    """Raise a `UsageError` where there is too little to train a classifier on."""
    if len(dataset.class_names) < 2:
        raise UsageError(
            f"--features auto trains a classifier on {dataset.name} and needs at least two classes, there is one: give "
            "--features FILE.py:Name, a network of your own."
        )
    if len(dataset.train) < FEWEST_IMAGES:
        raise UsageError(
            f"--features auto trains a classifier on {dataset.name} and needs at least {FEWEST_IMAGES} training "
            f"images, there are {len(dataset.train)}: give --features FILE.py:Name, a network of your own."
        )


def network_of(run: Run) -> LeNet:
    """The classifier itself."""
    return cast(LeNet, run.model)

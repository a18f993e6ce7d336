"""What the page asks of classifiers: probabilities, what moved them, what the layers see, the test split by class."""

import copy
from functools import partial
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from etude.data.kinds import Images, Table
from etude.errors import UsageError
from etude.families.abilities import Classifies
from etude.studio.answers import Arrays
from etude.studio.opened import Opened, levels, whole

MOST_PREDICTED = 20_000
MOST_CHANNELS = 32
PATCHES = 8
"""Places of the occluding patch along each side."""
SIDE = 96
"""Points of the plane along each side."""


def classify(opened: Opened, given: dict[str, Any]) -> Arrays:
    """Probabilities of an image, and the saliency of the likeliest class, or of `label`: both (H, W).

    `gradient` is |∂ logit / ∂ pixel|, the largest over the channels (Simonyan et al. 2014). `occlusion` is what the
    class loses of its log-odds when a patch of mean grey covers the pixel (Zeiler and Fergus 2014), mean over patches.
    """
    trained: Classifies = opened.ability("Classifies")
    image = _image(opened, given)
    inputs = opened.run.inputs(image).requires_grad_()
    logits = trained.logits(inputs)
    probabilities = logits.detach().softmax(dim=1)[0]
    label = int(probabilities.argmax())
    if given.get("label") is not None:
        label = whole(given["label"], "label", 0, len(probabilities) - 1)
    (gradient,) = torch.autograd.grad(logits[0, label], inputs)
    return Arrays(
        {"label": label},
        images=levels(image.float() / 255 if image.dtype == torch.uint8 else image),
        probabilities=probabilities.numpy(),
        gradient=gradient.abs().amax(dim=1)[0].numpy(),
        occlusion=_occlusion(trained, inputs.detach(), label).numpy(),
    )


@torch.no_grad()
def _occlusion(trained: Classifies, inputs: Tensor, label: int) -> Tensor:
    """Loss of log-odds (H, W) where a patch covers inputs (1, C, H, W)."""
    height, width = inputs.shape[-2:]
    side_y, side_x = max(2, height // 5), max(2, width // 5)
    covered, masks = [], []
    for top in torch.linspace(0, height - side_y, PATCHES).round().int().tolist():
        for left in torch.linspace(0, width - side_x, PATCHES).round().int().tolist():
            mask = torch.zeros(height, width)
            mask[top : top + side_y, left : left + side_x] = 1
            covered.append(torch.where(mask.bool(), inputs[0].mean(dim=(1, 2), keepdim=True), inputs[0]))
            masks.append(mask)
    odds = _log_odds(trained.logits(torch.stack([inputs[0], *covered])), label)
    weights = torch.stack(masks)  # (patches, H, W)
    return ((odds[0] - odds[1:])[:, None, None] * weights).sum(dim=0) / weights.sum(dim=0).clamp(min=1)


def _log_odds(logits: Tensor, label: int) -> Tensor:
    others = torch.cat([logits[:, :label], logits[:, label + 1 :]], dim=1)
    return logits[:, label] - others.logsumexp(dim=1)


def layers(opened: Opened, given: dict[str, Any]) -> Arrays:
    """What each convolution makes of an image, (channels, H, W), and the filters of the first, (filters, h, w, C)."""
    opened.ability("Classifies")
    run = opened.run
    networks = copy.deepcopy(run.networks)  # the hooks below must not see the images of another request
    trained: Classifies = run.family.trained(run.recipe, networks, run.kind)
    named = [each for network in networks.values() for each in network.named_modules()]
    convolutions = [(name, module) for name, module in named if isinstance(module, nn.Conv2d)]
    if not convolutions:
        raise UsageError(f"run {run.name} has no convolution to look into.")
    seen: dict[str, Tensor] = {}
    for name, module in convolutions:
        module.register_forward_hook(partial(_keep, seen, name))
    with torch.no_grad():
        trained.logits(run.inputs(_image(opened, given)))
    first = cast(Tensor, convolutions[0][1].weight).detach()[:MOST_CHANNELS]
    shown = first if first.shape[1] in (1, 3) else first.mean(dim=1, keepdim=True)
    return Arrays(
        {"names": list(seen)},
        filters=shown.permute(0, 2, 3, 1).numpy(),
        **{f"map{number}": maps.float().numpy() for number, maps in enumerate(seen.values())},
    )


def _keep(seen: dict[str, Tensor], name: str, _module: nn.Module, _inputs: object, output: Tensor) -> None:
    seen.setdefault(name, output[0, :MOST_CHANNELS])


@torch.no_grad()
def predictions(opened: Opened) -> Arrays:
    """True and predicted class and its probability of test examples, and their rows: what a confusion matrix is of."""
    opened.ability("Classifies")
    if "predictions" not in opened.kept:
        run, test = opened.run, opened.test
        rows = torch.linspace(0, len(test) - 1, min(len(test), MOST_PREDICTED)).round().long()
        sure, predicted = run.classify(test[run.kind.column][rows]).max(dim=1)
        opened.kept["predictions"] = Arrays(
            labels=test.labels[rows].to(torch.int32).numpy(),
            predicted=predicted.to(torch.int32).numpy(),
            probabilities=sure.numpy(),
            rows=rows.to(torch.int32).numpy(),
        )
    return opened.kept["predictions"]


@torch.no_grad()
def boundary(opened: Opened) -> Arrays:
    """Class probabilities (SIDE, SIDE, classes) over the plane of a table of two features, and its test points."""
    opened.ability("Classifies")
    kind = opened.run.kind
    if not isinstance(kind, Table) or kind.num_features != 2:
        raise UsageError(f"run {opened.run.name} was not trained on points of the plane.")
    features = opened.test.features
    low, high = features.amin(dim=0), features.amax(dim=0)
    margin = (high - low) * 0.1
    low, high = low - margin, high + margin
    xs, ys = (torch.linspace(float(low[axis]), float(high[axis]), SIDE) for axis in range(2))
    points = torch.stack([xs.expand(SIDE, SIDE), ys[:, None].expand(SIDE, SIDE)], dim=-1)  # row y, column x
    probabilities = opened.run.classify(points.view(-1, 2)).view(SIDE, SIDE, -1)
    shown = torch.linspace(0, len(features) - 1, min(len(features), 2000)).round().long()
    return Arrays(
        {"low": low.tolist(), "high": high.tolist(), "names": list(kind.feature_names)},
        probabilities=probabilities.numpy(),
        points=features[shown].numpy(),
        labels=opened.test.labels[shown].to(torch.int32).numpy(),
    )


def examples(opened: Opened, given: dict[str, Any]) -> Arrays:
    """Images (N, H, W, C) of the test split by their rows, and their labels."""
    if not isinstance(opened.run.kind, Images):
        raise UsageError(f"run {opened.run.name} was not trained on images.")
    rows = opened.rows(given.get("rows"))
    test = opened.test
    images = test.images[rows].permute(0, 2, 3, 1).contiguous().numpy()
    return Arrays(images=images, labels=test.labels[rows].to(torch.int32).numpy().astype(np.int32))


def _image(opened: Opened, given: dict[str, Any]) -> Tensor:
    """An image (1, C, H, W): drawn or dropped on the page, or a row of the test split."""
    if given.get("row") is None:
        return opened.examples(given.get("pixels"))
    if not isinstance(opened.run.kind, Images):
        raise UsageError(f"run {opened.run.name} was not trained on images.")
    row = whole(given["row"], "row", 0, len(opened.test) - 1)
    return opened.test.images[row : row + 1]

"""The image classifier: LeNet, the data's normalisation, one training step, and the accuracy over all images."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from etude.verify.contract import Check, mistake
from etude.verify.inputs import generator, normal
from etude.verify.networks import observe_network
from etude.verify.observation import Observation, Refused, call, tensor_result
from etude.verify.sampling import fact

Layer = Callable[[], nn.Module]


def net(
    *,
    end: Layer = nn.Identity,
    activation: Layer = nn.ReLU,
    pool: Callable[[int], nn.Module] = nn.MaxPool2d,
    after_first: bool = True,
    after_linear: bool = True,
    hidden_layer: bool = True,
    kernel: int = 5,
    first_channels: int = 6,
) -> nn.Module:
    """conv 6 k5 → pool → conv 16 k5 → pool → 120 → 84 → 10, ReLU after each but the last (LeCun et al. 1998)."""

    def between() -> nn.Module:
        return activation() if after_linear else nn.Identity()

    return nn.Sequential(
        nn.Conv2d(3, first_channels, kernel),
        activation() if after_first else nn.Identity(),
        pool(2),
        nn.Conv2d(first_channels, 16, kernel),
        activation(),
        pool(2),
        nn.Flatten(),
        nn.Linear(400, 120),
        between(),
        *([nn.Linear(120, 84), between()] if hidden_layer else []),
        nn.Linear(84 if hidden_layer else 120, 10),
        end(),
    )


def transform(
    image: Image.Image,
    *,
    mean: tuple[float, ...] = (0.5, 0.5, 0.5),
    std: tuple[float, ...] = (0.5, 0.5, 0.5),
    scale: float = 255.0,
    channels_last: bool = False,
    per_image: bool = False,
    blue_first: bool = False,
) -> Tensor:
    """An 8-bit RGB image as (3, height, width) in [−1, 1]: (x / 255 − 0.5) / 0.5."""
    pixels = torch.from_numpy(np.array(image)).to(torch.get_default_dtype()) / scale  # (height, width, 3)
    pixels = pixels.flip(2) if blue_first else pixels
    centre, spread = (pixels.mean(), pixels.std()) if per_image else (torch.tensor(mean), torch.tensor(std))
    pixels = (pixels - centre) / spread
    return pixels if channels_last else pixels.permute(2, 0, 1)


def _observe_transform(function: Callable[..., Any], case: Mapping[str, Any], seen: Observation | None) -> Observation:
    size = case["height"], case["width"], 3
    values = torch.randint(0, 256, size, generator=generator(case["seed"]), dtype=torch.uint8)
    values[0, 0] = torch.tensor([0, 255, 128], dtype=torch.uint8)
    # What transforms compute in float32 whatever the default is compared as such.
    return Observation({"result": tensor_result(call(function, Image.fromarray(values.numpy()))).float()})


def train_step(
    net: nn.Module,
    optimizer: torch.optim.Optimizer,
    criterion: Callable[[Tensor, Tensor], Tensor],
    images: Tensor,
    labels: Tensor,
    *,
    reset: bool = True,
    steps: bool = True,
    softmax: bool = False,
    evaluating: bool = False,
    twice: bool = False,
) -> None:
    """Reset gradients, forward in train mode, loss, backward, step."""
    net.train(not evaluating)
    if reset:
        optimizer.zero_grad()
    outputs = net(images)
    outputs = outputs.softmax(1) if softmax else outputs
    criterion(outputs, labels).backward(retain_graph=twice)
    if twice:
        criterion(outputs, labels).backward()
    if steps:
        optimizer.step()


def _small_net(seed: int) -> nn.Sequential:
    """With batch-norm, so that the mode shows."""
    model = nn.Sequential(nn.Flatten(), nn.Linear(12, 5), nn.BatchNorm1d(5), nn.Tanh(), nn.Linear(5, 3))
    with torch.no_grad():
        for index, parameter in enumerate(model.parameters()):
            parameter.copy_(normal(parameter.shape, seed + index))
    return model


def _observe_training(function: Callable[..., Any], case: Mapping[str, Any], seen: Observation | None) -> Observation:
    """Where two steps leave the weights and running statistics of a small network."""
    model = _small_net(case["seed"])
    optimizer = torch.optim.SGD(model.parameters(), lr=0.3)
    for step in range(2):
        images = normal((4, 3, 2, 2), case["seed"] + 50 + step).to(torch.get_default_dtype())
        labels = torch.tensor([0, 1, 2, 1]).roll(step)
        call(function, model, optimizer, nn.functional.cross_entropy, images, labels)
    weights = nn.utils.parameters_to_vector(model.parameters()).detach()
    running = torch.cat([value.flatten().double() for value in model.buffers()])
    return Observation({"weights": weights, "running statistics": running})


def evaluate(
    net: nn.Module,
    loader: Iterable[tuple[Tensor, Tensor]],
    *,
    evaluating: bool = True,
    gradients: bool = False,
    first_batch_only: bool = False,
    last_batch: bool = True,
    mean_of_batches: bool = False,
    smallest: bool = False,
    denominator: str = "images",
    counts_wrong: bool = False,
) -> float:
    """Share of all images in [0, 1] whose largest output is their label's, in eval mode, without gradients."""
    net.train(not evaluating)
    batches = list(loader)
    batches = batches[:1] if first_batch_only else batches if last_batch else batches[:-1]
    right: list[Tensor] = []
    with torch.set_grad_enabled(gradients):
        for images, labels in batches:
            outputs = net(images)
            guesses = outputs.argmin(1) if smallest else outputs.argmax(1)
            right.append((guesses != labels if counts_wrong else guesses == labels).double())
    if mean_of_batches:
        return float(torch.stack([batch.mean() for batch in right]).mean())
    count = {"images": sum(map(len, right)), "batches": len(right) * len(right[0])}[denominator]
    return float(torch.cat(right).sum() / count)


class _Watched(nn.Module):
    """A fixed guesser of four classes that notes in which mode it is called; wrong ones in train mode."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.eye(4))
        self.was_training: list[bool] = []
        self.had_gradients: list[bool] = []

    def forward(self, images: Tensor) -> Tensor:
        self.was_training.append(self.training)
        self.had_gradients.append(torch.is_grad_enabled())
        return images.flatten(1)[:, :4] @ self.weight.to(images)


def _observe_evaluation(function: Callable[..., Any], case: Mapping[str, Any], seen: Observation | None) -> Observation:
    model = _Watched().train()
    images = normal((case["images"], 1, 2, 2), case["seed"]).to(torch.get_default_dtype())
    labels = images.flatten(1).argmax(1)
    wrong = torch.arange(len(labels)) % 3 == 0
    wrong[-2:] = True  # the last batch is worse than the others, the first better
    wrong[: case["batch"]] = False
    wrong[0] = True
    labels = torch.where(wrong, (labels + 1) % 4, labels)
    result = call(function, model, DataLoader(TensorDataset(images, labels), batch_size=case["batch"]))
    value = tensor_result(result).item() if isinstance(result, Tensor) and result.numel() == 1 else result
    if isinstance(value, bool) or not isinstance(value, int | float | np.number) or abs(value) > 1e9:
        raise Refused(type(result).__name__, f"it returned {type(result).__name__}; expected the accuracy, a number")
    percent = float(value) > 1.5  # 62.5 means 62.5 %
    return Observation(
        {
            "result": torch.tensor(float(value) / (100 if percent else 1)),
            "in eval mode": fact(not any(model.was_training)),
            "without gradients": fact(not any(model.had_gradients)),
        }
    )


_LENET = "conv 6 k5, pool, conv 16 k5, pool, 120, 84, 10 with ReLU between"
_SCALED = "(x / 255 − 0.5) / 0.5, in [−1, 1]"
_ORDER = "zero_grad, forward, backward, step"


def _softmax() -> nn.Module:
    return nn.Softmax(1)


def _log_softmax() -> nn.Module:
    return nn.LogSoftmax(1)


CHECKS = (
    Check(
        name="Net",
        call="Net() → module from (batch, 3, 32, 32) to (batch, 10), no softmax",
        right=net,
        mistakes=(
            mistake("softmax at the end", "softmax(W h + b)", "W h + b: the loss applies the softmax", end=_softmax),
            mistake("log-softmax at the end", "log softmax(W h + b)", "W h + b: the loss applies the softmax",
                    end=_log_softmax),
            mistake("ReLU at the end", "max(0, W h + b)", "W h + b", end=nn.ReLU),
            mistake("sigmoid instead of ReLU", "σ(x)", "max(0, x)", activation=nn.Sigmoid),
            mistake("average instead of max-pooling", "mean of each 2×2", "maximum of each 2×2", pool=nn.AvgPool2d),
            mistake("no ReLU between the linear layers", "W₃ (W₂ (W₁ h))", "W₃ ReLU(W₂ ReLU(W₁ h))",
                    after_linear=False),
            mistake("no ReLU after the first convolution", "pool(conv(x))", "pool(ReLU(conv(x)))", after_first=False),
            mistake("linear layer 120 → 84 forgotten", "400 → 120 → 10", "400 → 120 → 84 → 10", hidden_layer=False),
            mistake("3×3 kernels", "16 · 6 · 6 = 576 features meet Linear(400, …)", _LENET, kernel=3),
            mistake("other channels in the first convolution", "conv 3 → 16", "conv 3 → 6", first_channels=16),
        ),
        seeded=lambda first: tuple(
            {"seed": first + number, "arguments": (), "images": normal((batch, 3, 32, 32), first + number)}
            for number, batch in ((1, 1), (2, 4))
        ),
        observe=observe_network,
        points=2,
    ),
    Check(
        name="transform",
        call="transform(image) → (3, height, width) in [−1, 1] from an 8-bit RGB image",
        right=transform,
        mistakes=(
            mistake("not normalised", "x / 255, in [0, 1]", _SCALED, mean=(0.0,) * 3, std=(1.0,) * 3),
            mistake("not divided by 255", "(x − 0.5) / 0.5", _SCALED, scale=1.0),
            mistake("standard deviation 1", "x / 255 − 0.5", _SCALED, std=(1.0,) * 3),
            mistake("mean 0", "(x / 255) / 0.5", _SCALED, mean=(0.0,) * 3),
            mistake("ImageNet's mean and standard deviation", "(x − (0.485, 0.456, 0.406)) / (0.229, 0.224, 0.225)",
                    _SCALED, mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225)),
            mistake("each image by its own mean and deviation", "(x − mean(x)) / std(x)", _SCALED, per_image=True),
            mistake("channels last", "(height, width, 3)", "(3, height, width)", channels_last=True),
            mistake("blue first", "BGR", "RGB", blue_first=True),
        ),
        seeded=lambda first: (
            {"height": 32, "width": 32, "seed": first + 1},
            {"height": 5, "width": 7, "seed": first + 2},
        ),
        observe=_observe_transform,
    ),
    Check(
        name="train_step",
        call="train_step(net, optimizer, criterion, images, labels)",
        right=train_step,
        mistakes=(
            mistake("gradients not reset", "g ← g + ∂L", "g ← 0 + ∂L: optimizer.zero_grad()", reset=False),
            mistake("the weights never move", "no step, or zero_grad between backward and step", _ORDER, steps=False),
            mistake("softmax before the cross-entropy", "cross_entropy(softmax(net(x)))", "cross_entropy(net(x))",
                    softmax=True),
            mistake("in eval mode", "net.eval()", "net.train()", evaluating=True),
            mistake("backward twice", "g ← 2 ∂L", "g ← ∂L", twice=True),
        ),
        seeded=lambda first: ({"seed": first + 1}, {"seed": first + 100}),
        observe=_observe_training,
        points=2,
    ),
    Check(
        name="evaluate",
        call="evaluate(net, loader) → share of all images guessed right (or percent); loader is a DataLoader",
        right=evaluate,
        mistakes=(
            mistake("in train mode", "net.train()", "net.eval()", evaluating=False),
            mistake("with gradients", "the graph is built", "with torch.no_grad()", gradients=True),
            mistake("first batch only", "one batch", "all batches", first_batch_only=True),
            mistake("last batch dropped", "full batches only", "all images, the smaller last batch too",
                    last_batch=False),
            mistake("mean of the batches' accuracies", "mean over batches", "right / all images",
                    mean_of_batches=True),
            mistake("divided by batches × batch size", "right / (batches · batch size)", "right / all images",
                    denominator="batches"),
            mistake("smallest output instead of largest", "argmin", "argmax", smallest=True),
            mistake("counts the wrong ones", "guess ≠ label", "guess = label", counts_wrong=True),
        ),
        seeded=lambda first: (
            {"images": 10, "batch": 4, "seed": first + 1},
            {"images": 23, "batch": 5, "seed": first + 2},
        ),
        observe=_observe_evaluation,
    ),
)  # fmt: skip

"""Networks compared by what they compute: the right network gets the learner's weights, then outputs are compared.

So it does not matter how a network is written (`Sequential`, subclass, functional calls), only what it computes.
"""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import UninitializedParameter

from etude.verify.inputs import normal
from etude.verify.observation import Observation, Refused, call, one_line, tensor_result

WEIGHT_SCALE = 1.5
"""Standard deviation of the weights, times √fan-in: large enough for a missing activation to show."""

PERIOD = 99_991
"""Weights repeat after this many numbers, a prime: drawing millions would take most of the time."""


def build(factory: Callable[..., Any], *arguments: Any, name: str = "it") -> nn.Module:
    """The learner's network, or `Refused`."""
    network = call(factory, *arguments, name=name)
    if not isinstance(network, nn.Module):
        raise Refused(type(network).__name__, f"{name} returned {type(network).__name__}; expected an nn.Module")
    return network


def parameters_in_order_of_use(network: nn.Module, run: Callable[[], Tensor]) -> list[nn.Parameter]:
    """The parameters that matter to what `run` returns, in the order in which it uses their modules.

    A learner may define layers in any order, and layers that are never used.
    """
    if any(isinstance(parameter, UninitializedParameter) for parameter in network.parameters()):
        run()  # lazy layers have no parameters to speak of before they are used
    order: list[nn.Parameter] = []
    owners = [module for module in network.modules() if any(True for _ in module.parameters(recurse=False))]
    handles = [owner.register_forward_hook(lambda m, *_: order.extend(m.parameters(recurse=False))) for owner in owners]
    try:
        output = run()
    finally:
        for handle in handles:
            handle.remove()
    needed = _reaching(output, [each for each in network.parameters() if not isinstance(each, UninitializedParameter)])
    ids = {id(parameter) for parameter in needed}
    used = [parameter for parameter in dict.fromkeys(order) if id(parameter) in ids]
    return used if len(used) == len(needed) else needed


def _reaching(output: Tensor, parameters: list[nn.Parameter]) -> list[nn.Parameter]:
    """Those that `output` depends on; frozen ones are taken to."""
    learning = [parameter for parameter in parameters if parameter.requires_grad]
    if not learning or not output.requires_grad:
        return parameters
    found = call(torch.autograd.grad, output.sum(), learning, allow_unused=True, name="its backward pass")
    idle = {id(parameter) for parameter, gradient in zip(learning, found, strict=True) if gradient is None}
    return [parameter for parameter in parameters if id(parameter) not in idle]


def fill(parameters: list[nn.Parameter], seed: int) -> None:
    """Give every parameter new values that `seed` determines."""
    with torch.no_grad():
        for index, parameter in enumerate(parameters):
            fan_in = parameter[0].numel() if parameter.ndim > 1 else 4
            base = normal((min(parameter.numel(), PERIOD),), 1000 * seed + index, WEIGHT_SCALE / fan_in**0.5)
            values = base.repeat(-(-parameter.numel() // PERIOD))[: parameter.numel()].reshape(parameter.shape)
            parameter.copy_(values + (1.0 if parameter.ndim == 1 else 0.0))


def observe_network(factory: Callable[..., Any], case: Mapping[str, Any], seen: Observation | None) -> Observation:
    """Build the network with `case["arguments"]`, give it weights, run it on `case["images"]`.

    Images are given as (batch, pixels), and as they are to a network that refuses that form.
    """
    images: Tensor = case["images"].to(torch.get_default_dtype())
    if images.ndim == 2:
        return _run(factory, case, images, seen)
    try:
        return _run(factory, case, images.flatten(1), seen)
    except Refused:
        return _run(factory, case, images, seen)


def _run(factory: Callable[..., Any], case: Mapping[str, Any], images: Tensor, seen: Observation | None) -> Observation:
    network = build(factory, *case["arguments"]).train()

    def run() -> Tensor:
        return tensor_result(call(network, images, name="its forward"), "its forward")

    if seen is not None and seen.state is not None:  # a mutant of ours, whose parameters are in order of use
        order = list(network.parameters())
        _copy(seen.state, order)
    else:
        order = parameters_in_order_of_use(network, run)
        fill(order, case["seed"])
    output = run()
    # A generator may return (batch, pixels) or images, a discriminator (batch, 1) or (batch,).
    result = output.reshape(len(output), -1) if case.get("flat") and output.numel() and output.ndim else output
    return Observation({"result": result.detach()}, state=[parameter.detach() for parameter in order])


def _copy(values: list[Tensor], parameters: list[nn.Parameter]) -> None:
    given, own = [tuple(v.shape) for v in values], [tuple(p.shape) for p in parameters]
    if given != own:
        raise Refused("weights", f"its weights have shapes {one_line(str(given))}; expected {one_line(str(own))}")
    with torch.no_grad():
        for value, parameter in zip(values, parameters, strict=True):
            parameter.copy_(value)

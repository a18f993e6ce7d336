"""A whole training step as one CUDA graph: the GPU is given all its kernels at once, and the host waits for nothing.

A graph replays the recorded kernels on the very memory that they were recorded with. So what changes from step to step
(row numbers, draws, learning rate) is copied into buffers that stay, and the losses come out in buffers that stay. The
state and the data set are such buffers already. Recording needs a few steps of warm-up, after which all that they moved
is put back. They draw no random numbers: a learner draws outside its step.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from etude.speed.whole_step import State, Whole
from etude.training.learner import Batch

WARM_UP_STEPS = 3
"""Libraries choose their kernels and allocate their workspaces in the first ones."""

Recorder = Callable[[Callable[[], Tensor]], tuple[Callable[[], None], Tensor]]
"""Records what a function does; returns what does it again, and the tensors in which its result then is."""


def captured(whole: Whole, record: Recorder | None = None) -> Whole:
    """The function as one graph, recorded when it is first called and replayed from then on.

    Only the state that it was first called with can be trained. The losses that it returns hold until the next call.
    """
    record = record or record_cuda_graph
    recorded: list[tuple[Callable[[], None], Tensor, list[Tensor]]] = []

    def step(state: State, train: tuple[Tensor, Tensor], rows: Tensor, draws: Batch, learning_rate: Tensor) -> Tensor:
        changing = [rows, learning_rate, *draws.values()]
        if not recorded:
            kept = [tensor.clone() for tensor in changing]
            kept_draws = dict(zip(draws, kept[2:], strict=True))
            before = [(tensor, tensor.clone()) for tensor in _leaves(state)]
            replay, losses = record(lambda: whole(state, train, kept[0], kept_draws, kept[1]))
            for tensor, value in before:
                tensor.copy_(value)
            recorded.append((replay, losses, kept))
        replay, losses, kept = recorded[0]
        for buffer, tensor in zip(kept, changing, strict=True):
            buffer.copy_(tensor)
        replay()
        return losses

    return step


def record_cuda_graph(function: Callable[[], Tensor]) -> tuple[Callable[[], None], Tensor]:
    """`Recorder` of the current GPU, by PyTorch's instructions: warm up on a stream of its own, then record."""
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(WARM_UP_STEPS):
            function()
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        losses = function()
    return graph.replay, losses


def _leaves(tree: Any) -> list[Tensor]:
    """The tensors in dictionaries of dictionaries."""
    return [tree] if isinstance(tree, Tensor) else [leaf for each in tree.values() for leaf in _leaves(each)]

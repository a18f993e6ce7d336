"""A whole training step as one CUDA graph: the GPU is given all its kernels at once, and the host waits for nothing.

A graph replays the recorded kernels on the very memory that they were recorded with. So what changes from step to step
(row numbers, draws, learning rate) is copied into buffers that stay, and the losses come out in buffers that stay.
Networks and data set are such buffers already. Recording needs a few steps of warm-up, after which all that they moved
is put back. They draw no random numbers: a learner draws outside its step.
"""

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves, tree_map

from etude.speed.whole_step import StepTensors, Whole

WARM_UP_STEPS = 3
"""Libraries choose their kernels and allocate their workspaces in the first ones."""

Recorder = Callable[[Callable[[], Tensor]], tuple[Callable[[], None], Tensor]]
"""Records what a function does; returns what does it again, and the tensors in which its result then is."""


def captured(whole: Whole, record: Recorder | None = None) -> Whole:
    """The function as one graph, recorded when it is first called and replayed from then on.

    Only the networks that it was first called with can be trained. The losses that it returns hold until the next call.
    """
    record = record or record_cuda_graph
    recorded: list[tuple[Callable[[], None], Tensor, list[Tensor]]] = []

    def step(given: StepTensors) -> Tensor:
        changing = tree_leaves(given.changing())
        if not recorded:
            rows, rates, draws = tree_map(torch.clone, given.changing())
            buffers = replace(given, rows=rows, rates=rates, draws=draws)
            kept = tree_leaves(buffers.changing())
            before = [(tensor, tensor.clone()) for tensor in tree_leaves((given.networks, given.state))]
            replay, losses = record(lambda: whole(buffers))
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

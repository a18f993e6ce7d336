"""A whole training step as one CUDA graph: the GPU gets all its kernels at once, and the host waits for nothing.

A graph replays the recorded kernels on the same memory. So what changes from step to step (row numbers, draws, learning
rate) is copied into fixed buffers, and the losses come out in fixed buffers. Networks and data set are such buffers
already.

Recording needs a few warm-up steps. Afterwards everything they changed is restored. They draw no random numbers,
because a learner draws outside its step.
"""

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves, tree_map

from etude.speed.whole_step import StepTensors, Whole

WARM_UP_STEPS = 3
"""In the first steps, libraries choose their kernels and allocate their workspaces."""

Recorder = Callable[[Callable[[], Tensor]], tuple[Callable[[], None], Tensor]]
"""Records what a function does. Returns a function that repeats it, and the tensors that hold its result."""


def captured(whole: Whole, record: Recorder | None = None) -> Whole:
    """The function as one graph, recorded at the first call and replayed from then on.

    Only the networks of the first call can be trained with it. The losses that it returns are valid until the next
    call.
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
    """`Recorder` of the current GPU, following PyTorch's instructions: warm up on a separate stream, then record."""
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

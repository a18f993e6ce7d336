"""A whole training step, compiled by Inductor.

The step is traced by running it once on tensors without numbers (`make_fx`), not by Dynamo. That takes a tenth of a
second instead of several, and leaves no guards to check at every step. It also keeps gradients that a layer defines by
hand, which Dynamo drops under `torch.func` (pytorch/pytorch#193279).
"""

import struct
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_flatten, tree_leaves, tree_unflatten

from etude.compute import Execution
from etude.speed.memory import give_back
from etude.speed.whole_step import StepTensors, Whole


def compiled(whole: Whole, execution: Execution) -> Whole:
    """Compile the function when it is first called, for the shapes that it gets then.

    Only the networks of the first call can be trained with it.
    """
    program: Callable[..., Any] | None = None
    kept: list[Tensor] = []

    def step(given: StepTensors) -> Tensor:
        nonlocal program
        if program is None:
            program, kept[:] = _compile(whole, execution, given), tree_leaves(given.kept())
        (losses,) = program(*kept, *tree_leaves(given.changing()))
        return losses

    return step


def traced(whole: Whole, given: StepTensors) -> Callable[..., Any]:
    """The function as a graph of operations on a flat list of tensors, those that stay first.

    Tensors that it uses without being given, such as the scale of a table's features, are constants of the graph.
    """
    from torch.fx.experimental.proxy_tensor import make_fx  # here, because the import takes long

    tensors, structure = tree_flatten(given)

    def flat(*tensors: Tensor) -> tuple[Tensor]:
        return (whole(tree_unflatten(list(tensors), structure)),)

    with torch.no_grad():
        return make_fx(flat, tracing_mode="fake", _allow_non_fake_inputs=True)(*tensors)


def _compile(whole: Whole, execution: Execution, given: StepTensors) -> Callable[..., Any]:
    """Compile the function of a flat list of tensors, those that stay first."""
    from torch._functorch.compile_utils import fx_graph_cse  # here, because these imports take long
    from torch._inductor import compile
    from torch._inductor.runtime.cache_dir_utils import cache_dir
    from torch.func import functionalize
    from torch.fx.experimental.proxy_tensor import make_fx

    give_back()
    remove_torn_libraries(Path(cache_dir()))
    tensors = tree_leaves(given)
    options: dict[str, Any] = {}
    if execution.device == "cpu":
        # Inductor's wrapper in C++. In Python it costs as much as the arithmetic of a small network.
        options = {"cpp_wrapper": True, "compile_threads": 1}
    if execution.precision == "bf16":
        # Without it, a sum used by two tensors, such as the gradient of two biases of cvae, becomes C++ with one name
        # twice.
        options["cpp.max_horizontal_fusion_size"] = 1
    graph: Any = traced(whole, given)
    with torch.no_grad():
        # A GAN casts its generator's weights for the discriminator's step and again for the generator's: what is
        # computed twice of the same tensors is computed once. They are the same for sure once none is changed in place.
        graph = make_fx(functionalize(graph), tracing_mode="fake", _allow_non_fake_inputs=True)(*tensors)
        graph.graph = fx_graph_cse(graph.graph)
        program: Any = compile(graph, tensors, options)
        return program


def remove_torn_libraries(cache: Path) -> None:
    """Remove half-written files from Inductor's cache, which a kill or a power cut leaves, so that they are compiled
    again.

    Inductor takes whatever is there, and half a library ends the process that loads it, without an error.
    """
    from torch._inductor.codecache import get_lock_dir
    from torch.utils._filelock import FileLock

    for path in [*cache.glob("*/*.so"), *cache.glob("*/*.o")]:
        with suppress(OSError, TimeoutError):
            if is_torn(path):
                with FileLock(str(Path(get_lock_dir(), f"{path.name.partition('.')[0]}.lock")), timeout=0):
                    path.unlink()  # no process is writing, because it would hold the lock


def is_torn(path: Path) -> bool:
    """Whether a library or object file ends before its table of sections, which is the last thing in it."""
    with path.open("rb") as file:
        head = file.read(64)
    if head[:5] == b"\x7fELF\x02" and len(head) == 64:
        start, (size, count) = int.from_bytes(head[40:48], "little"), struct.unpack("<HH", head[58:62])
        return path.stat().st_size < start + size * count
    return sys.platform == "linux"

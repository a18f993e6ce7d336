"""From a function of tensors to a `Program`: every operation that depends on the input becomes a step.

The function runs once for each class, on one example, below PyTorch's dispatcher. What does not depend on the input is
a weight, whatever computed it: a label's one-hot form, an embedding or a time only leave numbers behind. Weights that
differ from class to class become a table.
"""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils._python_dispatch import TorchDispatchMode, _disable_current_modes
from torch.utils._pytree import tree_flatten

from etude.exports.layers import MOVES, RULES, Untranslatable, Writer
from etude.exports.program import Program, Step, as_weight

MOST_PRODUCTS = 150_000_000
"""Multiplications beyond which a page would stand still for a second at each image."""


def record(function: Callable[[Tensor, int], Tensor], example: Tensor, *, num_classes: int = 1) -> Program:
    """The program of `function(example (1, ...), label)` for labels 0 to `num_classes` − 1.

    Raises `Untranslatable` for an operation without a rule, and where the classes take different ways.
    """
    recorders, shape = [], ()
    for label in range(num_classes):
        recorder = _Recorder(example)
        with _in_single_operations(), recorder:
            result = function(example, label)
        if id(result) not in recorder.live:
            raise Untranslatable("its output does not depend on its input")
        recorders.append((recorder, recorder.live[id(result)]))
        shape = tuple(result.shape[1:])
    (first, output), *others = recorders
    for other, its_output in others:
        if (other.steps, its_output) != (first.steps, output) or len(other.weights) != len(first.weights):
            raise Untranslatable("it takes different ways for different classes")
    rows = [tuple(dict.fromkeys(each)) for each in zip(*(each.weights for each, _ in recorders), strict=True)]
    known = {key: tensor for each, _ in recorders for key, tensor in each.pool.items()}
    all_rows = zip(*(each.weights for each, _ in recorders), strict=True)
    keys = [each if len(same) > 1 else same for each, same in zip(all_rows, rows, strict=True)]
    places = {key: at for at, key in enumerate(dict.fromkeys(keys))}  # equal weights are kept once
    weights = tuple(as_weight([known[digest] for digest in key]) for key in places)

    def placed(at: int) -> int:
        return at if at >= 0 else -1 - places[keys[-1 - at]]

    steps = [
        Step(layer=step.layer, inputs=tuple(map(placed, step.inputs)), settings=step.settings, size=step.size)
        for step in first.steps
    ]
    return Program(
        input_shape=tuple(example.shape[1:]), output_shape=shape, steps=tuple(steps), output=output, weights=weights
    )


@contextmanager
def _in_single_operations() -> Iterator[None]:
    """Without gradients, and without PyTorch's fused kernels of attention."""
    fused = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with torch.no_grad(), sdpa_kernel(SDPBackend.MATH):
            yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fused)


class _Recorder(TorchDispatchMode, Writer):
    def __init__(self, example: Tensor) -> None:
        super().__init__()
        self.steps: list[Step] = []
        self.weights: list[bytes] = []
        self.pool: dict[bytes, Tensor] = {}
        self.live = {id(example): 0}
        self.kept: list[Any] = [example]
        self.input_size, self.num_products = example.numel(), 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        self.kept += [args, kwargs, out]
        given = [leaf for leaf in tree_flatten((args, kwargs))[0] if isinstance(leaf, Tensor)]
        if not any(id(leaf) in self.live for leaf in given):
            return out
        name = func.__name__.partition(".")[0]
        name = name.removesuffix("_") if not name.startswith("_") else name  # in place, or not: the value is the same
        if name == "_local_scalar_dense":
            raise Untranslatable("it decides by the values of its input")
        if name in MOVES:
            self.move(func, args, kwargs or {}, out)
        elif name in RULES:
            value = RULES[name](self, *args, **{**(kwargs or {}), "out": out})
            self.live[id(out[0] if isinstance(out, tuple | list) else out)] = value
        else:
            raise Untranslatable(f"it uses {name}, for which there is no rule")
        return out

    def add(self, layer: str, inputs: Sequence[int], size: int, **settings: Any) -> int:
        """See `Writer`."""
        self.steps.append(Step(layer=layer, inputs=tuple(inputs), settings=settings, size=size))
        self.num_products += self.steps[-1].num_products
        if self.num_products > MOST_PRODUCTS:
            raise Untranslatable(f"it takes more than {MOST_PRODUCTS / 1e6:.0f} million multiplications for an image")
        return len(self.steps)

    def of(self, tensor: Tensor) -> int:
        """See `Writer`."""
        if id(tensor) in self.live:
            return self.live[id(tensor)]
        numbers = tensor.detach().contiguous().reshape(-1)
        with _disable_current_modes():
            array = (numbers.float() if numbers.is_floating_point() else numbers.to(torch.int32)).numpy()
        digest = hashlib.blake2b(array.tobytes(), digest_size=16).digest()
        self.pool.setdefault(digest, torch.from_numpy(array.copy()))
        self.weights.append(digest)
        return -len(self.weights)

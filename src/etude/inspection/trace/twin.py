"""A copy of a module to look at, so that the module that was given, and every random state, stay as they were."""

import copy
import random
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from types import CellType, FunctionType
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy
from torch.utils._pytree import tree_flatten, tree_map

from etude.errors import UsageError
from etude.inspection.trace.failures import one_line
from etude.user_code import require_no_loop


def at_rest(module: nn.Module, awake: tuple[type[nn.Module], ...]) -> nn.Module:
    """The module in eval mode, except modules of the types in `awake`."""
    module.train(nn.Module in awake)
    for part in module.modules():
        part.training = isinstance(part, awake)
    return module


def _copied(tensor: Tensor) -> Tensor:
    return tensor.detach().clone()


def without_elements(tensor: Tensor) -> Tensor:
    """A tensor of the same shape and type on the meta device; a parameter stays one."""
    empty = tensor.detach().to("meta")
    return nn.Parameter(empty, tensor.requires_grad) if isinstance(tensor, nn.Parameter) else empty


def require_network(module: object) -> None:
    """Raise a `UsageError` unless this is a network that can be followed: no class, and no part of itself."""
    if isinstance(module, type):
        raise UsageError(f"{module.__name__} is a class: give a network made of it, {module.__name__}(…).")
    if not isinstance(module, nn.Module):
        raise UsageError(f"no network: {type(module).__name__}; give a torch.nn.Module.")
    require_no_loop(module, type(module).__name__)


def twin_of(module: nn.Module, make: Callable[[Tensor], Tensor] | None = None) -> nn.Module:
    """A deep copy of a module, its parameters and buffers made by `make`.

    Also of a module that holds tensors computed by autograd (as old weight norms do), which Python refuses to copy, and
    of functions that close over it (hooks, lambdas), which Python would share. Raises a `UsageError` for a module that
    cannot be copied.
    """
    require_network(module)
    check_shapes(module)
    memo: dict[int, Any] = {}
    shared: set[int] = set()
    for part in module.modules():
        for value in tree_flatten(vars(part))[0]:
            if isinstance(value, FunctionType) and value.__closure__:
                shared.add(id(value))
            if isinstance(value, Tensor) and (make or value.grad_fn is not None):
                memo[id(value)] = (make or _copied)(value)
    if make:
        memo |= {id(tensor): make(tensor) for tensor in (*module.parameters(), *module.buffers())}
    try:
        twin = copy.deepcopy(module, memo)
    except Exception as error:
        raise UsageError(
            f"{type(module).__name__} is looked at as a copy, but cannot be copied: {one_line(error)}; keep what it "
            "holds in addition to tensors and modules (a lock, a file) out of it, or give it a __deepcopy__."
        ) from error
    for part in twin.modules():
        for name, value in vars(part).items():
            if any(id(leaf) in shared for leaf in tree_flatten(value)[0]):
                vars(part)[name] = tree_map(lambda leaf: _own_function(leaf, memo), value)
    for parameter in twin.parameters():
        if parameter.is_leaf and parameter.grad is not None:
            parameter.grad = None
    return twin


def precise(value: Any) -> Any:
    """Real tensors in float64, complex ones in complex128; a generator in a copy; anything else as it is."""
    if isinstance(value, torch.Generator):
        return value.clone_state()
    if not isinstance(value, Tensor) or not (value.is_floating_point() or value.is_complex()):
        return value
    return value.detach().to(torch.complex128 if value.is_complex() else torch.float64)


def precise_twin(module: nn.Module) -> nn.Module:
    """A twin whose parameters, buffers and other tensors are in double precision."""
    twin = twin_of(module)
    twin._apply(precise)
    for part in twin.modules():
        for name, value in list(vars(part).items()):
            if isinstance(value, Tensor):
                vars(part)[name] = precise(value)
    return twin


@contextmanager
def float64_by_default() -> Iterator[None]:
    """Tensors that a network makes inside (`torch.zeros(n)`) are in float64 as its weights are."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


def check_shapes(module: nn.Module) -> None:
    """Refuse a network with lazy layers that no input has given their shapes."""
    for name, tensor in (*module.named_parameters(), *module.named_buffers()):
        if is_lazy(tensor):
            raise UsageError(f"{name} has no shape yet: its layer is lazy; run the network on an input once before.")


def _own_function(value: Any, memo: dict[int, Any]) -> Any:
    """A function with copies of what it closes over, which `memo` holds for the parts of the module."""
    if not isinstance(value, FunctionType) or not value.__closure__:
        return value
    if id(value) in memo:
        return memo[id(value)]
    cells = tuple(CellType() for _ in value.__closure__)
    own = FunctionType(value.__code__, value.__globals__, value.__name__, value.__defaults__, cells)
    own.__kwdefaults__ = value.__kwdefaults__
    memo[id(value)] = own
    for old, new in zip(value.__closure__, cells, strict=True):
        try:
            content = old.cell_contents
        except ValueError:  # not assigned yet
            continue
        try:
            new.cell_contents = copy.deepcopy(_own_function(content, memo), memo)
        except Exception:  # an open file, say, is shared
            new.cell_contents = content
    return own


@contextmanager
def undisturbed() -> Iterator[None]:
    """Put the random states of PyTorch, Python and NumPy back as they were before; run compiled code as written."""
    python, legacy = random.getstate(), np.random.get_state()  # noqa: NPY002 (the module may use the global one)
    try:
        with ExitStack() as stack:
            stack.enter_context(torch.random.fork_rng())
            if "torch._dynamo" in sys.modules:  # importing it takes seconds; who compiles has done so
                stack.enter_context(torch.compiler.set_stance("force_eager"))
                stack.enter_context(warnings.catch_warnings())
                warnings.filterwarnings("ignore", "Using `torch.compile")  # with hooks on all modules, as we have
            yield
    finally:
        random.setstate(python)
        np.random.set_state(legacy)  # noqa: NPY002


def own_copy(value: Any, make: Callable[[Tensor], Tensor] = _copied) -> Any:
    """A copy of a tensor that the traced module may write into, and of a generator that it may draw from."""
    if isinstance(value, torch.Generator):
        return value.clone_state()
    return make(value.detach()) if isinstance(value, Tensor) else value

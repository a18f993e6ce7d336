"""One forward and one backward pass of any module, recorded at PyTorch's dispatcher.

The trace sees every operation, functional ones too, with the module and the function that ran it, because the
dispatcher is below all of them. It runs on a deep copy in eval mode and with all random states put back afterwards, so
the module that was given is as it was: modes, buffers, gradients, hooks, `requires_grad`.
"""

from collections.abc import Callable
from contextlib import ExitStack, suppress
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.module import register_module_forward_hook, register_module_forward_pre_hook
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten, tree_map

from etude.errors import UsageError
from etude.inspection.trace.elements import Elements, is_index
from etude.inspection.trace.failures import one_line, remedy, view_remedy
from etude.inspection.trace.flops import Cost, cost, operation_name
from etude.inspection.trace.record import Call, Function, Operation, Trace, Value, depends_on_input, shape_text
from etude.inspection.trace.twin import (
    at_rest,
    check_shapes,
    own_copy,
    require_network,
    twin_of,
    undisturbed,
    without_elements,
)
from etude.inspection.trace.writes import LARGEST, WRITE, landing, same_place


def trace(
    module: nn.Module, *inputs: Any, train: bool = False, awake: tuple[type[nn.Module], ...] = (), **keywords: Any
) -> Trace:
    """Record a forward pass of `module(*inputs, **keywords)` in eval mode and its backward pass.

    `train`: in training mode instead; modules of the types in `awake` are in it in any case.

    Backward means the gradient of the sum of all floating-point outputs for every parameter that requires one; the
    gradient of the inputs is not computed, as in training. Raises a `UsageError` that names the layer when the
    forward pass fails. Nothing of `module`, its inputs or the random states changes.
    """
    require_network(module)
    mode = (nn.Module,) if train else awake
    with undisturbed():
        # Shapes decide nearly every forward pass, so for a large network tensors without elements do, in a fraction of
        # the time. Where elements matter (`if x.sum() > 0`), or anything fails, the pass takes real ones.
        tensors = [leaf for leaf in tree_flatten((inputs, keywords))[0] if isinstance(leaf, Tensor)]
        if is_large(module, tensors):
            with suppress(Exception), torch.device("meta"):
                twin = at_rest(twin_of(module, without_elements), mode)
                given = tree_map(lambda leaf: own_copy(leaf, without_elements), (inputs, keywords))
                empty = [leaf for leaf in tree_flatten(given)[0] if isinstance(leaf, Tensor)]
                pairs = [*zip(empty, tensors, strict=True), *zip(twin.buffers(), module.buffers(), strict=True)]
                return _Recorder(twin, Elements(pairs)).run(*given)
        return _Recorder(at_rest(twin_of(module), mode)).run(*tree_map(own_copy, (inputs, keywords)))


WITHOUT_ELEMENTS = 10**9
"""Work beyond which a pass without elements is quicker, though PyTorch imports two seconds of its own code for it."""


def is_large(module: nn.Module, tensors: list[Tensor]) -> bool:
    """Whether a pass is long, if every parameter met every number of the input: above what most networks compute."""
    check_shapes(module)
    work = sum(p.numel() for p in module.parameters()) * max((leaf.numel() for leaf in tensors), default=1)
    return work > WITHOUT_ELEMENTS


class _Recorder:
    def __init__(self, module: nn.Module, elements: Elements | None = None) -> None:
        self.module, self.elements = module, elements
        self.names: dict[int, list[str]] = {}
        for name, part in module.named_modules(remove_duplicate=False):
            self.names.setdefault(id(part), []).append(name)
        self.times_called: dict[int, int] = {}
        self.calls: list[Call] = []
        self.stack: list[Call] = []
        self.function: Function | None = None
        self.operations: list[Operation] = []
        self.by_node: dict[int, Operation] = {}
        self.values: dict[int, Value] = {}
        # All tensors of the trace, kept alive: an id is unique only among the living.
        self.on_storage: dict[int, list[Tensor]] = {}
        self.foreign: list[Value] = []
        self.given: list[Value] = []
        self.saved: set[int] = set()
        self.order = 0
        self.mkldnn_enabled = torch._C._get_mkldnn_enabled()
        self.in_backward = False

        self.parameters: dict[str, Value] = {}
        self.aliases: dict[str, list[str]] = {}
        known: dict[int, str] = {}
        for name, parameter in module.named_parameters(remove_duplicate=False):
            first = known.setdefault(id(parameter), name)
            self.aliases.setdefault(first, []).append(name)
            if first == name:
                self.parameters[name] = self._remember(parameter, "parameter", name)
                self.saved.add(_storage(parameter))
        for name, buffer in module.named_buffers():
            self._remember(buffer, "buffer", name)
            self.saved.add(_storage(buffer))

    def run(self, inputs: tuple[Any, ...], keywords: dict[str, Any]) -> Trace:
        leaves = [leaf for leaf in tree_flatten((inputs, keywords))[0] if isinstance(leaf, Tensor)]
        self.given = [self._remember(leaf, "input", f"input {i}") for i, leaf in enumerate(leaves)]
        with ExitStack() as stack:
            # PyTorch's fused kernels of attention would be one opaque operation.
            fused: dict[Callable[[bool], None], bool] = {
                torch.backends.mha.set_fastpath_enabled: torch.backends.mha.get_fastpath_enabled(),
                torch.backends.cuda.enable_flash_sdp: torch.backends.cuda.flash_sdp_enabled(),  # on a CPU too
                torch.backends.cuda.enable_mem_efficient_sdp: torch.backends.cuda.mem_efficient_sdp_enabled(),
                torch.backends.cuda.enable_cudnn_sdp: torch.backends.cuda.cudnn_sdp_enabled(),
            }
            for enable, before in fused.items():
                stack.callback(enable, before)
                enable(False)
            stack.callback(torch._C._set_mkldnn_enabled, self.mkldnn_enabled)
            for handle in (
                register_module_forward_pre_hook(self._enter),
                register_module_forward_hook(self._leave),
            ):
                stack.callback(handle.remove)
            stack.enter_context(torch.enable_grad())
            stack.enter_context(torch.autograd.graph.saved_tensors_hooks(self._save, _unchanged))
            stack.enter_context(_Dispatch(self))
            with _Functions(self):
                try:
                    result = self.module(*inputs, **keywords)
                except UsageError:
                    raise
                except (Exception, SystemExit) as error:
                    raise self._failure(error) from error
            outputs = [leaf for leaf in tree_flatten(result)[0] if isinstance(leaf, Tensor)]
            error = self._backward(outputs)
        names = dict(self.module.named_parameters())
        return Trace(
            calls=self.calls,
            operations=self.operations,
            inputs=self.given,
            outputs=[self._value(leaf) for leaf in outputs],
            parameters=self.parameters,
            frozen=frozenset(name for name in self.parameters if not names[name].requires_grad),
            aliases={name: aliases for name, aliases in self.aliases.items() if len(aliases) > 1},
            foreign_parameters=self.foreign,
            backward_error=error,
            buffer_bytes=sum(_bytes(buffer) for buffer in self.module.buffers()),
        )

    def _backward(self, outputs: list[Tensor]) -> str | None:
        roots = [out for out in outputs if out.requires_grad]
        wanted = [parameter for parameter in self.module.parameters() if parameter.requires_grad]
        if not roots or not wanted:
            return None
        self.in_backward = True
        try:
            torch.autograd.grad(roots, wanted, [torch.ones_like(root) for root in roots], allow_unused=True)
        except (RuntimeError, NotImplementedError) as error:
            return one_line(error)
        return None

    # --- modules --------------------------------------------------------------------------------------------------

    def _enter(self, module: nn.Module, inputs: Any) -> None:
        if self.in_backward:  # a checkpoint runs its layers again
            return
        parent = self.stack[-1] if self.stack else None
        names = self.names.get(id(module))
        times = self.times_called[id(module)] = self.times_called.get(id(module), -1) + 1
        above = f"{parent.path}." if parent and parent.path else ""
        path = names[min(times, len(names) - 1)] if names else f"{above}(unregistered)"
        call = Call(path, module, parent, names is not None, self._next())
        call.inputs = [self._value(leaf) for leaf in tree_flatten(inputs)[0] if isinstance(leaf, Tensor)]
        if parent:
            parent.children += 1
        if isinstance(module, nn.LSTM):
            # With oneDNN a whole LSTM is one operation; without it, its products are seen step by step.
            torch._C._set_mkldnn_enabled(False)
        self.calls.append(call)
        self.stack.append(call)

    def _leave(self, module: nn.Module, inputs: Any, result: Any) -> None:
        if self.in_backward:
            return
        call = self.stack.pop()
        while call.module is not module:  # a module that raised, and whose caller went on
            call = self.stack.pop()
        if isinstance(module, nn.LSTM):
            torch._C._set_mkldnn_enabled(self.mkldnn_enabled)
        call.outputs = [self._value(leaf) for leaf in tree_flatten(result)[0] if isinstance(leaf, Tensor)]

    def _failure(self, error: BaseException) -> UsageError:
        call = self.stack[-1]
        inputs = call.inputs or ([] if call.parent else self.given)  # those by keyword are not among a call's
        shapes = ", ".join(shape_text(value.shape) for value in inputs) or "no tensor"
        where = f"{call.path} ({type(call.module).__name__})" if call.path else f"{type(call.module).__name__}.forward"
        remedied = remedy(call.module, call.inputs[0].shape if call.inputs else None) or view_remedy(
            self.module, str(error), [value.shape for operation in self.operations for value in operation.outputs]
        )
        return UsageError(f"{where} fails on an input of shape {shapes}: {one_line(error)}.{remedied}")

    # --- operations -----------------------------------------------------------------------------------------------

    def operation(self, func: torch._ops.OpOverload, args: tuple[Any, ...], kwargs: dict[str, Any], out: Any) -> None:
        if self.in_backward:
            node = torch._C._current_autograd_node()
            origin = self.by_node.get(node._sequence_nr()) if node else None  # type: ignore[attr-defined]
            if origin:
                origin.backward.append((operation_name(func), cost(func, args, kwargs, out)))
            return
        seen = tree_map(lambda leaf: self._value(leaf) if isinstance(leaf, Tensor) else leaf, (args, kwargs))
        outputs = [leaf for leaf in tree_flatten(out)[0] if isinstance(leaf, Tensor)]
        written = [leaf for leaf in outputs if id(leaf) in self.values]  # in place, or a module's own buffer
        record = Operation(
            func,
            seen[0],
            seen[1],
            [self._remember(leaf, "computed" if depends_on_input(seen) else "constant", "") for leaf in outputs],
            cost(func, args, kwargs, out),
            self.stack[-1],
            self.function,
            self._next(),
        )
        self.operations.append(record)
        record.indices.update(self._indices(record, (args, kwargs)))
        for leaf in written:
            self._rewrite_views(leaf, record)
        self.by_node.setdefault(torch.autograd._get_sequence_nr() - 1, record)  # type: ignore[attr-defined]

    def _indices(self, record: Operation, arguments: Any) -> dict[Value, Tensor]:
        """The whole numbers among the arguments of an operation that do not depend on an input."""
        found = {}
        for leaf in tree_flatten(arguments)[0]:
            if isinstance(leaf, Tensor) and is_index(leaf) and leaf.numel() <= LARGEST:
                value = self.values[id(leaf)]
                real = self.elements.index(leaf) if self.elements else leaf
                if value.kind in ("constant", "buffer") and real is not None:
                    found[value] = real.detach().clone()
        return found

    def _rewrite_views(self, written: Tensor, record: Operation) -> None:
        """A write in place also changes every other tensor that shares memory with the written one."""
        for leaf in self.on_storage[_storage(written)]:
            old = self.values[id(leaf)]
            if leaf is written or old.kind in ("parameter", "buffer") or not leaf.numel():
                continue
            if same_place(leaf, written):
                self.values[id(leaf)] = self.values[id(written)]
            elif where := landing(leaf, written):
                new = self.values[id(leaf)] = Value(old.shape, old.dtype, "computed")
                arguments = (old, self.values[id(written)], where)
                self.operations.append(
                    Operation(WRITE, arguments, {}, [new], Cost(), record.call, record.function, record.order)
                )

    def _save(self, tensor: Tensor) -> tuple[Tensor, int]:
        storage = _storage(tensor)
        if not self.in_backward and storage not in self.saved:
            self.saved.add(storage)
            (self.function or self.stack[-1]).saved_bytes += _bytes(tensor)
        return tensor, tensor._version

    def _value(self, tensor: Tensor) -> Value:
        known = self.values.get(id(tensor))
        if known is not None:
            return known
        if tensor.is_leaf and tensor.requires_grad:
            self.foreign.append(value := self._remember(tensor, "parameter", "(unregistered)"))
            return value
        return self._remember(tensor, "constant", "")

    def _remember(self, tensor: Tensor, kind: str, name: str) -> Value:
        self.on_storage.setdefault(_storage(tensor), []).append(tensor)
        strided = tensor.layout == torch.strided and not tensor.is_nested
        strides, offset = (tuple(tensor.stride()), int(tensor.storage_offset())) if strided else ((), 0)
        value = self.values[id(tensor)] = Value(tuple(tensor.shape), tensor.dtype, kind, name, strides, offset)
        return value

    def _next(self) -> int:
        self.order += 1
        return self.order


def _storage(tensor: Tensor) -> int:
    """Which memory a tensor lies in; one without any of its own (a sparse one, say) shares it with nobody."""
    try:
        return tensor.untyped_storage()._cdata
    except (RuntimeError, NotImplementedError):
        return id(tensor)


def _bytes(tensor: Tensor) -> int:
    """Memory of a tensor; of a sparse one, of its values."""
    return (tensor.numel() if tensor.layout == torch.strided else tensor._nnz()) * tensor.element_size()


def _unchanged(kept: tuple[Tensor, int]) -> Tensor:
    """What the backward pass gets of a kept tensor; autograd's own check of the version is off under hooks."""
    tensor, version = kept
    if tensor._version != version:
        raise RuntimeError(
            f"a tensor of shape {shape_text(tuple(tensor.shape))} that the backward pass needs was changed in place "
            "after it was used"
        )
    return tensor


def _called(func: Any, args: Any, kwargs: Any) -> Any:
    return func(*args, **kwargs)


class _Dispatch(TorchDispatchMode):
    def __init__(self, recorder: _Recorder) -> None:
        super().__init__()
        self.recorder = recorder

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # skipping would import the compiler, two seconds, to switch it off

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        run = self.recorder.elements.run if self.recorder.elements else _called
        out = run(func, args, kwargs or {})
        if self.recorder.stack or self.recorder.in_backward:
            self.recorder.operation(func, args, kwargs or {}, out)
        return out


class _Functions(TorchFunctionMode):
    """Names the functions that modules outside the library call: one `F.linear` is two operations, but one row."""

    def __init__(self, recorder: _Recorder) -> None:
        super().__init__()
        self.recorder = recorder

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        recorder = self.recorder
        name = getattr(func, "__name__", "").strip("_")
        if recorder.function is not None or not name or name == "get":
            return func(*args, **(kwargs or {}))
        recorder.function = function = Function(name, recorder._next())
        try:
            out = func(*args, **(kwargs or {}))
            if name in ("tolist", "numpy", "array") and recorder.stack and not recorder.in_backward:
                # They read elements without an operation: recorded as the one that reads a single number.
                recorder.operation(torch.ops.aten._local_scalar_dense.default, args[:1], {}, None)
            leaves = [args[0]] if name == "setitem" else tree_flatten(out)[0]
            function.outputs = [recorder.values[id(leaf)] for leaf in leaves if id(leaf) in recorder.values]
            return out
        finally:
            recorder.function = None

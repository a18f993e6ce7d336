"""Try a person's network on a few examples before training starts. What does not fit is said in one sentence."""

import contextlib
import io
import random
import traceback
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.modules.lazy import LazyModuleMixin
from torch.nn.parameter import is_lazy as is_lazy_tensor

from etude.errors import UsageError, is_out_of_memory
from etude.families.own_networks import admitted
from etude.user_code import contained, parse_spec, reason

LARGE = 100.0
"""The factor of large inputs: a network that ends in a sigmoid or softmax stays in [0, 1], any other leaves it."""

OWN = "own."
"""The prefix of names in a person's module if a module of étude's wraps it."""
Apply = Callable[..., Any]


class Trial:
    """One of a person's networks, tried with made-up inputs. Its tensors are afterwards as before. Final.

    Every method that applies it raises a `UsageError` that says what is wrong.
    """

    def __init__(self, text: str, module: nn.Module) -> None:
        spec = parse_spec(text)
        self.name, self.module = spec.name, module
        folder = spec.path.parent.resolve()
        self.files = {str(spec.path.parent / each.path): each.path for each in admitted(spec.path).sources}
        self.files |= {str(folder / path): path for path in list(self.files.values())}
        self.notes: list[str] = []
        self.eager: list[str] = []
        """Why its steps must be computed operation by operation. Empty if they need not."""
        self.draws = False
        """Whether it draws from PyTorch's global generator in training."""

    # Before anything is computed --------------------------------------------------------------------------------------

    def check_tensors(self) -> None:
        """Require parameters, in float32, on the processor."""
        parameters = {name.removeprefix(OWN): each for name, each in self.module.named_parameters()}
        if not parameters:
            raise UsageError(f"{self.name} has no parameters to train; make its layers attributes, as in self.fc = ….")
        for name, tensor in [*parameters.items(), *self.module.named_buffers()]:
            if is_lazy_tensor(tensor):
                continue
            if tensor.device.type == "meta":
                raise UsageError(f"{self.name}: {name} lies on the meta device and has no numbers; make it on the cpu.")
            if tensor.is_floating_point() and tensor.dtype != torch.float32:
                kind = str(tensor.dtype).removeprefix("torch.")
                raise UsageError(
                    f"{self.name}: {name} is {kind}; allowed: float32. Leave .double(), .half() and dtype= out: "
                    "--precision bf16 computes in bfloat16."
                )
        self.module.to("cpu")
        for name, value in self.module.state_dict().items():
            if not isinstance(value, Tensor):
                raise UsageError(
                    f"{self.name} keeps {name}, a {type(value).__name__}, beside its tensors (get_extra_state); keep "
                    "it in a buffer: self.register_buffer."
                )

    # Applying it ------------------------------------------------------------------------------------------------------

    def apply(self, what: str, *inputs: Any, call: Apply | None = None, train: bool = True, seed: int = 0) -> Any:
        """Its output for some inputs, in training mode or not, random draws from `seed`. `what` names the inputs."""
        self.module.train(train)
        printed = io.StringIO()
        with self._following() as stack, torch.random.fork_rng(devices=[]), contextlib.redirect_stdout(printed):
            torch.manual_seed(seed)
            with contained(lambda error: self._told(error, stack, what, inputs)):
                output = (call or self.module)(*inputs)
        note = f"{self.name} prints while it is applied: that goes to stderr."
        if printed.getvalue() and note not in self.notes:
            self.notes.append(note)
        return output

    @contextlib.contextmanager
    def _following(self) -> Iterator[list[tuple[str, nn.Module, str]]]:
        """The modules in progress, outermost first, each with its path and the shapes of its inputs."""
        stack: list[tuple[str, nn.Module, str]] = []
        handles = []
        for path, part in self.module.named_modules():

            def enter(module: nn.Module, inputs: tuple[Any, ...], path: str = path) -> None:
                stack.append((path, module, shapes_of(inputs)))

            def leave(module: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
                stack.pop()

            handles += [part.register_forward_pre_hook(enter), part.register_forward_hook(leave)]
        try:
            yield stack
        finally:
            for handle in handles:
                handle.remove()

    def _told(
        self, error: BaseException, stack: Sequence[tuple[str, nn.Module, str]], what: str, inputs: Sequence[Any]
    ) -> UsageError:
        """What went wrong where: the innermost layer in progress, and the line in the person's file."""
        line = next(
            (
                f" ({self.files[frame.filename]} line {frame.lineno})"
                for frame in reversed(traceback.extract_tb(error.__traceback__))
                if frame.filename in self.files
            ),
            "",
        )
        layer = ""
        if stack and stack[-1][0].removeprefix(OWN):
            path, module, shapes = stack[-1][0].removeprefix(OWN), *stack[-1][1:]
            text = " ".join(repr(module).split())
            layer = f" in layer {path}, {text if len(text) <= 100 else type(module).__name__}, given {shapes}"
        if is_out_of_memory(error):
            return UsageError(f"{self.name} asks for more memory than there is{layer}{line}: make it smaller.")
        return UsageError(f"{self.name} fails on {what} of shape {shapes_of(inputs)}{layer}{line}: {reason(error)}.")

    # What came out ----------------------------------------------------------------------------------------------------

    def require_tensor(self, output: Any, wanted: str, shapes: Sequence[tuple[int, ...]], what: str) -> Tensor:
        """Require an output that is a float tensor with one of the shapes; `wanted` says what it should be."""
        if not isinstance(output, Tensor):
            raise UsageError(f"{self.name} gives a {type(output).__name__}; allowed: one tensor, {wanted}.")
        if tuple(output.shape) not in shapes:
            raise UsageError(
                f"{self.name} gives shape {tuple(output.shape)} for {what}; allowed: {wanted}."
                + (" squeeze() drops a batch of one too: use flatten(1)." if not output.ndim else "")
            )
        if not output.is_floating_point():
            raise UsageError(f"{self.name} gives {output.dtype}; allowed: floating-point numbers, {wanted}.")
        if not output.isfinite().all():
            raise UsageError(f"{self.name} gives NaN or infinite numbers for {what}: look at its initial weights.")
        return output

    def check_step(self, what: str, inputs: Sequence[Tensor], call: Apply | None = None) -> Any:
        """Apply it as a training step does, forwards and backwards, and check what it leaves behind."""
        before = {name: tensor.clone() for name, tensor in self.module.state_dict().items()}
        unsaved = {
            name: tensor.clone() for name, tensor in self.module.named_buffers() if name not in before
        }  # non-persistent
        given = [tensor.clone() for tensor in inputs]
        calm = flat(self.apply(what, *inputs, call=call, train=False))
        others = _other_generators()
        state = torch.get_rng_state()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(1)
            fresh = torch.get_rng_state()
            output = self._recording(what, inputs, call)
            self.draws = self.draws or self._drawn(fresh)
        torch.set_rng_state(state)
        for name, drawn in (("Python's random", 0), ("NumPy", 1)):
            if others[drawn] != _other_generators()[drawn]:
                raise UsageError(
                    f"{self.name} draws from {name} while it is applied: a run could not be repeated; use torch.rand "
                    "or nn.Dropout."
                )
        for tensor, was in zip(inputs, given, strict=True):
            if not torch.equal(tensor, was):
                raise UsageError(
                    f"{self.name} changes its input in place: leave inplace=True out of its first layers, and write "
                    "x = x * 2 in place of x *= 2."
                )
        for name, tensor in self.module.named_buffers():
            if name in unsaved and not torch.equal(tensor, unsaved[name]):
                raise UsageError(
                    f"{self.name} changes {name} in training and does not save it: leave persistent=False out of its "
                    "register_buffer."
                )
        self._check_gradients(flat(output))
        self._restore(before)
        again = flat(self.apply(what, *inputs, call=call, seed=1))
        self._restore(before)
        calm_again = flat(self.apply(what, *inputs, call=call, train=False))
        same = [_alike(a, b) for a, b in zip([*flat(output), *calm], [*again, *calm_again], strict=True)]
        if not all(same):
            raise UsageError(
                f"{self.name} gives other numbers for the same weights, input and seed: it keeps a state in Python or "
                "draws from a generator of its own; keep the state in a buffer (self.register_buffer) and draw as "
                "nn.Dropout does."
            )
        self._restore(before)
        return output

    def _recording(self, what: str, inputs: Sequence[Tensor], call: Apply | None) -> Any:
        """Apply it with seed 1 and restore the global generator's state."""
        self.module.train()
        with (
            self._following() as stack,
            contextlib.redirect_stdout(io.StringIO()),
            contained(lambda error: self._told(error, stack, what, inputs)),
        ):
            return (call or self.module)(*inputs)

    @staticmethod
    def _drawn(fresh: Tensor) -> bool:
        return not torch.equal(torch.get_rng_state(), fresh)

    def _check_gradients(self, outputs: Sequence[Tensor]) -> None:
        """Go backwards, and find which parameters get a gradient."""
        parameters = {name.removeprefix(OWN): each for name, each in self.module.named_parameters()}
        trained = {name: each for name, each in parameters.items() if each.requires_grad}
        if len(trained) < len(parameters):
            self.eager.append("some of its parameters are frozen")
        if not trained:
            raise UsageError(f"{self.name} has no parameters to train: all have requires_grad=False.")
        loss = sum((each.float() * torch.linspace(0.5, 1.5, each.numel()).view(each.shape)).sum() for each in outputs)
        assert isinstance(loss, Tensor)
        none = UsageError(
            f"none of the parameters of {self.name} gets a gradient: leave detach(), .data, .item() and no_grad() out."
        )
        if not loss.requires_grad:
            raise none
        self.module.zero_grad()
        with contained(lambda error: UsageError(f"the gradients of {self.name} fail: {reason(error)}.")):
            loss.backward()
        without = [name for name, each in trained.items() if each.grad is None]
        if len(without) == len(trained):
            raise none
        if without:
            some = ", ".join(without[:3]) + (f" and {len(without) - 3} more" if len(without) > 3 else "")
            self.notes.append(f"{self.name} has parameters that get no gradient and stay as they are: {some}.")
            self.eager.append("some of its parameters get no gradient")
        self.module.zero_grad()

    @torch.no_grad()
    def _restore(self, before: dict[str, Tensor]) -> None:
        for name, tensor in self.module.state_dict().items():
            tensor.copy_(before[name])

    def stands_channels_last(self, what: str, *inputs: Any, call: Apply | None = None) -> bool:
        """Whether it works with the channels of a pixel side by side. `view` may not."""
        layers = [part for part in self.module.modules() if isinstance(part, nn.Conv2d | nn.ConvTranspose2d)]
        if not layers or any(map(_breaks_channels_last, layers)):
            return False
        before = {name: tensor.clone() for name, tensor in self.module.state_dict().items()}
        self.module.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]  (missing in its stubs)
        try:
            outputs = flat(self.apply(what, *inputs, call=call))
            sum((each.sum() for each in outputs), torch.zeros(())).backward()
            return True
        except (UsageError, RuntimeError):
            return False
        finally:
            self.module.zero_grad()
            self.module.to(memory_format=torch.contiguous_format)  # pyright: ignore[reportCallIssue]
            self._restore(before)

    def stands_bf16(self, what: str, *inputs: Any, call: Apply | None = None) -> bool:
        """Whether it works in bfloat16."""
        before = {name: tensor.clone() for name, tensor in self.module.state_dict().items()}
        try:
            with torch.autocast("cpu", torch.bfloat16):
                outputs = flat(self.apply(what, *inputs, call=call))
            sum((each.float().sum() for each in outputs), torch.zeros(())).backward()
            return all(bool(each.isfinite().all()) for each in outputs)
        except (UsageError, RuntimeError):
            return False
        finally:
            self.module.zero_grad()
            self._restore(before)


def looks_like(small: Tensor, large: Tensor) -> str:
    """What two outputs (N, ...), of inputs and of much larger ones, look like: softmax, log-softmax, sigmoid or ''."""
    both = torch.cat([small, large]).double()
    if both.ndim == 2 and both.shape[1] > 1:
        ones = torch.ones(len(both), dtype=torch.float64)
        if both.min() >= 0 and torch.allclose(both.sum(dim=1), ones, atol=1e-4):
            return "softmax"
        if both.max() <= 0 and torch.allclose(both.exp().sum(dim=1), ones, atol=1e-4):
            return "log-softmax"
    within = both.min() >= 0 and both.max() <= 1
    return "sigmoid" if within and small.min() > 0 and small.max() < 1 else ""


def flat(output: Any) -> list[Tensor]:
    """All tensors in an output."""
    return [output] if isinstance(output, Tensor) else [each for each in output if isinstance(each, Tensor)]


def shapes_of(inputs: Sequence[Any]) -> str:
    """The shapes of tensors, "(2, 3, 8, 8)"."""
    tensors = (each for each in inputs if isinstance(each, Tensor))
    # In evaluation nn.TransformerEncoder nests the tensor of a padded batch, which then has no shape.
    return " and ".join("nested" if each.is_nested else str(tuple(each.shape)) for each in tensors) or "nothing"


def materialise(module: nn.Module, apply: Callable[[], Any]) -> None:
    """Give lazy layers their parameters by applying the network once. If it fails, the trial says why."""
    if any(isinstance(part, LazyModuleMixin) for part in module.modules()):
        mode = module.training
        with contextlib.suppress(Exception), torch.no_grad(), contextlib.redirect_stdout(io.StringIO()):
            module.eval()
            apply()
        module.train(mode)


def _alike(a: Tensor, b: Tensor) -> bool:
    return a.shape == b.shape and torch.allclose(a.detach(), b.detach(), rtol=1e-3, atol=1e-5, equal_nan=True)


def _other_generators() -> tuple[Any, Any]:
    name, keys, *rest = np.random.get_state()  # noqa: NPY002 (what a person's code may draw from)
    return random.getstate(), (name, np.asarray(keys).tobytes(), *rest)


def _breaks_channels_last(layer: nn.Module) -> bool:
    """Whether the gradient of a layer ends the process: on AVX2, oneDNN writes beyond its memory in that of a
    convolution with 1×1 kernels, a stride and fewer than 8 input channels, in channels-last (torch 2.13)."""
    return (
        isinstance(layer, nn.Conv2d)
        and layer.in_channels < 8
        and set(layer.kernel_size) == {1}
        and set(layer.stride) != {1}
    )

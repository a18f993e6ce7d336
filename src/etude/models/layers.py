"""A convolution and a max-pooling that take a processor less time than PyTorch's own do on small images and batches.

They are `nn.Conv2d` and `nn.MaxPool2d` until `use_own` has them computed by layers.cpp, which is compiled for the
machine at hand when it is first needed and kept in the user's cache.
"""

import hashlib
import subprocess
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from etude.data.places import cache_folder

SOURCE = Path(__file__).with_name("layers.cpp")


class Conv2d(nn.Conv2d):
    """`nn.Conv2d`: the same weights and, but for rounding, the same numbers."""

    own: bool = False

    def has_own(self) -> bool:
        """Whether layers.cpp computes such a convolution: without strides, padding, dilation or groups."""
        plain = self.stride == self.dilation == (1, 1) and self.padding == (0, 0) and self.groups == 1
        return plain and self.bias is not None

    def forward(self, input: Tensor) -> Tensor:
        """Maps images (N, C, H, W) to maps (N, maps, h, w)."""
        return _Convolution.apply(input, self.weight, self.bias) if self.own else super().forward(input)


class MaxPool2d(nn.MaxPool2d):
    """`nn.MaxPool2d`, the same numbers."""

    own: bool = False

    def has_own(self) -> bool:
        """Whether layers.cpp computes such a pooling: of 2×2 pixels, side by side."""
        sizes = (self.kernel_size, self.stride, self.padding, self.dilation)
        return sizes == (2, 2, 0, 1) and not self.ceil_mode and not self.return_indices

    def forward(self, input: Tensor) -> Tensor:
        """Maps images (N, C, H, W) to the largest of each 2×2 pixels (N, C, H // 2, W // 2)."""
        largest: Any = _Pooling.apply(input)[0] if self.own else super().forward(input)
        return largest


def use_own(network: nn.Module) -> None:
    """From now on these layers of the network are étude's own: for contiguous float32 tensors of a processor.

    Raises `OSError` where they cannot be compiled.
    """
    layers = [layer for layer in network.modules() if isinstance(layer, Conv2d | MaxPool2d) and layer.has_own()]
    if layers:
        load()
    for layer in layers:
        layer.own = True


class _Convolution(torch.autograd.Function):
    """Images (N, C, H, W), kernels (maps, C, kh, kw), bias (maps,) to maps (N, maps, H - kh + 1, W - kw + 1)."""

    @staticmethod
    def forward(images: Tensor, kernels: Tensor, bias: Tensor) -> Tensor:
        return torch.ops.etude.convolve(images.contiguous(), kernels.contiguous(), bias)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        images, kernels, _ = inputs
        ctx.save_for_backward(images, kernels)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        (images, kernels), gradient = ctx.saved_tensors, gradients[0].contiguous()
        for_images, for_kernels, for_bias = ctx.needs_input_grad
        return (
            torch.ops.etude.gradient_of_images(gradient, kernels.contiguous()) if for_images else None,
            torch.ops.etude.gradient_of_kernels(images.contiguous(), gradient) if for_kernels else None,
            gradient.sum(dim=(0, 2, 3)) if for_bias else None,
        )


class _Pooling(torch.autograd.Function):
    """Images (N, C, H, W) to the largest of each 2×2 pixels (N, C, H // 2, W // 2), and which it was, int32."""

    @staticmethod
    def forward(images: Tensor) -> tuple[Tensor, Tensor]:
        return torch.ops.etude.max_pool(images.contiguous())

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor], output: tuple[Tensor, Tensor]) -> None:
        ctx.size = inputs[0].shape[2:]
        ctx.mark_non_differentiable(output[1])
        ctx.save_for_backward(output[1])

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        (which,) = ctx.saved_tensors
        return torch.ops.etude.max_pool_gradient(gradients[0].contiguous(), which, *ctx.size)


@cache
def load() -> None:
    """Make the operations of layers.cpp known to PyTorch, with the shapes of what they return, for tracing.

    Raises `OSError` where they cannot be compiled.
    """
    torch.ops.load_library(_library())
    register = torch.library.register_fake

    @register("etude::convolve")
    def _(images: Tensor, kernels: Tensor, bias: Tensor) -> Tensor:
        (n, _, height, width), (maps, _, kh, kw) = images.shape, kernels.shape
        return images.new_empty(n, maps, height - kh + 1, width - kw + 1)

    @register("etude::gradient_of_images")
    def _(gradient: Tensor, kernels: Tensor) -> Tensor:
        (n, _, h, w), (_, channels, kh, kw) = gradient.shape, kernels.shape
        return gradient.new_empty(n, channels, h + kh - 1, w + kw - 1)

    @register("etude::gradient_of_kernels")
    def _(images: Tensor, gradient: Tensor) -> Tensor:
        (_, channels, height, width), (_, maps, h, w) = images.shape, gradient.shape
        return images.new_empty(maps, channels, height - h + 1, width - w + 1)

    @register("etude::max_pool")
    def _(images: Tensor) -> tuple[Tensor, Tensor]:
        n, channels, height, width = images.shape
        largest = images.new_empty(n, channels, height // 2, width // 2)
        return largest, torch.empty_like(largest, dtype=torch.int32)

    @register("etude::max_pool_gradient")
    def _(gradient: Tensor, which: Tensor, height: int, width: int) -> Tensor:
        return gradient.new_empty(*gradient.shape[:2], height, width)


def _library() -> str:
    """The path of layers.cpp compiled, in about seven seconds, for this machine and this PyTorch."""
    folder = Path(torch.__file__).parent
    # The stable interface of PyTorch 2.10, which later ones keep.
    flags = ["-std=c++20", "-O3", "-march=native", "-fPIC", "-shared", "-DTORCH_TARGET_VERSION=0x020a000000000000"]
    flags += [f"-I{folder}/include", f"-I{folder}/include/torch/csrc/api/include"]
    libraries = [f"-L{folder}/lib", "-ltorch", "-ltorch_cpu", "-lc10"]
    key = hashlib.sha256(f"{SOURCE.read_text()} {flags} {torch.__version__} {_processor()}".encode()).hexdigest()
    library = cache_folder() / f"layers-{key[:16]}.so"
    if not library.exists():
        library.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=library.parent) as place:
            words = ["g++", *flags, str(SOURCE), "-o", f"{place}/layers.so", *libraries]
            done = subprocess.run(words, capture_output=True, text=True)
            if done.returncode:
                raise OSError(f"g++ could not compile {SOURCE.name}: {(done.stderr.splitlines() or ['no reason'])[0]}")
            Path(place, "layers.so").replace(library)  # whole or not at all, whoever else compiles it meanwhile
    return str(library)


def _processor() -> str:
    """What g++ compiles for: a home folder may be shared by several machines."""
    words = ["g++", "-march=native", "-Q", "--help=target"]
    return subprocess.run(words, capture_output=True, text=True).stdout

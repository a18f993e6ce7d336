"""Operations in C++ for a processor, compiled for this machine when they are first needed.

`load` registers them as torch.ops.etude. The compiled library is kept in the user's cache.
"""

import hashlib
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path

import torch
from torch import Tensor

from etude.data.search_paths import cache_folder
from etude.errors import DiskError
from etude.files import checksum, locked, remove, remove_leftovers, temporary_path, write_atomically

FOLDER = Path(__file__).parent


@cache
def load() -> None:
    """Register the operations, and the shapes of their results, which tracing needs.

    Raises `OSError` if they cannot be compiled.
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

    @register("etude::max_pool_of_maps")
    def _(maps: Tensor) -> tuple[Tensor, Tensor]:
        n, height, width, channels = maps.shape
        largest = maps.new_empty(n, height // 2, width // 2, channels)
        return largest, torch.empty_like(largest, dtype=torch.uint8)

    @register("etude::max_pool_of_maps_gradient")
    def _(gradient: Tensor, which: Tensor, height: int, width: int) -> Tensor:
        return gradient.new_empty(len(gradient), height, width, gradient.shape[3])

    @register("etude::grey_to_maps")
    def _(images: Tensor, kernels: Tensor, bias: Tensor, h: int, w: int, *where: int) -> Tensor:
        dtype = torch.bfloat16 if where[-1] else torch.float32
        return images.new_empty(len(images), h, w, kernels.shape[2], dtype=dtype)

    @register("etude::maps_to_grey")
    def _(maps: Tensor, kernels: Tensor, height: int, width: int, *where: int) -> Tensor:
        return kernels.new_empty(len(maps), height, width)

    @register("etude::grey_kernels")
    def _(images: Tensor, maps: Tensor, kh: int, kw: int, *where: int) -> Tensor:
        return images.new_empty(kh, kw, maps.shape[3])


def _library() -> str:
    """The path of the library, compiled in about ten seconds for this machine and this PyTorch.

    Its name ends in a checksum of its content, because loading half a library ends the process.
    """
    sources = sorted(FOLDER.glob("*.cpp"))
    text = "".join(file.read_text() for file in sorted(FOLDER.glob("*.[ch]*")))
    folder = Path(torch.__file__).parent
    # The stable interface of PyTorch 2.10, which later versions keep.
    flags = ["-std=c++20", "-O3", "-march=native", "-fPIC", "-shared", "-DTORCH_TARGET_VERSION=0x020a000000000000"]
    flags += [f"-I{folder}/include", f"-I{folder}/include/torch/csrc/api/include"]
    libraries = [f"-L{folder}/lib", "-ltorch", "-ltorch_cpu", "-lc10"]
    key = hashlib.sha256(f"{text} {flags} {torch.__version__} {_processor()}".encode()).hexdigest()
    kept_in, stem = cache_folder(), f"native-{key[:16]}"
    remove_leftovers(kept_in)
    with _as_os_error(), locked(kept_in / ".native.lock"):  # whoever comes second waits, then finds it
        if whole := _whole(kept_in, stem):
            return str(whole)
        temporary = temporary_path(kept_in / stem)
        temporary.mkdir()
        try:
            compiled = temporary / "native.so"
            words = ["g++", *flags, *map(str, sources), "-o", str(compiled), *libraries]
            done = subprocess.run(words, capture_output=True, text=True)
            if done.returncode:
                raise OSError(
                    f"g++: {next((line for line in done.stderr.splitlines() if 'error' in line), 'no reason')}"
                )
            content = compiled.read_bytes()
            library = kept_in / f"{stem}-{checksum(content)}.so"
            write_atomically(library, content)
            return str(library)
        finally:
            remove(temporary)


def _whole(folder: Path, stem: str) -> Path | None:
    """The library in the cache, if it is there and its content is as it was written. A damaged one is removed."""
    for library in sorted(folder.glob(f"{stem}-*.so")):
        with suppress(OSError):
            if library.stem.removeprefix(f"{stem}-") == checksum(library.read_bytes()):
                return library
        remove(library)
    return None


@contextmanager
def _as_os_error() -> Iterator[None]:
    """The error for a library that cannot be kept: without it, nothing can be loaded, as if it could not be
    compiled."""
    try:
        yield
    except DiskError as error:
        raise OSError(str(error)) from error


def _processor() -> str:
    """What g++ compiles for. It is part of the name, because several machines may share a home folder."""
    words = ["g++", "-march=native", "-Q", "--help=target"]
    return subprocess.run(words, capture_output=True, text=True).stdout

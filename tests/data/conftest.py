"""What the data tests share: writers of the formats that are independent of étude's readers, and a local mirror."""

import gzip
import struct
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest


def _idx_bytes(array: np.ndarray) -> bytes:
    return bytes((0, 0, 8, array.ndim)) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


def _python2_pickle(value: object) -> bytes:
    """What Python 2.7's cPickle wrote, protocol 2, without the memo."""

    def text(value: bytes) -> bytes:
        return (b"U" + bytes([len(value)]) if len(value) < 256 else b"T" + struct.pack("<i", len(value))) + value

    def number(value: int) -> bytes:
        if 0 <= value < 256:
            return b"K" + bytes([value])
        return b"M" + struct.pack("<H", value) if 0 <= value < 65_536 else b"J" + struct.pack("<i", value)

    def write(value: object) -> bytes:
        if isinstance(value, bytes):
            return text(value)
        if isinstance(value, int):
            return number(value)
        if isinstance(value, list):
            return b"](" + b"".join(map(write, value)) + b"e"
        if isinstance(value, dict):
            return b"}(" + b"".join(write(key) + write(item) for key, item in value.items()) + b"u"
        assert isinstance(value, np.ndarray), value
        array = b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R"
        dtype = b"cnumpy\ndtype\nU\x02u1K\x00K\x01\x87R(K\x03U\x01|NNN" + number(-1) * 2 + b"K\x00tb"
        shape = b"(" + b"".join(map(number, value.shape)) + b"t"
        return array + b"(K\x01" + shape + dtype + b"\x89" + text(value.tobytes()) + b"tb"

    return b"\x80\x02" + write(value) + b"."


def _cifar_batch(num_images: int, seed: int) -> tuple[bytes, np.ndarray, list[int]]:
    """A batch as pickled bytes, with its pixels (N, 3072) and labels."""
    rng = np.random.default_rng(seed)
    pixels = rng.integers(0, 256, (num_images, 3_072), dtype=np.uint8)
    labels = rng.integers(0, 10, num_images).tolist()
    content = {
        b"batch_label": b"training batch 1 of 5",
        b"labels": labels,
        b"data": pixels,
        b"filenames": [b"x.png"] * num_images,
    }
    return _python2_pickle(content), pixels, labels


def _write_idx_set(
    folder: Path, *, num_train: int = 50, num_test: int = 20, zipped: bool = False, seed: int = 0
) -> None:
    rng = np.random.default_rng(seed)
    folder.mkdir(parents=True, exist_ok=True)
    for prefix, count in (("train", num_train), ("t10k", num_test)):
        images = rng.integers(0, 256, (count, 28, 28), dtype=np.uint8)
        labels = rng.integers(0, 10, count, dtype=np.uint8)
        for name, array in ((f"{prefix}-images-idx3-ubyte", images), (f"{prefix}-labels-idx1-ubyte", labels)):
            content = _idx_bytes(array)
            path = folder / (f"{name}.gz" if zipped else name)
            path.write_bytes(gzip.compress(content, mtime=0) if zipped else content)


# Test modules cannot import this file (importmode importlib): the writers come as fixtures.
@pytest.fixture(scope="session")
def idx_bytes() -> Callable[[np.ndarray], bytes]:
    return _idx_bytes


@pytest.fixture(scope="session")
def python2_pickle() -> Callable[[object], bytes]:
    return _python2_pickle


@pytest.fixture(scope="session")
def cifar_batch() -> Callable[[int, int], tuple[bytes, np.ndarray, list[int]]]:
    return _cifar_batch


@pytest.fixture(scope="session")
def write_idx_set() -> Callable[..., None]:
    return _write_idx_set


@dataclass
class Mirror:
    """A web server on this machine, and what it was asked for."""

    url: str
    files: dict[str, bytes] = field(default_factory=dict)
    """Path to content."""
    cut_after: dict[str, list[int]] = field(default_factory=dict)
    """Path to the numbers of bytes after which its next answers break off, one each."""
    hold_after: dict[str, int] = field(default_factory=dict)
    """Path to the number of bytes after which its answer pauses until `released`."""
    released: threading.Event = field(default_factory=threading.Event)
    knows_ranges: bool = True
    requests: list[tuple[str, str | None]] = field(default_factory=list)
    """(path, Range header) of every request so far."""


def _handler(mirror: Mirror) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            wanted = self.headers.get("Range") if mirror.knows_ranges else None
            mirror.requests.append((self.path, self.headers.get("Range")))
            content = mirror.files.get(self.path)
            if content is None:
                self.send_error(404)
                return
            start = int(wanted.removeprefix("bytes=").removesuffix("-")) if wanted else 0
            if start >= len(content) > 0:
                self.send_error(416)
                return
            self.send_response(206 if wanted else 200)
            if wanted:
                self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
            self.send_header("Content-Length", str(len(content) - start))
            self.end_headers()
            body = content[start:]
            if cuts := mirror.cut_after.get(self.path):
                body = body[: cuts.pop(0)]
            pause = mirror.hold_after.get(self.path, len(body))
            self.wfile.write(body[:pause])
            self.wfile.flush()
            if pause < len(body):
                mirror.released.wait(20)
                self.wfile.write(body[pause:])

        def log_message(self, format: str, *args: object) -> None:
            pass

    return Handler


@pytest.fixture
def start_mirror(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], Mirror]]:
    """Starts a `Mirror`; all end with the test."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    servers: list[ThreadingHTTPServer] = []

    def start() -> Mirror:
        mirror = Mirror(url="")
        server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(mirror))
        server.handle_error = lambda request, client_address: None  # a client that was killed
        mirror.url = f"http://127.0.0.1:{server.server_port}/"
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        servers.append(server)
        return mirror

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture
def mirror(start_mirror: Callable[[], Mirror]) -> Mirror:
    return start_mirror()


@pytest.fixture(autouse=True)
def no_data_here(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Hide the data of this machine; the user's cache is an empty folder, which is returned."""
    cache = tmp_path_factory.mktemp("cache")
    monkeypatch.delenv("ETUDE_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache))
    monkeypatch.setattr("etude.data.search_paths.SYSTEM_FOLDER", Path("/nowhere/datasets"))
    return cache / "etude"

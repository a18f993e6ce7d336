"""What the studio sends: JSON, and arrays as they lie in memory."""

import json
import struct
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from etude.files import finite

TYPES = {"uint8": "u1", "int32": "i4", "uint32": "u4", "float32": "f4"}
"""Numbers that a browser's typed arrays hold too."""


@final
class Arrays:
    """Arrays by name, and a few plain values. As bytes: the length of a JSON header, the header, the arrays.

    The header has the name, type and shape of each array. Every part begins at a multiple of four bytes, as typed
    arrays need it. Numbers are little-endian.
    """

    def __init__(self, about: dict[str, Any] | None = None, **arrays: NDArray[Any]) -> None:
        self.about, self.arrays = about or {}, arrays

    def to_bytes(self) -> bytes:
        """See the class."""
        parts = []
        described = []
        for name, array in self.arrays.items():
            kind = "float32" if array.dtype.kind == "f" else array.dtype.name
            parts.append(_padded(np.ascontiguousarray(array, dtype=f"<{TYPES[kind]}").tobytes(), b"\0"))
            described.append({"name": name, "type": kind, "shape": list(array.shape)})
        header = _padded(json_bytes({"about": self.about, "arrays": described}), b" ")
        return b"".join([struct.pack("<I", len(header)), header, *parts])


def json_bytes(value: Any) -> bytes:
    """JSON without NaN or infinity, which become null."""
    return json.dumps(finite(value), allow_nan=False).encode()


def _padded(content: bytes, filling: bytes) -> bytes:
    return content + filling * (-len(content) % 4)

"""A reader of the one kind of pickle in which CIFAR-10 is distributed. It cannot run code.

Python's own unpickler calls whatever a file names. Even with restricted names, a few bytes can make it allocate
gigabytes (a far memo index) or run for ever (a hash of nested tuples). This one knows the opcodes that Python 2.7 wrote
for dictionaries, lists, byte strings, whole numbers and arrays of unsigned bytes, and nothing else. All it builds are
slices of the file.
"""

import struct
from collections.abc import Callable
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from etude.errors import DataError

_MARK, _STOP = object(), object()
_ARRAY_NAMES = ("numpy.core.multiarray _reconstruct", "numpy._core.multiarray _reconstruct")
_NAMES = (*_ARRAY_NAMES, "numpy ndarray", "numpy dtype")


class _Name(str):
    """A name that the file refers to: `module attribute`."""


class _Unbuilt:
    """What the file calls a name with: an array or its element type, before its state is known."""

    def __init__(self, name: _Name, arguments: tuple) -> None:
        self.name, self.arguments = name, arguments


class _Malformed(Exception):
    """The file is not a pickle, or not of this kind."""


def unpickle(data: bytes, source: Path | str) -> Any:
    """The dictionary, list, bytes, int, None, bool or uint8 array in `data`; `source` names the file in errors.

    Raises `DataError` for any other content. Memory and time are proportional to `len(data)`.
    """
    try:
        return _Machine(data).run()
    except _Malformed as error:
        reason = str(error)
    except (IndexError, struct.error):
        reason = "it is cut off or damaged"
    raise DataError(f"{source}: not a batch of CIFAR-10 ({reason}); get a fresh copy.")


class _Machine:
    """The pickle machine: a stack, a memo, and one small method per opcode."""

    def __init__(self, data: bytes) -> None:
        self.data, self.position = data, 0
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}

    def run(self) -> Any:
        while True:
            opcode = self.data[self.position]
            self.position += 1
            step = _STEPS.get(opcode)
            if step is None:
                raise _Malformed(f"opcode {opcode:#04x} at byte {self.position - 1} is not allowed")
            if step(self) is _STOP:
                result = self.pop()
                if self.stack or self.position != len(self.data):
                    raise _Malformed("bytes follow its end")
                return result

    def take(self, count: int) -> bytes:
        end = self.position + count
        if count < 0 or end > len(self.data):
            raise _Malformed("it is cut off or damaged")
        part = self.data[self.position : end]
        self.position = end
        return part

    def number(self, code: str) -> int:
        return struct.unpack(code, self.take(struct.calcsize(code)))[0]

    def line(self) -> str:
        end = self.data.find(b"\n", self.position, self.position + 100)
        if end < 0:
            raise _Malformed("a name in it has no end")
        text = self.take(end - self.position)
        self.position += 1
        return text.decode("latin-1")

    def pop(self) -> Any:
        value = self.stack.pop()
        if value is _MARK:
            raise _Malformed("it is damaged")
        return value

    def pop_to_mark(self) -> list[Any]:
        for index in range(len(self.stack) - 1, -1, -1):
            if self.stack[index] is _MARK:
                values = self.stack[index + 1 :]
                del self.stack[index:]
                return values
        raise _Malformed("it is damaged")

    def top(self, kind: type) -> Any:
        value = self.stack[-1]
        if type(value) is not kind:
            raise _Malformed("it is damaged")
        return value


def _push(read: Callable[[_Machine], Any]) -> Callable[[_Machine], None]:
    return lambda machine: machine.stack.append(read(machine))


def _protocol(machine: _Machine) -> None:
    if machine.number("<B") > 2:
        raise _Malformed("its pickle protocol is newer than 2")


def _name(machine: _Machine) -> _Name:
    name = _Name(f"{machine.line()} {machine.line()}")
    if name not in _NAMES:
        raise _Malformed(f"it refers to {'.'.join(name.split())!r}, which is not allowed")
    return name


def _remember(code: str) -> Callable[[_Machine], None]:
    def step(machine: _Machine) -> None:
        machine.memo[machine.number(code)] = machine.stack[-1]

    return step


def _recall(code: str) -> Callable[[_Machine], Any]:
    def read(machine: _Machine) -> Any:
        index = machine.number(code)
        if index not in machine.memo or machine.memo[index] is _MARK:
            raise _Malformed("it is damaged")
        return machine.memo[index]

    return read


def _append(machine: _Machine) -> None:
    value = machine.pop()
    machine.top(list).append(value)


def _appends(machine: _Machine) -> None:
    values = machine.pop_to_mark()
    machine.top(list).extend(values)


def _set_item(machine: _Machine) -> None:
    value, key = machine.pop(), machine.pop()
    _store(machine.top(dict), [key, value])


def _set_items(machine: _Machine) -> None:
    values = machine.pop_to_mark()
    _store(machine.top(dict), values)


def _store(target: dict, keys_and_values: list) -> None:
    keys, values = keys_and_values[::2], keys_and_values[1::2]
    # Long keys would make each comparison slow, and so the whole file.
    if len(keys) != len(values) or any(type(key) is not bytes or len(key) > 100 for key in keys):
        raise _Malformed("it is damaged")
    target.update(zip(keys, values, strict=True))


def _tuple_of(count: int) -> Callable[[_Machine], tuple]:
    return lambda machine: tuple([machine.pop() for _ in range(count)][::-1])


def _call(machine: _Machine) -> _Unbuilt:
    arguments, name = machine.pop(), machine.pop()
    if type(name) is not _Name or type(arguments) is not tuple or name == "numpy ndarray":
        raise _Malformed("it calls what is not allowed")
    return _Unbuilt(name, arguments)


def _build(machine: _Machine) -> None:
    """Give an array its content. The state of an element type says only its byte order, which a single byte does not
    have."""
    state, target = machine.pop(), machine.pop()
    if type(target) is not _Unbuilt or type(state) is not tuple:
        raise _Malformed("it is damaged")
    machine.stack.append(_array(state) if target.name in _ARRAY_NAMES else target)


def _array(state: tuple) -> np.ndarray:
    if len(state) != 5:
        raise _Malformed("an array in it is damaged")
    _, shape, dtype, by_columns, values = state
    if type(dtype) is not _Unbuilt or dtype.name != "numpy dtype" or dtype.arguments[:1] != (b"u1",):
        raise _Malformed("an array in it is not of unsigned bytes")
    whole = type(shape) is tuple and len(shape) <= 4 and all(type(size) is int and size >= 0 for size in shape)
    if not whole or type(values) is not bytes or by_columns is not False or prod(shape) != len(values):
        raise _Malformed("an array in it is damaged")
    return np.frombuffer(values, dtype=np.uint8).reshape(shape)


_STEPS: dict[int, Callable[[_Machine], Any]] = {
    ord(opcode): step
    for opcode, step in {
        "\x80": _protocol,
        ".": lambda _: _STOP,
        "(": lambda machine: machine.stack.append(_MARK),
        "}": _push(lambda _: {}),
        "]": _push(lambda _: []),
        "N": _push(lambda _: None),
        "\x88": _push(lambda _: True),
        "\x89": _push(lambda _: False),
        "U": _push(lambda machine: machine.take(machine.number("<B"))),
        "T": _push(lambda machine: machine.take(machine.number("<i"))),
        "K": _push(lambda machine: machine.number("<B")),
        "M": _push(lambda machine: machine.number("<H")),
        "J": _push(lambda machine: machine.number("<i")),
        ")": _push(_tuple_of(0)),
        "\x85": _push(_tuple_of(1)),
        "\x86": _push(_tuple_of(2)),
        "\x87": _push(_tuple_of(3)),
        "t": _push(lambda machine: tuple(machine.pop_to_mark())),
        "q": _remember("<B"),
        "r": _remember("<I"),
        "h": _push(_recall("<B")),
        "j": _push(_recall("<I")),
        "a": _append,
        "e": _appends,
        "s": _set_item,
        "u": _set_items,
        "c": _push(_name),
        "R": _push(_call),
        "b": _build,
    }.items()
}

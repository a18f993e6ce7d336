"""Layers of which one takes what the other gives, and what else has to do with them."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import nn

from etude.inspection.trace.record import Call, Trace, Value, is_library


@dataclass(frozen=True)
class Pair:
    """Two library layers, the second of which takes what the first gives."""

    first: Call
    second: Call
    shared: str
    """Who else uses what lies between them; empty when nobody does."""
    why_not: str
    """Why they do not fold otherwise; empty when they may."""

    @property
    def paths(self) -> tuple[str, str]:
        return self.first.path, self.second.path


class Seen:
    """What a trace tells about the layers of a network: who follows whom, who reads what."""

    def __init__(self, module: nn.Module, record: Trace) -> None:
        self.record = record
        self.leaves = [call for call in record.calls if is_library(call.module) and call.children == 0]
        self.times: dict[int, int] = {}
        for call in record.calls:
            self.times[id(call.module)] = self.times.get(id(call.module), 0) + 1
        self.users: dict[Value, set[Call]] = {}
        for operation in record.operations:
            for value in operation.inputs:
                self.users.setdefault(value, set()).add(operation.call)
        self.holders: dict[int, set[int]] = {}  # parameter -> the modules that hold it
        for part in module.modules():
            for tensor in part._parameters.values():
                self.holders.setdefault(id(tensor), set()).add(id(part))
        self.module = module

    def pairs(self) -> Iterator[Pair]:
        """Of leaves that are called once, in the order of the calls."""
        once = [call for call in self.leaves if call.registered and call.path and self.times[id(call.module)] == 1]
        takes: dict[Value, list[Call]] = {}
        for call in once:
            if call.inputs:
                takes.setdefault(call.inputs[0], []).append(call)
        for first in once:
            value = first.outputs[0] if first.outputs else Value((), torch.float32, "nothing")
            for second in takes.get(value, []):
                if second is not first and value not in first.inputs:
                    others = self.users.get(value, set()) - {second} or value in self.record.outputs
                    shared = f"something else uses what {first.path} gives" if others else ""
                    yield Pair(first, second, shared, self._why_not(first, second, value))

    def _why_not(self, first: Call, second: Call, value: Value) -> str:
        for call in self.record.calls:
            if _hooks(call.module) and (call in (first, second) or value in (*call.inputs, *call.outputs)):
                return f"a hook of {call.path or 'the network'} looks at what is between"
        return self._foreign(first) or self._foreign(second)

    def _foreign(self, call: Call) -> str:
        """Whether anything but this one call has to do with the layer's weights."""
        if hasattr(call.module, "parametrizations"):
            return f"the weights of {call.path} are parametrized"
        own = self.module.get_submodule(call.path)
        if any(len(self.holders[id(tensor)]) > 1 for tensor in own._parameters.values() if tensor is not None):
            return f"another layer shares the weights of {call.path}"
        names = {value.name for value in self.users if value.kind in ("parameter", "buffer")
                 and value.name.rpartition(".")[0] == call.path and self.users[value] - {call}}  # fmt: skip
        return f"{sorted(names)[0]} is read elsewhere" if names else ""


def _hooks(module: nn.Module) -> bool:
    kinds = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
    return any(getattr(module, kind, None) for kind in kinds)

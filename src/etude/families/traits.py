"""What makes networks fast."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Traits:
    """What makes a network fast, measured on it (docs/performance.md); none of it changes what is learned."""

    channels_last: bool = False
    """Whether its convolutions gain when the channels of a pixel lie side by side."""
    bf16: bool = False
    """Whether it gains by bf16 on a processor that is fast at it."""
    bf16_to_sample: bool = False
    """Whether it also draws new examples in bf16, where it was trained in it: each takes many passes."""
    bf16_on_a_gpu: bool = False
    """Whether a GPU computes it in bf16 unless asked otherwise: most of its work is in large convolutions."""
    steps_that_pay_for_compiling: int | None = None
    """Steps that, compiled, save by the second run what compiling costs in both; None where compiling is slower."""
    own_layers: bool = False
    """Whether étude's own kernels compute some of its layers in compiled steps on a processor."""
    slower_compiled_without_own_layers: bool = False
    """Whether it gains by compiling only where those are taken: Inductor pools one number at a time."""
    largest_batch_for_one_thread: int = 0
    """Images in steps so small that further threads gain less than they cost in waiting for each other."""
    eager: str = ""
    """Why its steps are computed operation by operation, and never as one function of tensors; empty where they may."""

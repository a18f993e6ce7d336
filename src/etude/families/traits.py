"""What makes networks fast."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Traits:
    """What makes a network fast, measured (docs/performance.md). None of it changes what is learned."""

    channels_last: bool = False
    """Whether its convolutions are faster if the channels of a pixel lie side by side."""
    bf16: bool = False
    """Whether it is faster in bf16 on a processor that is fast at it."""
    bf16_to_sample: bool = False
    """Whether it also draws new examples in bf16 if it was trained in it: each takes many passes."""
    bf16_on_a_gpu: bool = False
    """Whether a GPU computes it in bf16 by default: most of its work is in large convolutions."""
    steps_that_pay_for_compiling: int | None = None
    """The number of steps after which compiling has paid off, counting the second run; None if compiling is slower."""
    own_layers: bool = False
    """Whether étude's own kernels compute some of its layers in compiled steps on a processor."""
    slower_compiled_without_own_layers: bool = False
    """Whether compiling pays off only with those kernels: Inductor pools one number at a time."""
    largest_batch_for_one_thread: int = 0
    """Images per step below which more threads cost more in waiting than they gain."""
    eager: str = ""
    """Why its steps must be computed operation by operation, never as one function of tensors. Empty if they need not.
    """

"""Seconds and peak memory of the set metrics: `python benchmarks/metrics_speed.py [num_samples] [num_features]`.

Two sets of 10,000 × 84 rectified random features unless told otherwise. Set OMP_NUM_THREADS to choose the cores.
"""

import resource
import sys
import time
from collections.abc import Callable

import numpy as np

from etude.metrics import authenticity, extrapolated_frechet_distance, frechet_distance, kernel_distance, prdc


def peak_gb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def main() -> None:
    defaults = [10_000, 84]
    num_samples, num_features = [*map(int, sys.argv[1:]), *defaults[len(sys.argv) - 1 :]]
    random = np.random.default_rng(0)
    real = random.normal(size=(num_samples, num_features)).clip(min=0)
    generated = (1.05 * random.normal(size=(num_samples, num_features))).clip(min=0)
    print(f"{num_samples:,} against {num_samples:,} × {num_features}; start {peak_gb():.2f} GB")
    measures: list[Callable[..., object]] = [
        frechet_distance,
        extrapolated_frechet_distance,
        kernel_distance,
        prdc,
        authenticity,
    ]
    for measure in measures:
        wall, processor = time.perf_counter(), time.process_time()
        measure(real, generated)
        wall, processor = time.perf_counter() - wall, time.process_time() - processor
        print(f"{measure.__name__:30s} {wall:7.2f} s wall {processor:7.2f} s processor, peak {peak_gb():.2f} GB")


if __name__ == "__main__":
    main()

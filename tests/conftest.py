"""One thread per process: test workers side by side would otherwise fight over the cores."""

import os

os.environ["OMP_NUM_THREADS"] = "1"

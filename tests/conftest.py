"""One thread per process, for test workers side by side would fight over the cores; and no deadlines."""

import os

from hypothesis import settings

os.environ["OMP_NUM_THREADS"] = "1"
settings.register_profile("etude", deadline=None)
settings.load_profile("etude")

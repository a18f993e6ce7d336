"""One thread per process, since test workers side by side would fight over the cores; no deadlines on a busy machine."""

import os

from hypothesis import settings

os.environ["OMP_NUM_THREADS"] = "1"
settings.register_profile("etude", deadline=None)
settings.load_profile("etude")

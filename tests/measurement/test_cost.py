"""Time and memory of a full measurement: 10,000 generated images against 10,000 real ones, in a process of its own."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from etude import recipes
from etude.data import load
from etude.errors import DataError
from etude.runs import Run, create_run
from etude.training import Display, train

MEASURE = """
import json, sys, time
from pathlib import Path
from etude.measurement import measure, reference_classifier
from etude.runs import Run

run, reference_classifier.cache_folder = Run(Path(sys.argv[1])), lambda: Path(sys.argv[2])
reference_classifier.IMAGES_SEEN = 6_000  # the half minute that its training takes once is not counted
measure(run, metrics=("precision",), num_samples=100)
start = time.process_time()
results = measure(run)
peak = next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(json.dumps({"seconds": time.process_time() - start, "kilobytes": int(peak), "results": results.to_dict()}))
"""


@pytest.fixture
def dcgan(tmp_path: Path) -> Run:
    """A dcgan trained for a step, in a run that says it was trained on 50,000 images of MNIST."""
    try:
        load("mnist", download=False)
    except DataError:
        pytest.skip("needs MNIST: set ETUDE_DATA")
    quiet = Display(quiet=True)
    short = train("dcgan", data="mnist", train_images=64, batch_size=64, epochs=1, runs_dir=tmp_path / "short",
                  threads=1, display=quiet)  # fmt: skip
    configuration = {key: short.configuration[key] for key in ("dataset", "execution", "versions")}
    run = create_run(recipes.get("dcgan"), name="dcgan", runs_dir=tmp_path / "runs", configuration=configuration)
    weights = short.checkpoint_path()
    target = run.path / "checkpoints" / weights.name
    shutil.copytree(weights, target)
    return run


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="peak memory is read as Linux gives it")
def test_a_minute_and_a_quarter_and_a_gigabyte_and_a_half_are_enough(dcgan: Run, tmp_path: Path) -> None:
    words = [sys.executable, "-c", MEASURE, str(dcgan.path), str(tmp_path / "cache")]
    one_thread = {**os.environ, "OMP_NUM_THREADS": "1"}  # the second core can only make it quicker
    found = json.loads(subprocess.run(words, check=True, capture_output=True, text=True, env=one_thread).stdout)
    assert found["results"]["about"]["num_samples"] == 10_000
    assert {"fid", "kid", "precision", "coverage", "authenticity", "copy_rate"} <= set(found["results"])
    assert found["results"]["authenticity"]["num_training"] == 50_000
    assert found["seconds"] < 76  # of one thread's processor time, which a busy machine does not stretch much
    assert found["kilobytes"] < 1.5e6

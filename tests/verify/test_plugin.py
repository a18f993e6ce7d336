"""The pytest plug-in, on the sample course and on folders with mistakes."""

import os
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from etude.errors import UsageError
from etude.verify.plugin import pytest_collect_file

COURSE = Path(__file__).parents[2] / "examples" / "course"


def run_pytest(folder: Path, *arguments: str) -> tuple[int, str]:
    command = [sys.executable, "-m", "pytest", "-p", "etude.verify.plugin", "-p", "no:cacheprovider", "-q"]
    with TemporaryDirectory() as place:
        (settings := Path(place) / "pytest.ini").touch()  # not the repository's
        ended = subprocess.run(
            [*command, "-c", str(settings), f"--rootdir={folder}", *arguments, str(folder)],
            capture_output=True,
            text=True,
            env={**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTHONPATH": os.pathsep.join(sys.path)},
            cwd=folder,
        )
    return ended.returncode, ended.stdout + ended.stderr


def test_the_sample_course():
    code, output = run_pytest(COURSE)
    assert code == 1
    for line in (
        "wrong     sample_noise: uniform in [0, 1]",
        "wrong     ls_generator_loss: ½ forgotten",
        "wrong     softmax: overflows on large logits",
        "3 failed, 4 passed",
    ):
        assert line in output
    assert "Traceback" not in output


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("contract =", "verify.toml is not TOML: Invalid value (at end of document)."),
        (
            'contract = "gan"\npoints = 3',
            "verify.toml needs `contract` and `file`, texts; it may have `checks`, a list, and `hidden_seed`, "
            "a whole number; got points.",
        ),
        ('contract = "gans"\nfile = "x.py"', "unknown contract 'gans': did you mean 'gan'?"),
        ('contract = "gradients"\nfile = "x.py"\nchecks = ["g"]', "no check 'g'; choose from numerical_grad."),
    ],
)
def test_settings_with_mistakes(text: str, message: str, tmp_path: Path, request: pytest.FixtureRequest):
    (tmp_path / "verify.toml").write_text(text)
    exercise = pytest_collect_file(tmp_path / "verify.toml", request.session)
    assert exercise is not None
    with pytest.raises(pytest.Collector.CollectError) as error:
        list(exercise.collect())
    assert message in str(error.value)


def test_a_missing_file_fails_on_one_line(tmp_path: Path, request: pytest.FixtureRequest):
    (tmp_path / "verify.toml").write_text('contract = "gradients"\nfile = "x.py"')
    exercise = pytest_collect_file(tmp_path / "verify.toml", request.session)
    assert exercise is not None
    (item,) = exercise.collect()
    with pytest.raises(UsageError) as error:
        item.runtest()
    assert item.repr_failure(error) == (
        f"{tmp_path}/x.py: no such file; give a module (.py), a notebook (.ipynb) or an adapter (.toml)."
    )


def test_other_files_are_left_alone(request: pytest.FixtureRequest, tmp_path: Path):
    assert pytest_collect_file(tmp_path / "pyproject.toml", request.session) is None


def test_the_plugin_does_not_import_pytorch():
    code = "import sys, etude.verify.plugin; sys.exit('torch' in sys.modules or 'hypothesis' in sys.modules)"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    assert subprocess.run([sys.executable, "-c", code], env=environment).returncode == 0

"""`etude verify` as a person uses it."""

import json
from pathlib import Path

import pytest

from etude.cli import main
from etude.verify import CheckResult, Report, sandbox


@pytest.fixture(autouse=True)
def _without_words_of_progress(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sandbox, "SAY_SECONDS", 1000.0)  # a busy machine takes its time


RIGHT = """
def numerical_grad(loss_fn, param, eps):
    grad, w = param.detach().clone(), param.data.view(-1)
    for i in range(len(w)):
        w[i] += eps
        above = loss_fn()
        w[i] -= 2 * eps
        grad.view(-1)[i] = (above - loss_fn()) / (2 * eps)
        w[i] += eps
    return grad
"""


def test_a_right_file_ends_with_code_0(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    (tmp_path / "mine.py").write_text("print('hello')\n" + RIGHT)
    assert main(["verify", "gradients", str(tmp_path / "mine.py"), "--json"]) == 0
    captured = capsys.readouterr()
    assert json.loads(captured.out) == {
        "contract": "gradients",
        "passed": True,
        "checks": [
            {
                "name": "numerical_grad",
                "status": "pass",
                "mistake": None,
                "message": "",
                "counterexample": None,
                "points": 1,
            }
        ],
        "score": 1.0,
    }
    assert captured.err == ""


def test_a_wrong_notebook_ends_with_code_1(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    cells = ["%pip install torch", "data = load()", RIGHT.replace("(2 * eps)", "eps"), "train()"]
    notebook = {"cells": [{"cell_type": "code", "source": cell.splitlines(True)} for cell in cells]}
    (tmp_path / "mine.ipynb").write_text(json.dumps(notebook))
    with pytest.raises(SystemExit) as stop:
        main(["verify", "gradients", str(tmp_path / "mine.ipynb")])
    assert stop.value.code == 1
    captured = capsys.readouterr()
    assert captured.out.splitlines()[0] == "wrong     numerical_grad: 2 forgotten in the divisor"
    assert captured.out.splitlines()[1] == (
        "          your output equals this mistake on every input tried (3); "
        "yours: (L(w + ε) − L(w − ε)) / ε, right: (L(w + ε) − L(w − ε)) / 2ε."
    )
    assert captured.out.splitlines()[-1] == "gradients: 0 of 1 checks pass, score 0.00"
    assert captured.err == "note: cell 2, line 1 skipped: NameError: name 'load' is not defined\n"


def test_a_report_shows_every_status_and_scores_points():
    report = Report(
        "gan",
        (
            CheckResult(name="a", status="pass", points=2),
            CheckResult(name="b", status="missing", message="nothing is called b; define it."),
            CheckResult(name="c", status="undecided", message="could not judge: x"),
            CheckResult(name="d", status="wrong", mistake="sign", message="m.", counterexample="x = 0: 1, right 0"),
        ),
        points_possible=6,
    )
    assert report.score == 0.3333
    assert not report
    assert str(report).splitlines() == [
        "pass      a",
        "missing   b",
        "          nothing is called b; define it.",
        "undecided c",
        "          could not judge: x",
        "wrong     d: sign",
        "          m.",
        "          e.g. x = 0: 1, right 0",
        "gan: 1 of 4 checks pass, score 0.33",
    ]
    assert repr(report) == str(report)
    assert '<td style="text-align: left">sign; m.</td>' in report._repr_html_()


def test_the_list_names_contracts_and_calls(capsys: pytest.CaptureFixture[str]):
    assert main(["verify", "--list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "gan: noise, networks, losses, optimizer and training step of the two MNIST GANs"
    assert (
        "  kl_loss                         kl_loss(mean_z, logvar_z) → one number: summed over latents, "
        in "\n".join(lines)
    )
    assert main(["verify", "gradients", "--list"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "gradients: the numerical gradient",
        "  numerical_grad                  numerical_grad(loss_fn, param, eps) → gradient of the shape of param; "
        "loss_fn() uses param",
    ]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "give a contract and a file: `etude verify gan my_gan.py`; `etude verify --list` lists them."),
        (["gan"], "give a contract and a file: `etude verify gan my_gan.py`; `etude verify --list` lists them."),
        (
            ["gradient", "x.py"],
            "unknown contract 'gradient': did you mean 'gradients'? Choose from classifier, cvae, gan, gradients, "
            "layers, optimizers, sequences, vae; `etude verify --list` describes them.",
        ),
        (
            ["gradients", "x.py"],
            "x.py: no such file; give a module (.py), a notebook (.ipynb) or an adapter (.toml).",
        ),
    ],
)
def test_mistakes_of_the_caller(words: list[str], message: str, capsys: pytest.CaptureFixture[str]):
    assert main(["verify", *words]) == 2
    assert capsys.readouterr().err == f"etude: {message}\n"


def test_an_adapter_with_an_unknown_name_ends_with_code_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    (tmp_path / "mine.py").write_text(RIGHT)
    (tmp_path / "names.toml").write_text('file = "mine.py"\n[names]\nnumerical_gradient = "numerical_grad"')
    assert main(["verify", "gradients", str(tmp_path / "names.toml")]) == 2
    assert capsys.readouterr().err == (
        "etude: unknown name in names.toml 'numerical_gradient': did you mean 'numerical_grad'? "
        "Choose from numerical_grad.\n"
    )

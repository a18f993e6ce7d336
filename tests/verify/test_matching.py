"""The judge's verdicts and every message it can give."""

import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from etude.errors import UsageError
from etude.verify import CONTRACTS, CheckResult, Contract, check, find, mistake, prove
from etude.verify.contract import Check
from etude.verify.inputs import batches
from etude.verify.matching import judge

GENERATOR_LOSS = find("gan.generator_loss").checks[0]


def verdict(function: Callable[..., Any]) -> CheckResult:
    return judge(GENERATOR_LOSS, function)


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda s: None, "it returned None (is a `return` missing?); expected a tensor"),
        (lambda s: 0.5, "it returned a float; expected a tensor"),
        (lambda s: (s.mean(),), "it returned a tuple; expected a tensor"),
        (lambda s: s.mean().to("meta"), "it returned a tensor on device meta; expected cpu"),
        (lambda s: s.mean() * float("nan"), "it is NaN"),
        (lambda s: F.softplus(-s).mean()[None], "it has shape (1,); expected ()"),
        (lambda s: 1 / 0, "it raised ZeroDivisionError: division by zero"),
        (lambda s: s.cuda().mean(), None),
    ],
)
def test_results_of_a_wrong_kind_have_a_reason(function: Callable[..., Any], message: str | None):
    result = verdict(function)
    assert (result.status, result.mistake, result.points) == ("wrong", None, 0)
    if message is None:  # the text is PyTorch's
        assert result.message.startswith("it raised ")
        assert "\n" not in result.message
    else:
        assert result.message == f"{message}; call: generator_loss(logits_fake) → one number."


def test_the_message_of_one_mistake():
    result = verdict(lambda s: F.softplus(-s).sum())
    assert result.mistake == "sum instead of mean"
    assert result.message.startswith("your output equals this mistake on every input tried (")
    assert result.message.endswith("); yours: Σ over the batch, right: 1/N Σ over the batch.")


def test_the_counterexample_is_shrunk():
    result = verdict(lambda s: 0.5 * F.softplus(-s).mean())
    assert result.counterexample == "logits_fake = [[0.0]]: 0.3466, right 0.6931"


def test_two_mistakes_in_one_function_are_both_named():
    result = verdict(lambda s: -F.softplus(-s).sum())
    assert result.mistake == "sum instead of mean + sign"
    assert result.message.startswith("your output equals these mistakes on every input tried (")


def test_overflow_is_named_when_only_extreme_inputs_fail():
    result = verdict(lambda s: -torch.log(torch.sigmoid(s) + 1e-8).mean())
    assert (result.mistake, result.message) == (
        "overflows on extreme logits",
        "right on ordinary inputs, wrong on extreme ones; yours: log(σ(l)): log 0 = −∞, "
        "right: −log σ(l) = max(−l, 0) + log(1 + e^−|l|).",
    )


def test_overflow_beside_a_mistake():
    result = verdict(lambda s: -torch.log(torch.sigmoid(s) + 1e-8).sum())
    assert result.mistake == "sum instead of mean + overflows on extreme logits"
    assert result.message.startswith("on ordinary inputs your output equals the first mistake, extreme ones overflow; ")


def double(x: Tensor, *, plus: float = 0.0) -> Tensor:
    return 2 * x.sum() + plus


DOUBLE = Check(
    name="double",
    call="double(x) → 2 Σ x",
    right=double,
    mistakes=(mistake("one too many", "2 Σ x + 1", "2 Σ x", plus=1.0),),
    inputs=batches({"x": (-5.0, 5.0)}),
    points=3,
)


def test_an_unknown_factor_is_measured():
    result = judge(DOUBLE, lambda x: 6 * x.sum())
    assert result.mistake is None
    assert result.message.startswith("your output is 3 times the right one on every input tried (")


def test_an_unknown_mistake_is_counted():
    result = judge(DOUBLE, lambda x: 2 * x.sum() + 1.5)
    assert result.message.startswith("differs from the right answer on ")
    assert result.message.endswith(" inputs tried; no known mistake fits.")
    assert result.counterexample == "x = [[0.0]]: 1.5, right 0.0"


def test_weights_of_other_shapes_are_told():
    network = nn.Sequential(nn.Flatten(), nn.Linear(784, 1))
    result = judge(find("gan.discriminator").checks[0], lambda: network)
    assert result.message == (
        "its weights have shapes [(1, 784), (1,)]; expected [(256, 784), (256,), (256, 256), (256,), (1, 256), (1,)]; "
        "call: discriminator() → module from (batch, 784) to scores (batch, 1) or (batch,)."
    )


def test_code_that_insists_on_float32_is_judged_in_float32():
    def generator_loss(logits: Tensor) -> Tensor:
        if logits.dtype != torch.float32:
            raise TypeError("float32 only")
        return F.softplus(-logits).mean()

    assert verdict(generator_loss).status == "pass"


def test_the_reason_shown_is_the_one_in_float32():
    """Code that insists on float32 refuses float64 first, which is not what is wrong with it."""

    def generator_loss(logits: Tensor) -> Tensor:
        scores = logits @ torch.ones(1, 1, dtype=torch.float32)
        return scores / (1 // 0)

    assert verdict(generator_loss).message.startswith(
        "it raised ZeroDivisionError: integer division or modulo by zero;"
    )


def test_right_in_one_form_is_right():
    assert verdict(lambda s: F.binary_cross_entropy_with_logits(s, torch.ones(len(s)))).status == "pass"


def test_the_mistake_is_named_in_the_form_that_the_code_takes():
    result = verdict(lambda s: F.binary_cross_entropy_with_logits(s, torch.zeros(len(s))))
    assert result.mistake == "label 0 instead of 1"
    assert result.counterexample is not None
    assert result.counterexample.startswith("logits_fake = [0.1]: ")


def test_memory_that_is_not_there_is_undecided():
    def generator_loss(logits: Tensor) -> Tensor:
        raise MemoryError

    result = verdict(generator_loss)
    assert (result.status, result.message) == (
        "undecided",
        "could not judge: asked for more memory than verify allows",
    )


def seed_all() -> None:
    torch.manual_seed(1)
    np.random.seed(1)  # noqa: NPY002
    random.seed(1)


def test_the_callers_random_state_and_dtype_stay():
    seed_all()
    before = torch.get_rng_state(), np.random.random(), random.random()  # noqa: NPY002
    seed_all()
    check("gan.sample_noise", lambda n, d: torch.from_numpy(np.random.uniform(-1, 1, (n, d))))  # noqa: NPY002
    assert torch.equal(torch.get_rng_state(), before[0])
    assert (np.random.random(), random.random()) == before[1:]  # noqa: NPY002
    assert torch.get_default_dtype() == torch.float32


def test_two_seeds_try_other_inputs():
    seen: list[float] = []
    for seed in (1, 2):
        judge(DOUBLE, lambda x: (seen.append(x.sum().item()), 2 * x.sum())[1], seed=seed)
        seen.append(float("inf"))
    cut = seen.index(float("inf"))
    assert seen[:cut] != seen[cut + 1 : -1]


# --- check and prove ---


def test_check_takes_a_function_by_its_own_name():
    def generator_loss(logits: Tensor) -> Tensor:
        return F.softplus(-logits).mean()

    report = check("gan", generator_loss)
    assert report
    assert str(report) == "pass      generator_loss\ngan: 1 of 1 checks pass, score 1.00"
    assert report.to_dict() == {
        "contract": "gan",
        "passed": True,
        "checks": [
            {
                "name": "generator_loss",
                "status": "pass",
                "mistake": None,
                "message": "",
                "counterexample": None,
                "points": 2,
            }
        ],
        "score": 1.0,
    }


def test_check_refuses_a_name_that_no_contract_looks_for():
    def generator_los(logits: Tensor) -> Tensor:
        return logits

    with pytest.raises(UsageError) as error:
        check("gan", generator_los)
    assert str(error.value).startswith("unknown function of gan 'generator_los': did you mean 'generator_loss'? Choose")
    assert str(error.value).endswith("; or say 'gan.NAME'.")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "gna",
            "unknown contract 'gna': did you mean 'gan'? Choose from classifier, cvae, gan, gradients, layers, "
            "optimizers, sequences, vae; `etude verify --list` describes them.",
        ),
        (
            "gradients.grad",
            "unknown check of gradients 'grad': choose from numerical_grad.",
        ),
        ("nowhere.py", "there is no file nowhere.py; give a contract's name or a Python file that defines CONTRACT."),
    ],
)
def test_unknown_contracts(name: str, message: str):
    with pytest.raises(UsageError) as error:
        find(name)
    assert str(error.value) == message


def test_a_teachers_file_defines_a_contract(tmp_path: Any):
    path = tmp_path / "course.py"
    path.write_text("x = 1")
    with pytest.raises(UsageError) as error:
        find(str(path))
    assert str(error.value) == f"{path} does not define CONTRACT, a Contract; docs/teachers.md shows how."
    path.write_text("1 / 0")
    with pytest.raises(UsageError) as error:
        find(str(path))
    assert str(error.value) == f"{path} could not be imported: ZeroDivisionError: division by zero."


def test_prove_finds_what_is_wrong_with_a_contract():
    assert prove(Contract("sound", "", (DOUBLE,))) == []
    useless = mistake("changes nothing", "", "", plus=0.0)
    twin = mistake("one more", "", "", plus=1.0)
    fields = {name: getattr(DOUBLE, name) for name in ("name", "call", "right", "inputs")}
    faulty = Check(**fields, mistakes=(*DOUBLE.mistakes, twin, useless))
    assert prove(Contract("faulty", "", (faulty,))) == [
        "double: the mutant 'one more' is named 'one too many'",
        "double: the mutant 'changes nothing' passes",
    ]


def test_all_contracts_are_listed():
    assert list(CONTRACTS) == ["gan", "vae", "cvae", "classifier", "gradients", "layers", "optimizers", "sequences"]

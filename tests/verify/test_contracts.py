"""Every contract: right variants pass, every mutant is caught and named, a learner's mistakes are all named."""

from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from etude.verify import CONTRACTS, CheckResult, matching
from etude.verify.loader import Loaded
from etude.verify.matching import judge

ANSWERS = Path(__file__).parent / "answers"
CHECKS = {f"{contract.name}.{check.name}": check for contract in CONTRACTS.values() for check in contract.checks}
"""vae and cvae share their losses: those are proved once, under vae."""
PROVED = {name: check for name, check in CHECKS.items() if not (name.startswith("cvae") and "loss" in name)}
MUTANTS = [(name, mistake.name) for name, check in PROVED.items() for mistake in check.mistakes]
RIGHT = sorted(path.stem for path in ANSWERS.glob("*_right_*.py"))

pytestmark = pytest.mark.filterwarnings("ignore:Lazy modules", "ignore:Converting a tensor with requires_grad")


@pytest.fixture(autouse=True)
def little_shrinking(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(matching, "SHRINK_SECONDS", 0.05)


def judged(module: ModuleType) -> list[CheckResult]:
    """The verdicts on what the file itself defines; what it takes from a right variant is judged there."""
    checks = CONTRACTS[module.__name__.partition("_")[0]].checks
    answers = [(check, Loaded(vars(module)).named(check.looks_for)) for check in checks]
    others = set(RIGHT) - {module.__name__}
    return [judge(check, own) for check, own in answers if own is not None and own.__module__ not in others]


def test_there_are_right_variants_of_every_contract():
    assert {name.partition("_right_")[0] for name in RIGHT} == set(CONTRACTS)
    assert len(RIGHT) >= 3 * len(CONTRACTS)


def test_there_are_enough_mutants():
    assert len(MUTANTS) >= 60
    assert len(set(MUTANTS)) == len(MUTANTS), "two mistakes of one check share a name"


@pytest.mark.parametrize("name", PROVED)
def test_every_mutant_is_caught_and_named(name: str):
    check = PROVED[name]
    named = {mistake.name: judge(check, check.mutant(mistake)) for mistake in check.mistakes}
    assert {result.status for result in named.values()} == {"wrong"}
    assert {mistake: result.mistake for mistake, result in named.items()} == {name: name for name in named}


@pytest.mark.parametrize("file", RIGHT)
def test_right_variants_pass(file: str, answer: Callable[[str], ModuleType]):
    module = answer(file)
    looked_for = [check.looks_for for check in CONTRACTS[file.partition("_")[0]].checks]
    assert [name for name in looked_for if Loaded(vars(module)).named(name) is None] == []
    assert [str(result) for result in judged(module) if result.status != "pass"] == []


@pytest.mark.parametrize("name", [name for name, check in CHECKS.items() if check.is_random])
def test_no_false_alarm_in_a_few_seeds(name: str, answer: Callable[[str], ModuleType]):
    """The short form of benchmarks/verify_false_alarms.py."""
    check, variants = CHECKS[name], [file for file in RIGHT if file.startswith(f"{name.partition('.')[0]}_")]
    for seed in range(1, 11):
        module = answer(variants[seed % len(variants)])
        assert judge(check, Loaded(vars(module)).named(check.looks_for), seed=seed).status == "pass"


LEARNERS = {
    "gan_learner_1": {"sample_noise": "uniform in [0, 1]", "discriminator_loss": "labels swapped"},
    "gan_learner_2": {"ls_discriminator_loss": "½ forgotten + sum instead of mean"},
    "gan_learner_3": {
        "generator_loss": "saturating (minimax) form + overflows on extreme logits",
        "train_step": "the same noise for both steps",
    },
    "gan_learner_4": {
        "get_optimizer": "only the first layer's parameters",
        "train_step": "the same noise for both steps + one joint backward, without detach",
    },
    "gan_learner_5": {"train_step": "discriminator's gradients not reset + noise in [0, 1]"},
    "vae_learner_1": {
        "VAE.sample_latent": "variance for standard deviation",
        "reconstruction_loss": "mean over pixels instead of sum",
    },
    "vae_learner_2": {"kl_loss": "½ forgotten + mean over latents instead of sum"},
    "vae_learner_3": {"VAE.decode": "sigmoid forgotten", "kl_loss": "sign"},
    "cvae_learner_1": {
        "ConditionalVAE.encode": "one layer for mean and logvar",
        "ConditionalVAE.decode": "label ignored in the decoder",
    },
    "cvae_learner_2": {
        "ConditionalVAE.encode": "label ignored in the encoder",
        "ConditionalVAE.forward": "decodes the mean without sampling",
    },
    "cvae_learner_3": {
        "ConditionalVAE.encode": "num_classes hard-coded to 10",
        "ConditionalVAE.decode": "num_classes hard-coded to 10",
        "ConditionalVAE.forward": "num_classes hard-coded to 10",
        "loss_function": "KL forgotten",
    },
    "classifier_learner_1": {"Net": "softmax at the end", "train_step": "gradients not reset"},
    "classifier_learner_2": {"transform": "not normalised", "evaluate": "in train mode + with gradients"},
    "classifier_learner_3": {
        "Net": "no ReLU between the linear layers",
        "evaluate": "mean of the batches' accuracies",
    },
    "classifier_learner_4": {"evaluate": "in train mode + with gradients + mean of the batches' accuracies"},
    "gradients_learner_1": {
        "numerical_grad": "forward instead of central difference + the parameter is not restored"
    },
    "gradients_learner_2": {
        "numerical_grad": "2 forgotten in the divisor + only the first dimension's length"
    },
    "gradients_learner_3": {"numerical_grad": "sign + gradient of the wrong shape"},
    "layers_learner_1": {"dropout": "kept elements not scaled", "attention": "not scaled"},
    "layers_learner_2": {"batch_norm": "unbiased variance normalises + momentum the wrong way round"},
    "layers_learner_3": {"max_pool2d": "starts from 0", "conv2d": "bias forgotten"},
    "optimizers_learner_1": {
        "SGD.momentum": "dampened gradient",
        "SGD.weight_decay": "dampened gradient",
        "AdamW": "coupled weight decay",
    },
    "optimizers_learner_2": {
        "Adam": "ε inside the square root + first moment not corrected",
        "Adam.weight_decay": "ε inside the square root + first moment not corrected",
    },
    "optimizers_learner_3": {
        "SGD.weight_decay": "L2 with factor 2",
        "AdamW": "decay without the learning rate",
    },
    "optimizers_learner_4": {"AdamW": "decay after the step + steps counted per parameter"},
    "sequences_learner_1": {
        "embedding": "padding row learns",
        "rnn_cell": "sigmoid instead of tanh",
        "gru_cell": "z and 1 − z swapped",
        "lstm_cell": "tanh on c forgotten",
    },
    "sequences_learner_2": {
        "additive_attention": "no mask",
        "scaled_dot_product_attention": "mask inverted",
        "causal_mask": "diagonal on the wrong side",
        "causal_attention": "a position is hidden from itself",
        "multi_head_attention": "heads split by view without transpose + √d of the model instead of the head",
        "positional_encoding": "positions indexed by the batch",
    },
    "sequences_learner_3": {
        "last_state": "last output taken at a pad",
        "bidirectional_state": "both halves at the last word",
        "last_layer_state": "view mixes sentences",
        "encoder": "pads are read as words",
        "inputs_and_targets": "targets not shifted",
        "sequence_loss": "divided by all positions + softmax before cross-entropy",
    },
    "sequences_learner_4": {
        "decode": "teacher forcing the wrong way round",
        "greedy_decode": "state not carried",
        "batchify": "rows interleaved",
        "train_tbptt": "no detach",
        "nats_per_token": "a short last chunk weighted as a whole one + in train mode",
        "bleu": "mean of the sentences' BLEU",
    },
}  # fmt: skip


@pytest.mark.parametrize("file", LEARNERS)
def test_the_mistakes_of_a_first_attempt_are_named(file: str, answer: Callable[[str], ModuleType]):
    results = judged(answer(file))
    assert {result.name: result.mistake for result in results if result.status != "pass"} == LEARNERS[file]


@pytest.mark.parametrize("name", CHECKS)
def test_every_check_has_inputs_or_draws_of_the_seeds_own(name: str):
    check = CHECKS[name]
    assert check.inputs is not None or check.is_random or str(check.seeded(1000)) != str(check.seeded(2000))


def test_names_looked_for_are_those_of_the_exercises():
    names = {check.looks_for for check in CHECKS.values()}
    assert names >= {
        *("sample_noise", "discriminator", "generator", "bce_loss", "discriminator_loss", "generator_loss"),
        *("ls_discriminator_loss", "ls_generator_loss", "build_dc_classifier", "build_dc_generator", "get_optimizer"),
        *("VAE", "ConditionalVAE", "reconstruction_loss", "kl_loss", "loss_function", "Net", "numerical_grad"),
    }

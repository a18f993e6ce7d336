"""The contracts by name, one file per family: the right answer, the inputs and the known mistakes side by side."""

from pathlib import Path

from etude.errors import UsageError, unknown
from etude.user_code import run_file
from etude.verify.contract import Contract
from etude.verify.contracts import (
    classifier,
    gan_losses,
    gan_networks,
    gan_training,
    gradients,
    layers,
    optimizers,
    sequences,
    spatial,
    vae,
)

CONTRACTS: dict[str, Contract] = {
    each.name: each
    for each in (
        Contract(
            "gan",
            "noise, networks, losses, optimizer and training step of the two MNIST GANs",
            (*gan_networks.CHECKS, *gan_losses.CHECKS, *gan_training.CHECKS),
        ),
        Contract("vae", "sampling, shapes, gradients and losses of a variational autoencoder", vae.CHECKS),
        Contract("cvae", "the same for a conditional one, given the label", vae.CONDITIONAL_CHECKS),
        Contract("classifier", "LeNet, normalisation, training step and evaluation", classifier.CHECKS),
        Contract("gradients", "the numerical gradient", gradients.CHECKS),
        Contract(
            "layers",
            "dropout, embedding, batch-norm, attention, max-pooling, convolution from tensors",
            (*layers.CHECKS, *spatial.CHECKS),
        ),
        Contract("optimizers", "SGD, momentum, Adam, AdamW; L2 against weight decay", optimizers.CHECKS),
        Contract(
            "sequences",
            "embedding, recurrent cells, attention, encoders, decoding, truncated backpropagation, BLEU",
            sequences.CHECKS,
        ),
    )
}


def find(name: str) -> Contract:
    """The contract called `name`, such as `gan`; one check of it, `gan.kl_loss`; or a teacher's file, `course.py`.

    A teacher's file is Python and defines `CONTRACT`.
    """
    if name.endswith(".py"):
        return _from_file(Path(name))
    head, _, check = name.partition(".")
    if head not in CONTRACTS:
        raise unknown("contract", head, CONTRACTS, hint="`etude verify --list` describes them")
    contract = CONTRACTS[head]
    if check and check not in [each.name for each in contract.checks]:
        raise unknown(f"check of {head}", check, [each.name for each in contract.checks])
    return contract.only({check}) if check else contract


def _from_file(path: Path) -> Contract:
    names = run_file(path, hint="give a contract's name or a Python file that defines CONTRACT")
    contract = names.get("CONTRACT")
    if not isinstance(contract, Contract):
        raise UsageError(f"{path} does not define CONTRACT, a Contract; docs/teachers.md shows how.")
    return contract

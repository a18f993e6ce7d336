"""`etude inspect`: answer questions about a network by computation."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path
from typing import Any

import tyro

from etude.cli.parse import Values, flat
from etude.cli.printing import print_json, show_parts
from etude.errors import UsageError

TABLE_BATCH, TRAIN_BATCH, CHECK_BATCH, FLOW_BATCH = 1, 2, 3, 64
"""Default examples per batch: for the table in evaluation and in training (batch-norm needs several), for the gradient
check, and for what needs statistics."""


def inspect(
    network: tyro.conf.Positional[str],
    *,
    input: Values = [],  # noqa: B006 (tyro shows the default)
    batch_size: int | None = None,
    train: bool = False,
    modules: bool = False,
    probe: bool = False,
    gradcheck: bool = False,
    flow: bool = False,
    modes: bool = False,
    simplify: bool = False,
    data: str | None = None,
    data_dir: Path | None = None,
    svg: Path | None = None,
    picture: Path | None = None,
    layer: str | None = None,
    seed: int = 0,
    json: bool = False,
) -> None:
    """Show a network's shapes, cost and receptive field, or check its gradients.

    Args:
        network: lenet, gan-generator, dcgan-discriminator, vae …; or net.py:Net, "net.py:Net(3, width=16)".
        input: Shape of each input without the batch, such as 3,32,32; for a network that begins with an embedding the
            length, 20. int9:20 is 20 whole numbers below 9. mask=20:bool gives an input by its name and its type. N
            is the place of the batch where it is not the first: 20,N. len20 is the length of each example.
        batch_size: Examples per batch. Default: 1 for the table (2 with --train), 3 for --gradcheck, 64 for --flow and
            --modes.
        train: Show the table in training mode.
        modules: Show the totals of every module that holds others.
        probe: Measure the receptive field with poisoned inputs and compare.
        gradcheck: Compare all gradients with central differences in float64.
        flow: Show the scale of activations and gradients per layer, and what helps; for sequences also the gradient
            against the number of steps back.
        modes: Show what differs between training and evaluation, and by how much.
        simplify: Find layers that fold into others, with proof.
        data: Use real images for --flow, --modes and --picture: digits, mnist, fashion-mnist, cifar10.
        data_dir: Where to look for data first.
        svg: Draw the graph of the layers into this file.
        picture: Draw a layer's receptive field on an image into this PNG file; with --flow and sequences, the gradient
            against the number of steps back.
        layer: The layer for --picture. Default: the last one with positions.
        seed: Determines weights and inputs.
        json: Print one JSON object on stdout.
    """
    from etude.cli import show_inspection as show

    if layer and not picture:
        raise UsageError("--layer chooses the layer of --picture; give --picture FILE.png too.")

    if train and (probe or picture):
        raise UsageError("--probe and --picture look at evaluation; leave --train out.")

    def specimen(size: int) -> show.Specimen:
        found = show.load(network, flat(input), batch_size=size if batch_size is None else batch_size, seed=seed)
        return show.with_images(found, data, data_dir, seed) if data else found

    sections: list[Any] = []
    with contextlib.redirect_stdout(sys.stderr):  # what the network's own code prints is not a result
        small = specimen(TRAIN_BATCH if train else TABLE_BATCH)
        found = show.inspect(small.module, *small.inputs, name=small.name, train=train, **small.keywords)
        result = found.to_dict()
        over_time = flow and found.sequence is not None
        if over_time and layer:
            raise UsageError(f"--layer chooses a layer with positions of an image; {small.name} reads sequences.")
        if modules:
            sections += found.module_report()
        if probe:
            sections += show.probed(found, small, result)
        if gradcheck:
            sections += show.gradients_checked(specimen(CHECK_BATCH), result, seed)
        if flow:
            sections += show.flow(specimen(FLOW_BATCH), result, seed, found.sequence, picture if over_time else None)
        if modes:
            sections += show.modes(specimen(FLOW_BATCH), result, seed)
        if simplify:
            sections += show.simplified(small, result)
        if svg:
            sections += show.drawn_graph(found, svg, result)
        if picture and not over_time:
            sections += show.drawn_field(found, small, picture, layer, result)
    if json:
        print_json(result)
    else:
        show_parts(sections or found.report())

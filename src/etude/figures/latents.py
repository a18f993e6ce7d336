"""Figures of an autoencoder's latent space and of what passes through it."""

import numpy as np
import torch
from matplotlib.figure import Figure

from etude.drawing.latent import latent_plane, latent_scatter, plane_points
from etude.drawing.mosaic import interpolation, reconstructions, style_rows
from etude.figures.material import MAX_CLASSES, Material
from etude.runs.splits import make_splits

MAX_SCATTER_POINTS = 5_000
_MIXES = tuple(step / 10 for step in range(11))
_INTERPOLATIONS = 6


def plane(material: Material) -> Figure:
    """The decoded plane of the first two latents over [−2, 2]², other latents 0; for a conditional run, one class."""
    run = material.run
    if material.conditional and material.label is None:
        material = material.of_class(0)
    points = torch.from_numpy(plane_points())  # (P, P, 2)
    side, num_latents = len(points), _num_latents(material)
    z = torch.zeros(side**2, num_latents)
    z[:, :2] = points.flatten(0, 1)
    images = run.decode(z, labels=material.label).unflatten(0, (side, side))  # (P, P, C, H, W)
    others = f", latents 3 to {num_latents} at 0" if num_latents > 3 else ", latent 3 at 0"
    what = "Decoded latent plane" + (others if num_latents > 2 else "")
    return latent_plane(images, title=material.title(what), axis_names=("first latent", "second latent"))


def scatter(material: Material) -> Figure:
    """Where the encoder places the images it was trained on; with more than two latents, the two that vary most."""
    run = material.run
    train = make_splits(run.recipe, material.dataset).train
    chosen = torch.arange(len(train)) if material.label is None else (train.labels == material.label).nonzero()[:, 0]
    # Evenly spread over the split, since a folder's images come sorted by class.
    chosen = chosen[np.linspace(0, len(chosen) - 1, min(len(chosen), MAX_SCATTER_POINTS)).round().astype(int)]
    labels = train.labels[chosen]
    means = run.encode(train.images[chosen], labels=material.labels(labels))  # (N, latents)
    first, second = means.var(dim=0, correction=0).topk(2).indices.sort().values.tolist()
    if _num_latents(material) == 2:
        names = ("first latent", "second latent")
    else:
        names = (f"latent {first + 1}", f"latent {second + 1} (these two vary most)")
    return latent_scatter(
        means[:, [first, second]],
        labels,
        class_names=material.class_names,
        title=material.title(f"Latent means of {len(means):,} training images", with_names=True),
        axis_names=names,
        name_clusters=not material.conditional,  # it need not separate classes by their place
    )


def reconstruction(material: Material) -> Figure:
    """Test images above what is decoded from their latent means."""
    run, test = material.run, material.dataset.test
    chosen = material.one_per_class()
    images, labels = run.inputs(test.images[chosen]), test.labels[chosen]
    given = material.labels(labels)
    return reconstructions(
        images,
        run.decode(run.encode(images, labels=given), labels=given),
        column_labels=[material.class_names[label] for label in labels],
        title=material.title("Test images and their reconstructions", with_names=True),
    )


def between(material: Material) -> Figure:
    """From test image to test image along a straight line of latents; for a conditional run within one class."""
    run, test = material.run, material.dataset.test
    chosen = material.one_per_class()
    if material.conditional:
        starts = chosen[test.labels[chosen].diff(prepend=torch.tensor([-1])) != 0][:_INTERPOLATIONS]
        of_class = [(test.labels == label).nonzero()[:, 0] for label in test.labels[starts]]
        ends = torch.stack([indices[-1] for indices in of_class])  # the last image of the class
    else:
        # Halfway round the classes: neighbours in a list of classes are often alike.
        pairs = min(_INTERPOLATIONS, max(1, len(chosen) // 2))
        starts, ends = chosen[:pairs], chosen[-pairs:]
    given = material.labels(test.labels[starts])
    first, last = (run.inputs(test.images[which]) for which in (starts, ends))
    z_start, z_end = (run.encode(images, labels=given) for images in (first, last))  # (R, latents)
    mixes = torch.tensor(_MIXES)[None, :, None]  # (1, M, 1)
    z = (1 - mixes) * z_start[:, None] + mixes * z_end[:, None]  # (R, M, latents)
    labels = None if given is None else given.repeat_interleave(len(_MIXES))
    images = run.decode(z.flatten(0, 1), labels=labels).unflatten(0, z.shape[:2])  # (R, M, C, H, W)
    return interpolation(
        first,
        images,
        last,
        mixes=_MIXES,
        title=material.title("Between two test images: mix of their latent means"),
    )


def styles(material: Material) -> Figure:
    """One row per test image: its style, decoded with the label of every class."""
    run, test = material.run, material.dataset.test
    chosen = material.one_per_class()
    num_classes = len(run.class_names)
    classes = torch.linspace(0, num_classes - 1, min(num_classes, MAX_CLASSES)).round().long()  # (K,)
    originals = run.inputs(test.images[chosen])
    z = run.encode(originals, labels=test.labels[chosen])  # (R, latents)
    decoded = run.decode(z.repeat_interleave(len(classes), dim=0), labels=classes.repeat(len(z)))
    return style_rows(
        originals,
        decoded.unflatten(0, (len(z), len(classes))),  # (R, K, C, H, W)
        class_names=[material.class_names[index] for index in classes],
        title=material.title("One style in every class", with_names=True),
    )


def _num_latents(material: Material) -> int:
    return material.run.recipe.num_latents

"""The figures of a run: all of them, which ones fit it, and their files."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from matplotlib.figure import Figure

from etude.data.kinds import Images, RunningText, Table, TokenPairs, Tokens
from etude.data.kinds import Kind as DataKind
from etude.drawing.style import Format, render
from etude.errors import UsageError, unknown
from etude.families.abilities import By, Classifies, Denoises, Encodes, Explains, Predicts, Samples, Translates
from etude.figures import latents, learning, memory, points, translation, words
from etude.figures.material import Material
from etude.files import cannot_write, remove_leftovers, write_atomically
from etude.notebook import picture_html
from etude.runs import Run

FORMATS: tuple[Format, ...] = ("png", "svg")


class Pictures(list[Path]):
    """The files of figures; in a notebook they show themselves. Final."""

    def _repr_html_(self) -> str:
        pictures = [path for path in self if path.suffix == ".png"]
        return "".join(picture_html(path.read_bytes(), path.stem) for path in pictures) or repr(list(self))


@dataclass(frozen=True, kw_only=True)
class Kind:
    """One figure: what it shows, which networks it fits, and how to draw it."""

    about: str
    """One line for people."""
    draw: Callable[[Material], Figure]
    needs: type | None = None
    """The ability that networks must have; None for a figure of every run."""
    conditional: bool = False
    """Only for networks that are given the label."""
    kinds: tuple[type[DataKind], ...] = (Images,)
    """The kinds of data that it fits."""
    num_features: int | None = None
    """Only for tables with this number of features."""
    min_latents: int = 0
    """Only for autoencoders with at least this many latents."""
    min_classes: int = 0
    on_request: bool = False
    """Whether it is drawn only by its name, because it takes several seconds."""
    of_previews: bool = False
    """Whether it is made of the pictures of progress. Some families have none."""
    takes_label: bool = False
    """Whether a conditional run can draw it for one class."""
    takes_texts: bool = False
    """Whether it can be drawn of a person's own sentences."""
    caption: str
    """What one sees, and how to read it."""
    of_images: bool = False
    """Whether it shows images, whose own colours are not to be changed."""


FIGURES: dict[str, Kind] = {
    "losses": Kind(
        about="losses and accuracy against the training step",
        draw=learning.losses,
        kinds=(Images, Table, Tokens, TokenPairs, RunningText),
        caption=(
            "Losses and accuracies against the training step, with epochs on top. A training loss is a mean over "
            "an epoch or over the steps between two reports, drawn in their middle; the others are drawn at the "
            "end of their epoch. A dashed line is what a loss is in a known case."
        ),
    ),
    "boundaries": Kind(
        about="the plane by predicted class, and the test points",
        draw=points.boundaries,
        needs=Classifies,
        kinds=(Table,),
        num_features=2,
        caption=(
            "The background has the colour of the predicted class, paler where the classifier is less sure. "
            "Points are test points in the colour of their true class: one on a background of another colour is a "
            "mistake."
        ),
    ),
    "points": Kind(
        about="new points over real ones",
        draw=points.generated,
        needs=Samples,
        kinds=(Table,),
        caption="New rows over test rows, by their first two features. Both should cover the same places.",
    ),
    "samples": Kind(
        about="new images from the trained network",
        draw=learning.samples,
        needs=Samples,
        takes_label=True,
        caption=(
            "New images from fresh noise. Look for variety first (are all classes there, are there twins?) and "
            "for beauty second."
        ),
        of_images=True,
    ),
    "evolution": Kind(
        about="the images from the same noise during training",
        draw=learning.evolution,
        needs=Samples,
        of_previews=True,
        caption=(
            "A row per moment of training, from the first to the last, and a column per noise. It shows how each "
            "image forms and whether it still changes at the end. Columns that become alike are a sign of mode "
            "collapse."
        ),
        of_images=True,
    ),
    "denoising": Kind(
        about="new images on their way from noise",
        draw=learning.denoising,
        needs=Denoises,
        takes_label=True,
        caption=(
            "Each column is one new image on its way from noise, at the top, to the sample at the bottom. Shape "
            "comes first and edges last."
        ),
        of_images=True,
    ),
    "copies": Kind(
        about="new images and their nearest training images",
        draw=learning.copies,
        needs=Samples,
        on_request=True,
        caption=(
            "The new images that are nearest to a training image, each above that image, with the distance. It is "
            "0 for a copy."
        ),
        of_images=True,
    ),
    "confusion": Kind(
        about="the test split by true and predicted class",
        draw=learning.confusion,
        needs=Classifies,
        kinds=(Images, Table, Tokens),
        caption=(
            "A row per true class and a column per predicted class. A cell has the number of test examples and "
            "their share of the row; the diagonal is right. The colours are stretched at their low end, so that "
            "small confusions show."
        ),
    ),
    "per-class-accuracy": Kind(
        about="test accuracy of each class with its uncertainty",
        draw=learning.accuracy_of_classes,
        needs=Classifies,
        kinds=(Images, Table, Tokens),
        caption=(
            "A bar per class; the dashed line is the accuracy over all test examples. Whiskers are 95 % "
            "intervals. Classes whose whiskers overlap widely may be equally hard."
        ),
    ),
    "reliability": Kind(
        about="whether a classifier is right as often as its confidence says",
        draw=learning.reliability,
        needs=Classifies,
        min_classes=2,
        kinds=(Images, Table, Tokens),
        caption=(
            "Test examples in bins by the probability of the first choice. A bar below the diagonal means that "
            "the network is right less often than its confidence says. Whiskers are 95 % intervals; the panel "
            "below says how many examples a bin has."
        ),
    ),
    "alignment": Kind(
        about="what a translator looks at as it writes each token",
        draw=translation.alignment,
        needs=Translates,
        kinds=(TokenPairs,),
        caption=(
            "A row per written token and a column per token of the source: dark is where the translator looked as "
            "it wrote."
        ),
    ),
    "lengths": Kind(
        about="BLEU of short and of long sentences",
        draw=translation.lengths,
        needs=Translates,
        kinds=(TokenPairs,),
        caption=(
            "BLEU of test sentences by the length of their source, with 95 % intervals. The dashed line is BLEU "
            "over all of them."
        ),
    ),
    "words": Kind(
        about="sentences coloured by how much each word moved the decision",
        draw=words.words,
        needs=Explains,
        kinds=(Tokens,),
        min_classes=2,
        takes_texts=True,
        caption=(
            "Test sentences, some classified rightly and some wrongly. Each word has the colour of the class that "
            "it moved the decision to; the darker, the further."
        ),
    ),
    "memory": Kind(
        about="how far back a language model's loss has a gradient",
        draw=memory.memory,
        needs=Predicts,
        kinds=(RunningText,),
        on_request=True,
        caption=(
            "The gradient of the loss at one symbol with respect to the symbols before it, by their distance. "
            "Where a curve ends, training reaches no further back."
        ),
    ),
    "latent-plane": Kind(
        about="the decoder's image for each point of the latent plane",
        draw=latents.plane,
        needs=Encodes,
        min_latents=2,
        takes_label=True,
        caption=(
            "What the decoder draws for each point of the latent plane over [−2, 2]², where the prior has 91 % of "
            "its mass. Where it draws noise, no training image was encoded."
        ),
        of_images=True,
    ),
    "latent-scatter": Kind(
        about="where the encoder places training images",
        draw=latents.scatter,
        needs=Encodes,
        min_latents=2,
        takes_label=True,
        caption=(
            "Where the encoder places training images, in the colours of their classes. The dashed circles are 1σ "
            "and 2σ of the prior. Means far outside are rarely sampled; empty space inside is sampled but was "
            "never trained."
        ),
    ),
    "reconstructions": Kind(
        about="test images above their reconstructions",
        draw=latents.reconstruction,
        needs=Encodes,
        caption=(
            "A test image of each class, and below it what the decoder makes of its latent mean. What is lost did "
            "not fit into the latents."
        ),
        of_images=True,
    ),
    "interpolation": Kind(
        about="the way from one test image to another through the latent space",
        draw=latents.between,
        needs=Encodes,
        caption=(
            "The framed images at both ends are test images. Those between are decoded from points on the "
            "straight line between their latent means."
        ),
        of_images=True,
    ),
    "styles": Kind(
        about="the style of a test image in every class",
        draw=latents.styles,
        needs=Encodes,
        conditional=True,
        caption=(
            "Each row begins with a framed test image. It is encoded with its own label and decoded with every "
            "label: slant and stroke should stay while the class changes."
        ),
        of_images=True,
    ),
}


def available(run: Run) -> list[str]:
    """The names of the figures that fit the run."""
    return [name for name, kind in FIGURES.items() if _fits(kind, run)]


def draw(
    run: Run,
    name: str,
    *,
    formats: Sequence[Format] = FORMATS,
    label: int | str | None = None,
    texts: str | Sequence[str] = (),
    by: By | None = None,
    data_dir: Path | None = None,
) -> Pictures:
    """Draw one figure of a run into its `figures` folder; returns the files, which show themselves in a notebook.

    A conditional network draws some figures for one class: `label`, its name or index. The figure `words` may show
    `texts` of yours, explained by gradient or by occlusion (see `etude.explain`). Raises `UsageError` for a
    figure or a label that does not exist or does not fit, `DataError` if the data set is missing, `RunError` if the run
    has not got that far, `DiskError` if a file cannot be written.
    """
    if name not in FIGURES:
        raise unknown("figure", name, FIGURES)
    if not _fits(FIGURES[name], run):
        raise UsageError(
            f"figure {name!r} does not fit run {run.name}, {_describe(run)}: choose from {', '.join(available(run))}."
        )
    if label is not None:
        _require_label_taken(run, name, label)
        label = run.label_index(label)
    texts = (texts,) if isinstance(texts, str) else tuple(texts)
    if (texts or by) and not FIGURES[name].takes_texts:
        taking = ", ".join(name for name, kind in FIGURES.items() if kind.takes_texts)
        raise UsageError(f"figure {name!r} takes no texts: leave --text and --by out; {taking} takes them.")
    return _draw(Material(run, data_dir=data_dir, label=label, texts=texts, by=by), name, formats)


def draw_all(run: Run, *, formats: Sequence[Format] = FORMATS, data_dir: Path | None = None) -> Pictures:
    """Draw every figure that fits the run and is quick to draw.

    A conditional autoencoder also has latent figures of two classes: 4 and 8, or the first and the last if there are
    fewer. Raises as `draw` does.
    """
    material = Material(run, data_dir=data_dir)
    kinds = {name: FIGURES[name] for name in available(run)}
    drawn = bool(run.preview_images())
    names = [name for name, kind in kinds.items() if not kind.on_request and (drawn or not kind.of_previews)]
    paths = Pictures(path for name in names for path in _draw(material, name, formats))
    if material.conditional:
        num_classes = len(run.class_names)
        for label in sorted({4, 8} if num_classes > 8 else {0, num_classes - 1}):
            for name in ("latent-plane", "latent-scatter"):
                if name in available(run):
                    paths += _draw(material.of_class(label), name, formats)
    return paths


def _draw(material: Material, name: str, formats: Sequence[Format]) -> Pictures:
    figure = FIGURES[name].draw(material)
    folder = material.run.path / "figures"
    remove_leftovers(folder)
    try:
        folder.mkdir(exist_ok=True)
    except OSError as error:
        raise cannot_write(folder, error) from error
    suffix = "" if material.label is None else f"-label-{_file_part(material)}"
    suffix += f"{f'-{material.by}' if material.by else ''}{'-text' if material.texts else ''}"
    paths = Pictures(folder / f"{name}{suffix}.{format}" for format in formats)
    for path, format in zip(paths, formats, strict=True):
        write_atomically(path, render(figure, format))
    return paths


def _fits(kind: Kind, run: Run) -> bool:
    features = run.kind.num_features if isinstance(run.kind, Table) else None
    return (
        isinstance(run.kind, kind.kinds)
        and kind.num_features in (None, features)
        and (kind.needs is None or run.can(kind.needs))
        and (run.conditional or not kind.conditional)
        and len(run.class_names) >= kind.min_classes
        and (kind.min_latents == 0 or run.recipe.num_latents >= kind.min_latents)
    )


def _describe(run: Run) -> str:
    few = run.recipe.num_latents == 1
    return f"a {run.recipe.network}{' with 1 latent' if few else ''}"


def _require_label_taken(run: Run, name: str, label: int | str) -> None:
    if not (FIGURES[name].takes_label and run.conditional):
        names = [name for name, kind in FIGURES.items() if kind.takes_label]
        raise UsageError(
            f"figure {name!r} of run {run.name}, {_describe(run)}, takes no label: leave --label {label} out; "
            f"{', '.join(names)} of a conditional network, such as a cvae, take one."
        )


def _file_part(material: Material) -> str:
    """The class in a file's name: its name if that is safe there, else its index."""
    assert material.label is not None
    name = material.run.class_names[material.label]
    return name if name.isascii() and name.replace("-", "").replace("_", "").isalnum() else str(material.label)

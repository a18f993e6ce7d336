from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from etude.data.text.tokenizers import Characters, TokenizerName, Words
from etude.data.text.vocabulary import BOS, EOS, PAD, SPECIAL, SPECIAL_RUNNING, UNK, DamagedFile, Vocabulary, learn
from etude.errors import UsageError

SENTENCES = ["der Hund sieht den Hund", "Der Vogel, der Hund!"]


def test_tokens_are_numbered_by_how_often_they_occur() -> None:
    vocabulary = learn(SENTENCES, tokenizer="words", lower=True, min_count=1)
    assert vocabulary.tokens == ("<pad>", "<unk>", "<bos>", "<eos>", "der", "hund", "!", ",", "den", "sieht", "vogel")
    assert (PAD, UNK, BOS, EOS) == (0, 1, 2, 3)
    assert len(vocabulary) == 11
    assert vocabulary.encode("Der Hund, das Pferd") == [4, 5, 7, UNK, UNK]
    assert vocabulary.decode([BOS, 4, 5, UNK, PAD, EOS, 4]) == "der hund <unk>"


@pytest.mark.parametrize(
    ("changes", "kept"),
    [
        ({}, ("der", "hund")),
        ({"min_count": 3}, ("der", "hund")),
        ({"min_count": 2, "vocabulary_size": 99}, ("der", "hund")),
        ({"min_count": 1, "vocabulary_size": 7}, ("der", "hund", "!")),
        ({"vocabulary_size": 5}, ("der",)),
        ({"special": SPECIAL_RUNNING, "vocabulary_size": 3}, ("der", "hund")),
    ],
)
def test_rare_tokens_are_left_out(changes: dict[str, Any], kept: tuple[str, ...]) -> None:
    assert learn(SENTENCES, tokenizer="words", lower=True, **changes).ordinary == kept


def test_characters_of_running_text_have_one_special_token() -> None:
    vocabulary = learn(["aba\n"], tokenizer="characters", lower=False, special=SPECIAL_RUNNING)
    assert vocabulary.tokens == ("<unk>", "a", "\n", "b")
    assert vocabulary.encode("ab!") == [1, 3, 0]
    assert vocabulary.decode([1, 3, 0]) == "ab<unk>"


def test_subwords_are_as_many_as_asked_for() -> None:
    vocabulary = learn(["der Hund sieht den Hund"] * 2, tokenizer="subwords", lower=False, vocabulary_size=264)
    assert len(vocabulary) == 264
    assert vocabulary.ordinary[256:] == (" H", " d", " Hu", " Hun")
    assert vocabulary.decode(vocabulary.encode("Der Vogel ñ")) == "Der Vogel ñ"
    assert UNK not in vocabulary.encode("Der Vogel ñ")
    few = learn(["ab ab"], tokenizer="subwords", lower=False)  # there are no more pairs
    assert few.ordinary[256:] == (" a", " ab")
    assert few.special == SPECIAL


def test_a_text_may_hold_what_is_called_as_a_special_token() -> None:
    for tokenizer in ("words", "subwords", "characters"):
        vocabulary = learn(["<pad> <eos>"] * 50, tokenizer=tokenizer, lower=False, spaces=True)
        assert not {PAD, UNK, BOS, EOS} & set(vocabulary.encode("<pad> <eos>"))
        assert vocabulary.decode(vocabulary.encode("<pad> <eos>")) == "<pad> <eos>"


@pytest.mark.parametrize(
    ("tokenizer", "size", "message"),
    [
        ("words", 4, "--vocabulary-size 4 (allowed: at least 5, for the special tokens and the others)."),
        ("characters", 1, "--vocabulary-size 1 (allowed: at least 5, for the special tokens and the others)."),
        ("subwords", 259, "--vocabulary-size 259 (allowed: at least 261, for the special tokens and the others)."),
    ],
)
def test_a_vocabulary_needs_room(tokenizer: TokenizerName, size: int, message: str) -> None:
    with pytest.raises(UsageError) as error:
        learn(["der Bär"], tokenizer=tokenizer, lower=False, vocabulary_size=size)
    assert str(error.value) == message


def test_a_vocabulary_needs_tokens() -> None:
    with pytest.raises(UsageError) as error:
        learn(SENTENCES, tokenizer="words", lower=True, min_count=4)
    assert str(error.value) == "no token occurs 4 times in the texts to train on; choose a smaller --min-count."


# Files ----------------------------------------------------------------------------------------------------------------


@given(
    st.lists(st.text(), min_size=1, max_size=5),
    st.sampled_from(["words", "characters", "subwords"]),
    st.booleans(),
    st.sampled_from([SPECIAL, SPECIAL_RUNNING]),
)
@example(["a\\n\n\t \x1b\u2028\u0301 \\x41 \U0001f916"], "characters", False, SPECIAL)
@example(["\t\t \t\t"], "subwords", False, SPECIAL)
def test_files_give_back_the_vocabulary(
    texts: list[str], tokenizer: TokenizerName, spaces: bool, special: tuple[str, ...]
) -> None:
    vocabulary = learn([*texts, "a"], tokenizer=tokenizer, lower=spaces, spaces=spaces, special=special, min_count=1)
    files = vocabulary.files(".source")
    again = Vocabulary.from_files(vocabulary.as_dict(), files.__getitem__, suffix=".source", special=special)
    assert again == vocabulary
    assert hash(again) == hash(vocabulary)
    lines = files["vocabulary.source.txt"].split("\n")
    assert len(lines) == len(vocabulary) + 1
    assert lines[-1] == ""
    for line in lines:
        assert line.isprintable()


def test_files_are_readable() -> None:
    vocabulary = learn(["ein Bär\n"] * 2, tokenizer="subwords", lower=False, vocabulary_size=266)
    files = vocabulary.files()
    assert sorted(files) == ["merges.txt", "vocabulary.txt"]
    tokens = files["vocabulary.txt"].split("\n")
    assert tokens[:6] == ["<pad>", "<unk>", "<bos>", "<eos>", "\\x00", "\\x01"]
    assert tokens[4 + ord("\n")] == "\\n"
    assert tokens[4 + ord("\\")] == "\\\\"
    assert tokens[4 + 255] == "\\udcff"
    assert tokens[260:] == ["ä", " B", " e", " Bä", " Bär", " ei", ""]
    assert files["merges.txt"] == " \tB\n \te\n B\tä\n Bä\tr\n e\ti\n"
    assert vocabulary.as_dict() | {"checksum": ""} == {
        "tokenizer": "subwords", "lower": False, "tokens": 266, "checksum": "",
    }  # fmt: skip


WORDS = Vocabulary(tokenizer=Words(lower=True, spaces=False), ordinary=("a", "b"))
LETTERS = Vocabulary(tokenizer=Characters(lower=False), special=SPECIAL_RUNNING, ordinary=("a", "b"))


@pytest.mark.parametrize(
    "values",
    [
        None, [], {}, WORDS.as_dict() | {"lower": 1}, WORDS.as_dict() | {"spaces": None},
        WORDS.as_dict() | {"tokenizer": "sounds"}, WORDS.as_dict() | {"tokenizer": []},
    ],
)  # fmt: skip
def test_other_values_are_no_vocabulary(values: Any) -> None:
    with pytest.raises(ValueError) as error:  # noqa: PT011 (the text is compared)
        Vocabulary.from_files(values, WORDS.files().__getitem__)
    assert str(error.value) == f"{values!r} for a vocabulary"


def test_changed_files_are_told() -> None:
    changed = WORDS.files()["vocabulary.txt"].replace("b", "c")
    with pytest.raises(DamagedFile) as error:
        Vocabulary.from_files(WORDS.as_dict(), lambda name: changed)
    assert str(error.value) == "vocabulary.txt has changed since it was written"
    way = learn(["ab ab"], tokenizer="subwords", lower=False)
    merges = {**way.files(), "merges.txt": ""}
    with pytest.raises(DamagedFile) as error:
        Vocabulary.from_files(way.as_dict(), merges.__getitem__)
    assert str(error.value) == "vocabulary.txt or merges.txt has changed since it was written"
    with pytest.raises(DamagedFile) as error:
        Vocabulary.from_files(LETTERS.as_dict(), LETTERS.files().__getitem__)
    assert str(error.value) == "vocabulary.txt does not begin with <pad> <unk> <bos> <eos>"

import re

from hypothesis import example, given
from hypothesis import strategies as st

from etude.data.text.tokenizers import Characters, Words

PLAIN = Words(lower=True, spaces=False)
SPACED = Words(lower=False, spaces=True)
SENTENCE = 'Zwei junge, weiße Männer (im Freien) sagen: "Halt!" don\'t.'


def test_words_are_those_of_the_regular_expression() -> None:
    assert PLAIN.split("It's 3.50 €, naïve_name!") == [
        "it", "'", "s", "3", ".", "50", "€", ",", "naïve_name", "!",
    ]  # fmt: skip
    assert PLAIN.join(["it", "'", "s"]) == "it ' s"
    assert PLAIN.split("  \n") == []


def test_words_with_spaces_tell_where_a_space_was() -> None:
    assert SPACED.split("A man, not a boy.") == [" A", " man", ",", " not", " a", " boy", "."]
    assert SPACED.join([" A", " man", "<unk>", "."]) == "A man <unk>."
    assert SPACED.join(SPACED.split(SENTENCE)) == SENTENCE
    assert SPACED.split("(a") == [" (", "a"]


@given(st.text())
def test_words_divide_what_is_no_white_space(text: str) -> None:
    for words in (Words(lower=False, spaces=False), SPACED):
        tokens = [token.removeprefix(" ") for token in words.split(text)]
        assert "".join(tokens) == re.sub(r"\s", "", text)
        assert all(token.isalnum() or "_" in token or len(token) == 1 for token in tokens)


@given(st.text())
@example("ein  Wort\t\n mehr")
def test_words_with_spaces_lose_nothing_but_runs_of_white_space(text: str) -> None:
    single = re.sub(r"\s+", " ", text).strip()
    assert SPACED.join(SPACED.split(text)) == single


@given(st.text())
def test_characters_lose_nothing(text: str) -> None:
    characters = Characters(lower=False)
    assert characters.join(characters.split(text)) == text
    assert Characters(lower=True).split(text) == list(text.lower())

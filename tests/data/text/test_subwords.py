from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from etude.data.text.subwords import BYTES, Subwords, learn_merges, words_of

TEXT = "the cat sat on the mat with the other cat ; ein Mädchen, ein Märchen … " * 3


def learned(text: str, num_tokens: int) -> Subwords:
    counts = Counter(words_of(text, lower=False))
    letters = frozenset([*BYTES, *text])
    return Subwords(
        lower=False, letters=letters, merges=tuple(learn_merges(counts, num_tokens=num_tokens, min_count=2))
    )


def by_recounting(counts: Counter[str], num_tokens: int, min_count: int) -> list[tuple[str, str]]:
    """The merges of Sennrich et al.'s algorithm 1: all pairs are counted again for every merge."""
    words = {word: list(word) for word in counts}
    merges: list[tuple[str, str]] = []
    while len({"".join(pair) for pair in merges}) < num_tokens:
        pairs: Counter[tuple[str, str]] = Counter()
        for word, tokens in words.items():
            for pair in pairwise(tokens):
                pairs[pair] += counts[word]
        if not pairs or max(pairs.values()) < min_count:
            break
        best = min(pairs, key=lambda pair: (-pairs[pair], pair))
        merges.append(best)
        for tokens in words.values():
            place = 0
            while place < len(tokens) - 1:
                if (tokens[place], tokens[place + 1]) == best:
                    tokens[place : place + 2] = ["".join(best)]
                place += 1
    return merges


@given(
    st.dictionaries(st.text("abc", min_size=1, max_size=8), st.integers(1, 9), min_size=1, max_size=12),
    st.integers(0, 12),
)
@example({"aaaa": 2, "aaa": 3, "baaab": 1}, 5)
def test_merges_are_those_of_counting_again(counts: dict[str, int], num_tokens: int) -> None:
    given = Counter(counts)
    assert learn_merges(given, num_tokens=num_tokens, min_count=2) == by_recounting(given, num_tokens, 2)


def test_the_paper_s_example() -> None:
    counts = Counter({"low_": 5, "lower_": 2, "newest_": 6, "widest_": 3})
    merges = learn_merges(counts, num_tokens=3, min_count=1)
    # The paper merges e s, es t, est _. Pairs that are equally frequent may come in another order, to the same end.
    assert "".join(merges[-1]) == "est_"
    assert {"".join(pair) for pair in merges} <= {"es", "est", "st", "st_", "t_", "est_"}


def test_words_are_divided_by_the_earliest_merges() -> None:
    way = Subwords(lower=False, letters=frozenset(BYTES), merges=(("e", "s"), ("es", "t"), ("l", "o"), (" ", "lo")))
    assert way.split("lowest slow") == [" lo", "w", "est", " ", "s", "lo", "w"]


@given(st.text())
@example("\x00\\ \t\n  end ")
@example("ﬁ 🤖 中文 ä́ \u2028\x85")
def test_any_text_comes_back(text: str) -> None:
    way = learned(TEXT, 50)
    assert way.join(way.split(text)) == text


@given(st.lists(st.sampled_from([*BYTES, "a", "ä", " the"])))
def test_any_tokens_have_a_text(tokens: list[str]) -> None:
    text = learned(TEXT, 5).join(tokens)
    assert text.encode("utf-8").decode("utf-8") == text


def test_letters_that_are_unknown_are_bytes() -> None:
    way = learned("ein ein ein", 3)
    assert way.split("ein ñ") == [" ein", " ", "\udcc3", "\udcb1"]
    assert way.join([" ein", "\udcc3"]) == "ein\ufffd"
    assert way.split("\ud800") == [" ", "?"]


@pytest.mark.parametrize(
    ("text", "words"), [("a  b", [" a", " ", " b"]), (" a", [" ", " a"]), ("Ha!? x", [" Ha", "!?", " x"])]
)
def test_words_keep_the_space_before_them(text: str, words: list[str]) -> None:
    assert words_of(text, lower=False) == words
    assert words_of("Ä B", lower=True) == [" ä", " b"]

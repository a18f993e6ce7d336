import torch

from etude.data import Dataset, RunningText, load
from etude.data.summary import html, text
from etude.data.text.description import measure
from etude.data.text.vocabulary import SPECIAL_RUNNING, Vocabulary, learn

OPINIONS = """\
opinions: sentences, licence: Apache 2.0
Sentences with an opinion, in which `not` and `but` count, made by étude

class     train  validation   test
negative  2,000         250    500
positive  2,000         250    500
all       4,000         500  1,000

                      train  validation    test
tokens               49,816       6,161  12,651
tokens per sentence    12.5        12.3    12.7
longest sentence         19          18      18
unknown              0.00 %      0.00 %  0.00 %

Vocabulary: 67 words of the training split, lower-cased.

    negative: although i find the ending very fresh , the dialogue is really shallow .
    positive: the hero is far from deep , but the last scene seems gripping .
    negative: although i find the plot very lively , the dialogue seems truly slow .
"""
PAIRS = """\
yours: pairs of sentences, licence: not stated
given in Python

                              train  validation    test
pairs                            14           2       4
source: tokens                   34           5      11
source: tokens per sentence     2.4         2.5     2.8
source: longest sentence          3           3       3
source: unknown              0.00 %      0.00 %  0.00 %
target: tokens                   28           4       8
target: tokens per sentence     2.0         2.0     2.0
target: longest sentence          2           2       2
target: unknown              0.00 %      0.00 %  0.00 %

Vocabulary of source: 9 words of the training split.
Vocabulary of target: 7 words of the training split.
No pairs to test on: a fifth, 4 in all, is drawn for that.
No pairs to validate on: a tenth of the rest, 2 in all, is drawn for that.

    der Hund → the dog
    ein\\x1bHund → a dog
    der Hund → the dog
"""
RUNNING = """\
yours: running text, licence: not stated
given in Python

          train  validation    test
symbols     319          39      39
unknown  0.00 %      0.00 %  0.00 %

Vocabulary: 11 characters of the training split.
No text to test on: the last 40 characters of the training text are that.
No text to validate on: the last 40 characters of the training text are that.
"""

WORDS = learn(["a a b b"], tokenizer="words", lower=False)


def test_lengths_leave_out_what_is_added() -> None:
    ids = torch.tensor([[2, 4, 5, 3, 0], [2, 1, 3, 0, 0]])
    sizes = measure(ids, WORDS)
    assert (sizes.examples, sizes.tokens, sizes.mean_length, sizes.longest, sizes.unknown) == (2, 3, 1.5, 2, 1 / 3)


def test_running_text_has_symbols_alone() -> None:
    letters = Vocabulary(tokenizer=WORDS.tokenizer, special=SPECIAL_RUNNING, ordinary=("a",))
    sizes = measure(torch.tensor([0, 1, 1, 1]), letters)
    assert (sizes.tokens, sizes.mean_length, sizes.longest, sizes.unknown) == (4, None, None, 0.25)


def test_sentences_show_classes_lengths_and_examples() -> None:
    lines = text(load("opinions")).splitlines()
    assert lines == OPINIONS.splitlines()


def test_pairs_show_both_sides() -> None:
    printed = text(Dataset.of(["der Hund", "ein\x1bHund"] * 10, ["the dog", "a dog"] * 10, kind="pairs"))
    assert printed.splitlines() == PAIRS.splitlines()


def test_running_text_shows_its_beginning() -> None:
    dataset = Dataset.of("To be, or\nnot to be\n" * 20)
    assert isinstance(dataset.kind, RunningText)
    assert text(dataset).splitlines()[:10] == RUNNING.splitlines()


def test_a_notebook_shows_the_same() -> None:
    page = html(load("clauses"))
    assert "<h4>clauses: pairs of sentences, licence: Apache 2.0</h4>" in page
    assert '<td style="text-align: left">de: longest sentence</td><td style="text-align: right">32</td>' in page
    assert "<p>Vocabulary of de: 113 words of the training split.</p>" in page
    assert "→" in page
    assert "<img" not in page

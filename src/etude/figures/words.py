"""The figure of words that moved a classifier's decisions."""

import numpy as np
from matplotlib.figure import Figure

from etude.drawing.words import Sentence, coloured_sentences
from etude.errors import UsageError
from etude.families.abilities import By
from etude.figures.material import Material
from etude.runs.explaining import Explained, explain

_EACH = 3
"""Sentences of the test split that are classified rightly, and as many that are not."""
_BY: dict[By, str] = {
    "gradient": "by gradient times input",
    "occlusion": "lost when <unk> takes the word's place",
}


def words(material: Material) -> Figure:
    """The words of sentences by how much each moved the decision: the person's, or some of the test split."""
    names = material.class_names
    test = material.dataset.test if not material.texts else None
    rows = [] if test is None else _chosen(material)
    texts = list(material.texts) if test is None else [test.texts["text"][row] for row in rows]
    two = len(names) == 2
    by, explained = _explained(material, texts, label=1 if two else None)
    true = [None] * len(texts) if test is None else test.labels[rows].tolist()
    sentences = [
        Sentence(heading=_heading(each, names, label), words=each.words, known=each.known, scores=each.scores)
        for each, label in zip(explained, true, strict=True)
    ]
    about = f"log-odds of {names[1]} against {names[0]}" if two else "log-odds of the predicted class"
    return coloured_sentences(
        sentences,
        title=material.title("Words that moved the decision", with_names=True),
        axis=f"{about}, {_BY[by]}, in nats",
        ends=(names[0], names[1]) if two else ("against", "for"),
    )


def _explained(material: Material, texts: list[str], *, label: int | None) -> tuple[By, list[Explained]]:
    """What moved the decisions: as asked for, else by gradient if the network has one of a word."""
    by: By = "gradient" if material.by is None else material.by
    try:
        return by, explain(material.run, texts, by=by, label=label)
    except UsageError:
        if material.by:
            raise
        # A network of one's own that looks its vectors up in another way.
        return "occlusion", explain(material.run, texts, by="occlusion", label=label)


def _heading(explained: Explained, names: list[str], label: int | None) -> str:
    """What was predicted, how surely, and what is true if that is known."""
    predicted = explained.predicted
    text = f"predicted: {names[predicted]}, p = {explained.probabilities[predicted]:.2f}"
    if label is None:
        return text
    return f"{text}; right" if label == predicted else f"{text}; wrong, it is {names[label]}"


def _chosen(material: Material) -> list[int]:
    """Test sentences that are classified rightly, the surest, the middle and the least sure; and as many wrongly."""
    test = material.dataset.test
    probabilities = material.run.classify(test[material.run.kind.column]).numpy()
    sure, right = probabilities.max(axis=1), probabilities.argmax(axis=1) == test.labels.numpy()
    order = np.argsort(-sure, kind="stable")
    found: list[int] = []
    for part in (order[right[order]], order[~right[order]]):
        places = np.linspace(0, len(part) - 1, min(_EACH, len(part))).round().astype(int)
        found += part[places].tolist()
    return found

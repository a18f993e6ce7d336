"""docs/studies.md: a section per study, with its claim, its verdict and its picture."""

import re
from pathlib import Path

import pytest

from etude.studies import book
from etude.studies.evidence import VERDICTS

DOCS = Path(__file__).parents[2] / "docs"
SECTIONS = dict(re.findall(r"^### (.*?)\n(.*?)(?=^##|\Z)", (DOCS / "studies.md").read_text("utf-8"), re.M | re.S))


def test_the_page_has_every_study_in_its_order() -> None:
    assert list(SECTIONS) == [name for _, name in book.listed()]


@pytest.mark.parametrize("name", SECTIONS)
def test_a_section_has_claim_verdict_and_picture(name: str) -> None:
    study, section = book.find(name), " ".join(SECTIONS[name].split())
    for text in (study.question, f"Claim: {study.claim}", study.explanation, study.wrong_answer):
        assert " ".join(text.split()) in section
    verdict = re.search(r"\*\*(\w+( if)?)", section)
    assert verdict
    assert verdict[1].lower() in VERDICTS
    assert (DOCS / "images" / "studies" / f"{name}.png").read_bytes().startswith(b"\x89PNG")

"""Write docs/studies.md and its pictures: every study is settled, in full or in its quick form.

    python benchmarks/study_page.py            # from the results that are there
    python benchmarks/study_page.py --run      # settles the studies that have none first
    python benchmarks/study_page.py --run --quick --only gans

The figures come from studies/NAME in the folder of runs, so that a page can be written without running all again.
"""

import argparse
import shutil
import textwrap
import time
from pathlib import Path
from typing import Any

import etude
from etude.files import parse_checked_json
from etude.runs import default_runs_dir
from etude.studies import Ruling, Study, book

DOCS = Path(__file__).parents[1] / "docs"
TITLES = {
    "generalisation": "Generalisation",
    "optimisation": "Optimisation",
    "activations": "Activations and losses",
    "gans": "GANs",
    "vaes": "VAEs",
    "sequences": "Sequences",
}
HEAD = """# Studies

A study settles a claim of textbooks or folklore by an experiment: `etude study NAME`. It prints the question, the
claim, the evidence with 95 % intervals, a verdict, and why. Each verdict follows from the numbers by a rule in the
study's file, `src/etude/studies/TOPIC/NAME.py`. Every number of an experiment is a flag: look for where a claim breaks.

    etude study xy-game --step-size 0.25 --steps 200
    etude study --list                                # by topic
    etude study batch-doubling --ask                  # predict first
    etude study ravine --quick                        # under 30 seconds
    etude study --quiz sheet.toml --out sheet         # a sheet for a class, and its solution

In Python, `etude.study("xy-game")` shows itself in a notebook.
[extending](extending.md#a-study) has a study of your own.

The seconds are those of the full form on two cores. They vary with the machine.
"""


def settled(study: Study) -> dict[str, Any] | None:
    """What the study found when it ran last."""
    path = default_runs_dir() / "studies" / study.name / "study.json"
    return parse_checked_json(path.read_bytes())[0] if path.exists() else None


def wrapped(text: str) -> str:
    """A paragraph in lines of at most 120 characters."""
    return textwrap.fill(text, 120, break_long_words=False, break_on_hyphens=False)


def section(study: Study, found: dict[str, Any]) -> str:
    """A study on the page."""
    verdict = Ruling(found["verdict"], found["because"], found["condition"]).answer
    parts = [
        f"### {study.name}",
        wrapped(study.question),
        wrapped(f"Claim: {study.claim}"),
        wrapped(f"**{verdict[0].upper()}{verdict[1:]}**: {found['because']}"),
        wrapped(f"{study.explanation} ({study.source})"),
        *([wrapped(f"Often said: {study.wrong_answer}")] if study.wrong_answer else []),
        f"![What the study {study.name} measured](images/studies/{study.name}.png)",
        f"`etude study {study.name}`: {found['seconds']:.0f} s{', quick form' if found['quick'] else ''}.",
    ]
    return "\n\n".join(parts)


def main() -> None:
    """Settle what is asked for and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", action="store_true", help="settle the studies that have no result")
    parser.add_argument("--quick", action="store_true", help="in their quick form")
    parser.add_argument("--only", help="only this topic")
    options = parser.parse_args()
    pictures = DOCS / "images" / "studies"
    pictures.mkdir(exist_ok=True)
    parts = [HEAD.rstrip()]
    for topic in book.TOPICS:
        studies = [study for study in book.all_studies() if study.topic == topic]
        for study in studies:
            if options.run and settled(study) is None and options.only in (None, topic):
                started = time.perf_counter()
                found = etude.study(study, quick=options.quick)
                print(f"{study.name:<24}{found.verdict:<12}{time.perf_counter() - started:7.1f} s", flush=True)
        known = [(study, found) for study in studies if (found := settled(study))]
        if known:
            parts.append(f"## {TITLES[topic]}")
        for study, found in known:
            shutil.copy(found["figure"], pictures / f"{study.name}.png")
            parts.append(section(study, found))
    (DOCS / "studies.md").write_text("\n\n".join(parts) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

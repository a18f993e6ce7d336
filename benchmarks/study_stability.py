"""Settle each study's quick form for several master seeds and count its verdicts.

    python benchmarks/study_stability.py                       # 20 seeds of every study that draws anything
    python benchmarks/study_stability.py --seeds 5 --only vaes

Master seed k trains with seeds 100 k, 100 k + 1 and so on, so no two share a run. Verdicts are appended to
studies/stability.jsonl in the folder of runs, and what is there is not settled again. The table names each study with
different verdicts. The exit code is 1 if a verdict turned into its opposite, or if more than one seed in 20 left it
undecided.
"""

import argparse
import json
from collections import Counter
from dataclasses import fields
from tempfile import TemporaryDirectory

import etude
from etude.runs import default_runs_dir
from etude.studies import Study, book


def draws(study: Study) -> bool:
    """Whether a study depends on a seed."""
    return "seed" in {field.name for field in fields(study.design)}


def verdict(study: Study, master: int) -> str:
    """What the quick form says, with runs that no other seed shares."""
    with TemporaryDirectory() as folder:
        return etude.study(study, quick=True, seed=100 * master, runs_dir=folder, jobs=1).ruling.verdict


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--only", choices=book.TOPICS)
    given = parser.parse_args()
    studies = [book.find(name) for topic, name in book.listed() if given.only in (None, topic)]
    studies = [study for study in studies if draws(study)]
    path = default_runs_dir() / "studies" / "stability.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
    found = {(line["study"], line["master"]): line["verdict"] for line in lines}
    with path.open("a") as file:
        for master in range(given.seeds):
            for study in studies:
                if (study.name, master) not in found:
                    found[study.name, master] = verdict(study, master)
                    line = {"study": study.name, "master": master, "verdict": found[study.name, master]}
                    print(json.dumps(line), file=file, flush=True)
    wrong = False
    for study in studies:
        counts = Counter(found[study.name, master] for master in range(given.seeds))
        if len(counts) > 1:
            (usual, _), *others = counts.most_common()
            wrong |= any(other != "undecided" for other, _ in others) or counts["undecided"] > given.seeds // 20
            print(f"{study.name:<26}{usual} {counts[usual]}, {', '.join(f'{o} {n}' for o, n in others)}")
    print(f"{len(studies)} studies, {given.seeds} seeds each.")
    return wrong


if __name__ == "__main__":
    raise SystemExit(main())

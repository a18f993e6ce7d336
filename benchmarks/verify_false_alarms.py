"""How often `verify` calls a right answer wrong: the right variants of the tests, over many seeds.

    python benchmarks/verify_false_alarms.py FIRST LAST [random] [generated] [fixed] [CONTRACT …]

For every seed in [FIRST, LAST) every contract (or only those named) judges its right variants: checks of random draws
("random") all of them, checks of generated inputs ("generated") and checks of fixed shapes and settings whose numbers
are the seed's ("fixed") one in turn; a contract that is named judges all of its variants.
Prints the number of verdicts and every one that is not `pass`. On one core a seed takes about 0.5 s for the random
checks, 1 s for the generated and 1 s for the fixed ones.
"""

import importlib
import sys
import time
import warnings
from pathlib import Path

ANSWERS = Path(__file__).parent.parent / "tests" / "verify" / "answers"


def main(first: int, last: int, words: list[str]) -> None:
    from etude.verify import CONTRACTS
    from etude.verify.loader import Loaded
    from etude.verify.matching import judge

    warnings.simplefilter("ignore")  # the variants' own
    sys.path.insert(0, str(ANSWERS))
    start, verdicts, alarms = time.perf_counter(), 0, 0
    named = [CONTRACTS[word] for word in words if word in CONTRACTS]
    kinds = [word for word in words if word not in CONTRACTS]
    for seed in range(first, last):
        for contract in named or CONTRACTS.values():
            for check in contract.checks:
                kind = "random" if check.is_random else "generated" if check.inputs else "fixed"
                if kinds and kind not in kinds:
                    continue
                files = sorted(path.stem for path in ANSWERS.glob(f"{contract.name}_right_*.py"))
                for file in files if check.is_random or named else [files[seed % len(files)]]:
                    answer = importlib.import_module(file)
                    result = judge(check, Loaded(vars(answer)).named(check.looks_for), seed=seed)
                    verdicts += 1
                    if result.status != "pass":
                        alarms += 1
                        print(f"false alarm: seed {seed}, {file}: {result}", flush=True)
        if (seed + 1 - first) % 20 == 0 or seed + 1 == last:
            seconds = time.perf_counter() - start
            verdict = f"{alarms} false alarms in {verdicts:,} verdicts"
            print(f"seeds {first} to {seed}: {verdict}, {seconds:.0f} s", flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:])

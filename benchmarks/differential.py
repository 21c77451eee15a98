"""The engine against the token-by-token reference of the tests, on many random scenarios.

``python benchmarks/differential.py --scenarios 2000`` prints what disagreed, and ends with an error if
anything did.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from pathlib import Path
from time import perf_counter

# The reference lives in the tests, which are no part of an installed package.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

REPORT_EVERY_S = 5.0


def main() -> int:
    """Run the scenarios; 1 when one of them disagreed."""
    parser = argparse.ArgumentParser(description="Compare the engine with the reference simulator.")
    parser.add_argument("--scenarios", type=int, default=2000, help="random scenarios (default 2000)")
    parser.add_argument("--first-seed", type=int, default=0, help="seed of the first one (default 0)")
    parser.add_argument("--max-failures", type=int, default=5, help="stop after as many disagreements (default 5)")
    arguments = parser.parse_args()

    from tests.differential.cases import make_case, random_features
    from tests.differential.compare import check_same, run_both

    began_s = told_s = perf_counter()
    found: Counter[str] = Counter()
    failures = done = 0
    for seed in range(arguments.first_seed, arguments.first_seed + arguments.scenarios):
        features = random_features(seed)
        try:
            engine, reference = run_both(make_case(features))
            found.update(reference.seen)
            found.update(name for name, count in reference.state.counters.items() if count > 0)
            found["decisions"] += len(reference.records)
            check_same(engine, reference)
        except AssertionError as error:
            failures += 1
            print(f"{features}\n{error}")
        done += 1
        if failures >= arguments.max_failures:
            break
        if perf_counter() - told_s > REPORT_EVERY_S:
            told_s = perf_counter()
            print(f"{done} of {arguments.scenarios} scenarios, {failures} disagree", file=sys.stderr, flush=True)
    for name, count in sorted(found.items()):
        print(f"{name:24} {count}")
    print(f"{done} scenarios in {perf_counter() - began_s:.0f} s, {failures} disagree")
    return int(failures > 0)


if __name__ == "__main__":
    sys.exit(main())

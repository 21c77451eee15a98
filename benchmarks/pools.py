"""What two pools are worth on the same GPUs: ``python benchmarks/pools.py [--seeds 10-14] [--jobs N] [--write]``.

The scenario `pools` under the same policies and seeds, once with all nodes doing both (co-located, chunked prefill),
once for each split of its clusters of four nodes. Differences are paired by seed, to the same policy co-located.
``--write`` puts the table into docs/disaggregation.md. Episodes go through ``evaluation.compare``, a folder a split
under runs/pools, where finished ones are taken as they are.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from maestro_gym.cli.console import seed_numbers
from maestro_gym.core.run_folder import run_folder
from maestro_gym.evaluation.compare import compare
from maestro_gym.evaluation.comparison import Comparison
from maestro_gym.evaluation.report.display import SHOWN, bounds, number
from maestro_gym.evaluation.statistics import paired_differences

ROOT = Path(__file__).resolve().parents[1]
RUNS = ROOT / "runs" / "pools"
PAGE = ROOT / "docs" / "disaggregation.md"
SCENARIO = "pools"
POLICIES = ("maestro", "distserve+maestro", "splitwise+maestro", "searched")
SPLITS = (None, 2)
"""Nodes of each cluster of four that only prefill, the others decode; None: all do both."""

METRICS = ("ttft_mean_s", "ttft_attainment", "tpot_mean_s", "tpot_p95_s", "completion_mean_s", "slo_attainment")


def run(split: int | None, seeds: str, jobs: int | None) -> Comparison:
    """Run the policies on one split, or take what is there."""
    folder = RUNS / f"{'together' if split is None else split}-{seeds}"
    begun = folder.exists()
    pools = "null" if split is None else f"{{prefill_nodes: {split}}}"
    with run_folder(folder, resume=begun):
        return compare(
            [SCENARIO],
            list(POLICIES),
            seeds=seed_numbers(seeds),
            overrides=[f"fleet.disaggregation={pools}"],
            folder=folder,
            resume=begun,
            reference=POLICIES[0],
            jobs=jobs,
        )


def markdown(found: dict[int | None, Comparison]) -> str:
    """A row a policy and split: means, and paired differences to the policy itself where all nodes do both."""
    shown = [SHOWN[column] for column in METRICS]
    heads = [words for item in shown for words in (item.heading, "to co-located")]
    rows = [["policy", "nodes", *heads], ["---", "---", *["---:"] * len(heads)]]
    for policy in POLICIES:
        for split, comparison in found.items():
            setting, together = comparison.settings[0], found[None]
            nodes = "do both" if split is None else f"{split} prefill, {4 - split} decode"
            cells = [f"`{policy}`", nodes]
            own, its = comparison.values(setting, policy), together.values(together.settings[0], policy)
            for item in shown:
                value = comparison.cell(setting, policy, item.column).value
                cells.append(f"{number(value.estimate * item.scale)} {bounds(value, item.scale)}")
                gap = paired_differences(own[item.column].to_numpy(), its[item.column].to_numpy())[0]
                text = number(gap.estimate * item.scale, signed=True)
                text = f"**{text}**" if gap.excludes_zero else text
                cells.append("" if split is None else f"{text} {bounds(gap, item.scale)}")
            rows.append(cells)
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def main() -> None:
    """Run, print, write."""
    parser = argparse.ArgumentParser(description="What two pools are worth on the same GPUs.")
    parser.add_argument("--seeds", default="10-14", help="test seeds")
    parser.add_argument("--jobs", type=int, help="processes; all usable cores without it")
    parser.add_argument("--write", action="store_true", help="put the table into docs/disaggregation.md")
    asked = parser.parse_args()
    text = markdown({split: run(split, asked.seeds, asked.jobs) for split in SPLITS})
    print(text)
    if asked.write:
        begin, end = "<!-- pools begin -->", "<!-- pools end -->"
        head, _, rest = PAGE.read_text(encoding="utf-8").partition(begin)
        PAGE.write_text(f"{head}{begin}\n\n{text}\n\n{end}{rest.partition(end)[2]}", encoding="utf-8")


if __name__ == "__main__":
    main()

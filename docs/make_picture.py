"""Draw the picture of the README from the records of the benchmarks, which hold every episode: ``make leaderboard``."""

from __future__ import annotations

import sys
from pathlib import Path

import matplotlib
import numpy as np

from maestro_gym.core.colours import GREY
from maestro_gym.evaluation.report.palette import STYLE, figure, legend_below, look
from maestro_gym.evaluation.suite.record import Record, read_record

ROOT = Path(__file__).resolve().parents[1]
PICTURE = ROOT / "docs" / "images" / "quick-by-load.png"
LOADS = {"low": 0.5, "medium": 0.8, "high": 1.1, "overload": 1.5}
"""The benchmarks ``quick-...``, with the offered load of each, relative to the capacity."""


def draw(records: Path, path: Path) -> None:
    """Draw attainment by load, and the paired differences to the reference where most rivals are close.

    Args:
        records: The folder of records, one folder a benchmark.
        path: The PNG to write.
    """
    by_load = {label: _records(records / f"quick-{label}") for label in LOADS}
    names = list(by_load["high"])
    with matplotlib.rc_context(STYLE):
        fig, (left, right) = figure(1, 2, width=7.4, height=3.2)
        for index, name in enumerate(names):
            values = [by_load[label][name].summary["slo_attainment"].value for label in LOADS]
            middle = 100 * np.array([value.mean for value in values])
            sides = np.abs(100 * np.array([(value.low, value.high) for value in values]).T - middle)
            left.errorbar(list(LOADS.values()), middle, yerr=sides, label=name, capsize=2, **look(index))
        left.set(title="SLO attainment [%]", xlabel="offered load, relative to the capacity", ylim=(0, 102))
        left.set_xticks(list(LOADS.values()), [f"{label}\n{load}" for label, load in LOADS.items()])
        reference = by_load["high"][names[0]].reference.name
        others = [name for name in names if name != reference]
        right.axvline(0.0, color=GREY, linewidth=1)
        for row, name in enumerate(others):
            gap = by_load["high"][name].summary["slo_attainment"].difference
            sides = np.array([[gap.mean - gap.low], [gap.high - gap.mean]]) * 100
            right.errorbar(100 * gap.mean, row, xerr=sides, capsize=3, **look(names.index(name)))
        right.set(title=f"high load: points above {reference}", ylim=(len(others) - 0.5, -0.5))
        right.set_yticks(range(len(others)), others)
        right.grid(axis="y", visible=False)
        legend_below(fig, left, names)
        fig.savefig(path, dpi=140)


def _records(folder: Path) -> dict[str, Record]:
    """The records of a benchmark by their policy, the best first."""
    records = [read_record(path) for path in sorted(folder.glob("*.json"))]
    records.sort(key=lambda record: -record.summary["slo_attainment"].value.mean)
    return {record.policy.name: record for record in records}


if __name__ == "__main__":
    draw(ROOT / "benchmarks" / "records", Path(sys.argv[1]) if len(sys.argv) > 1 else PICTURE)

"""Where two random choices beat the shortest queue: ``python benchmarks/stale_signals.py [--only NAME] [--write]``.

Queue lengths and running stages as routers know them are scraped every so often (``limits.signals``,
docs/stale_signals.md). The source of the question is Mitzenmacher, "How Useful Is Old Information?" (IEEE TPDS 11(1),
2000): whoever joins the shortest of old queues joins the crowd of all who read the same copy.

- ``replicas``: the eight nodes of `quick` serve one model, single requests. Every node is a candidate, as there.
- ``quick``: the scenario as it is, where a model is warm on few nodes. The pair has the same gate, order and node rule,
  and takes warm nodes first.
- ``routers``: `replicas` with several routers, each with scrapes of its own, that count what they sent or not.

Node queues have no limit. ``--write`` puts tables and plot into docs. Episodes go through ``evaluation.compare``, a
folder a period under runs/stale-signals, where finished ones are taken as they are.
"""

from __future__ import annotations

import argparse
import itertools
import math
from dataclasses import dataclass
from pathlib import Path

import matplotlib.pyplot as plt

from maestro_gym.cli.console import seed_numbers
from maestro_gym.core.colours import COLOURS, GREY
from maestro_gym.core.run_folder import run_folder
from maestro_gym.evaluation.compare import compare
from maestro_gym.evaluation.comparison import Comparison
from maestro_gym.evaluation.report.display import bounds, number
from maestro_gym.evaluation.statistics import Interval

ROOT = Path(__file__).resolve().parents[1]
RUNS = ROOT / "runs" / "stale-signals"
PAGE, PLOT = ROOT / "docs" / "stale_signals.md", ROOT / "docs" / "images" / "stale-signals.png"
TIME = "completion_mean_s"


@dataclass(frozen=True)
class Study:
    """One setting under all periods.

    Attributes:
        load: Offered load.
        policies: The shortest queue, two choices, and others for comparison.
        seeds: Of the test episodes.
        periods_s: Time between two scrapes, 0 = always fresh.
        overrides: Of the scenario `quick`.
    """

    load: float
    policies: tuple[str, ...]
    seeds: str
    periods_s: tuple[float, ...]
    overrides: tuple[str, ...] = ()


STUDIES = {
    "replicas": Study(
        0.5,
        ("jsq", "power-of-two", "random"),
        "10-14",
        (0.0, 0.02, 0.05, 0.1, 0.5, 2.0, 8.0),
        (
            "models=[{name: chat, architecture: Llama-3.1-8B}]",
            "workload.requests={prompt_tokens: 1000, output_tokens: {median: 200, sigma: 1, high: 4000}}",
            "horizon_s=120",
            "drain_s=300",
        ),
    ),
    "quick": Study(0.8, ("warm-jsq", "power-of-two"), "10-12", (0.0, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0)),
}

ROUTERS = (1, 2, 4, 8)
ROUTER_PERIODS_S = (1.0, 8.0)


def run(name: str, study: Study, period_s: float, routers: int = 1, *, own_sends: bool = False) -> Comparison:
    """Run the policies with one period and some routers, or take what is there."""
    folder = RUNS / f"{name}-{study.seeds}-{period_s:g}s{f'-{routers}' * (routers > 1)}{'-own' * own_sends}"
    begun = folder.exists()
    ages = [f"limits.signals.{kind}.period_s={period_s:g}" for kind in ("queues", "running")]
    ages += [f"limits.signals.routers={routers}", f"limits.signals.own_sends={own_sends}"]
    with run_folder(folder, resume=begun):
        return compare(
            ["quick"],
            list(study.policies),
            seeds=seed_numbers(study.seeds),
            overrides=[*study.overrides, f"workload.load={study.load:g}", "limits.node_queue_limit=inf", *ages],
            folder=folder,
            resume=begun,
            reference=study.policies[0],
        )


def value(comparison: Comparison, policy: str) -> Interval:
    """Mean completion time of a policy [s]."""
    return comparison.cell(comparison.settings[0], policy, TIME).value


def crossing_s(gaps: list[tuple[float, float]]) -> float:
    """Period from which two choices are better, between two periods that were run; nan where they do not cross.

    Args:
        gaps: (period [s], mean completion of two choices less that of the shortest queue [s]), by period.
    """
    for (before_s, before), (after_s, after) in itertools.pairwise(gaps):
        if before > 0.0 >= after:
            return before_s + (after_s - before_s) * before / (before - after)
    return math.nan


def markdown(study: Study, found: dict[float, Comparison]) -> str:
    """The table, and the crossing in words where every difference beyond it excludes zero."""
    shortest, two = study.policies[:2]
    heads = [*(f"`{name}` [s]" for name in study.policies), f"`{two}` to `{shortest}` [s]"]
    rows = [["scrape every [s]", *heads], ["---:"] * (len(heads) + 1)]
    gaps: list[tuple[float, Interval]] = []
    for period_s, comparison in found.items():
        values = [value(comparison, name) for name in study.policies]
        gap = comparison.cell(comparison.settings[0], two, TIME).difference
        text = number(gap.estimate, signed=True)
        gaps.append((period_s, gap))
        rows.append(
            [
                f"{period_s:g}" if period_s else "always fresh",
                *(f"{number(v.estimate)} {bounds(v, 1.0)}" for v in values),
                f"{f'**{text}**' if gap.excludes_zero else text} {bounds(gap, 1.0)}",
            ]
        )
    table = "\n".join(f"| {' | '.join(row)} |" for row in rows)
    at_s = crossing_s([(period_s, gap.estimate) for period_s, gap in gaps])
    clear = not math.isnan(at_s) and all(gap.excludes_zero and gap.high < 0.0 for s, gap in gaps if s > at_s)
    words = (
        f"They cross at a period of about {at_s:.2g} s, by a straight line between two rows."
        if clear
        else "No period separates the two clearly: intervals of the difference hold zero, or its sign comes and goes."
    )
    return f"{table}\n\n{words}"


def routers_markdown(study: Study) -> str:
    """The table of several routers, without and with their own sends counted."""
    heads = ["scrape every [s]", "routers", *(f"`{name}` [s]" for name in study.policies)]
    heads += [f"`{name}`, own sends counted [s]" for name in study.policies[:2]]
    rows = [heads, ["---:"] * len(heads)]
    for period_s, routers in itertools.product(ROUTER_PERIODS_S, ROUTERS):
        plain, counted = (run("replicas", study, period_s, routers, own_sends=own) for own in (False, True))
        values = [value(plain, name) for name in study.policies]
        values += [value(counted, name) for name in study.policies[:2]]
        rows.append([f"{period_s:g}", str(routers), *(f"{number(v.estimate)} {bounds(v, 1.0)}" for v in values)])
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def draw(studies: dict[str, dict[float, Comparison]]) -> None:
    """Mean completion by period, a panel a study, a line a policy with its interval."""
    figure, panels = plt.subplots(1, len(studies), figsize=(8.4, 3.3), layout="constrained")
    for axes, (name, found) in zip(panels, studies.items(), strict=True):
        places = range(len(found))
        for policy, colour in zip(STUDIES[name].policies, COLOURS, strict=False):
            values = [value(comparison, policy) for comparison in found.values()]
            axes.plot(places, [v.estimate for v in values], color=colour, marker="o", markersize=3, label=policy)
            axes.fill_between(
                places, [v.low for v in values], [v.high for v in values], color=colour, alpha=0.15, linewidth=0
            )
        axes.set_xticks(list(places), [f"{period_s:g}" for period_s in found])
        axes.set(xlabel="time between two scrapes [s]", ylabel="mean completion [s]", title=name)
        axes.grid(axis="y", color=GREY, alpha=0.3)
        axes.legend(frameon=False)
        for side in ("top", "right"):
            axes.spines[side].set_visible(False)
    figure.savefig(PLOT, dpi=120)
    plt.close(figure)


def main() -> None:
    """Run, print, write."""
    parser = argparse.ArgumentParser(description="Where two random choices beat the shortest queue.")
    parser.add_argument("--only", choices=(*STUDIES, "routers"), help="one of the tables; without: all, and the plot")
    parser.add_argument("--write", action="store_true", help="put tables and plot into docs")
    options = parser.parse_args()
    studies = {
        name: {s: run(name, study, s) for s in study.periods_s}
        for name, study in STUDIES.items()
        if options.only in (None, name)
    }
    texts = {name: markdown(STUDIES[name], found) for name, found in studies.items()}
    if options.only in (None, "routers"):
        texts["routers"] = routers_markdown(STUDIES["replicas"])
    for name, text in texts.items():
        print(f"{name}\n\n{text}\n")
        if options.write:
            begin, end = f"<!-- stale-{name} begin -->", f"<!-- stale-{name} end -->"
            head, _, rest = PAGE.read_text(encoding="utf-8").partition(begin)
            PAGE.write_text(f"{head}{begin}\n\n{text}\n\n{end}{rest.partition(end)[2]}", encoding="utf-8")
    if options.write and options.only is None:
        draw(studies)


if __name__ == "__main__":
    main()

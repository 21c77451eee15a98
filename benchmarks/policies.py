"""Search the shipped policies again and write their model cards: ``make policies``.

Each policy of `SHIPPED` is searched by its configuration into ``runs/policies/NAME``; a search that was interrupted
goes on, one that is finished is taken as it is (``--anew`` forgets it). Its file becomes
``configs/policies/NAME.yaml``, that of a tuned rival ``benchmarks/rivals/NAME.yaml``. Then Maestro meets it on
test seeds, which makes its card, ``docs/policies/NAME.md``, with the curve of the search.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from rich.console import Console

from maestro_gym.agents.logs import LOG_FILE
from maestro_gym.agents.search.search import STATE_FILE, run_search
from maestro_gym.baselines.shaped.file import POLICY_FILE, read_numbers
from maestro_gym.config import load_search
from maestro_gym.core.colours import COLOURS, GREY
from maestro_gym.evaluation.compare import compare
from maestro_gym.evaluation.comparison import Comparison, Setting
from maestro_gym.evaluation.statistics import Interval

ROOT = Path(__file__).resolve().parents[1]
RUNS = ROOT / "runs" / "policies"
CARDS = ROOT / "docs" / "policies"

RIVALS = ("qoserve", "saga-affinity", "goodserve", "continuum-ttl", "saga-wa-lru", "qlm")
"""Systems whose numbers are tuned, with Maestro's other rules around them."""


@dataclass(frozen=True)
class Shipped:
    """A policy that is searched here.

    Attributes:
        configuration: Of its search, a name of configs/search.
        about: What it is, a sentence.
        overrides: Of the configuration.
    """

    configuration: str
    about: str
    overrides: tuple[str, ...] = ()


def _tuned(rival: str) -> Shipped:
    about = f"`{rival}` among Maestro's other rules, its own numbers and the engines' limits tuned: a rival."
    return Shipped("tuned-rival", about, (f"family={rival}+maestro",))


SHIPPED = {
    "searched": Shipped("generalist", "One file of numbers for all loads; every tier and reclaim."),
    "searched-global": Shipped("searched-global", "Order and late binding alone; cluster and node are Maestro's."),
    "searched-cluster": Shipped("searched-cluster", "The choice of node alone; global and node are Maestro's."),
    "searched-node": Shipped("searched-node", "Reservations and reclaim alone; global and cluster are Maestro's."),
    "tuned-maestro": Shipped("tuned-maestro", "Maestro with its own constants and the engines' limits tuned: a rival."),
    "tuned-edf": Shipped("tuned-edf", "Earliest deadline first with relegation, and the engines' limits: a rival."),
    "tuned-srtf": Shipped("tuned-srtf", "Shortest remaining time first with relegation, and the limits: a rival."),
    **{f"tuned-{rival}": _tuned(rival) for rival in RIVALS},
}
"""Policies by name."""

SEEDS = tuple(range(100, 120))
"""Test seeds that nothing is chosen by."""

CONTENTIONS = ("low", "medium", "high", "overload")


def file_of(name: str) -> Path:
    """Where the numbers of a policy are kept; a rival belongs to its own limits of engines and has no name."""
    folder = ROOT / "benchmarks" / "rivals" if name.startswith("tuned") else ROOT / "configs" / "policies"
    return folder / f"{name}.yaml"


def search(name: str, anew: bool, console: Console) -> None:
    """Search one policy, or go on with it, and ship what was found."""
    folder = RUNS / name
    if anew and folder.exists():
        shutil.rmtree(folder)
    begun = (folder / STATE_FILE).exists()
    shipped = SHIPPED[name]
    config = load_search(shipped.configuration, shipped.overrides)
    run_search(config, out=None if begun else folder, resume=folder if begun else None, console=console)
    file_of(name).parent.mkdir(exist_ok=True)
    shutil.copyfile(folder / POLICY_FILE, file_of(name))


def draw_curve(name: str, path: Path) -> bool:
    """Gain of the candidates of every generation, where the log of the search is at hand."""
    import matplotlib.pyplot as plt

    log = RUNS / name / LOG_FILE
    if not log.is_file():
        return False
    rows = pd.read_csv(log)
    figure, axes = plt.subplots(figsize=(7, 3.2), layout="constrained")
    axes.axhline(0, color=GREY, linewidth=1)
    axes.plot(rows["generation"], 100 * rows["slo_gain_mean"], color=COLOURS[0], label="mean of the candidates")
    axes.plot(rows["generation"], 100 * rows["slo_gain_best"], ".", color=GREY, markersize=4, label="best candidate")
    axes.set(xlabel="generation, each on fresh training episodes", ylabel="SLO attainment\nabove Maestro, points")
    axes.legend(frameon=False)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120)
    plt.close(figure)
    return True


def _percent(interval: Interval, factor: float = 100.0) -> str:
    return f"{factor * interval.estimate:+.1f} [{factor * interval.low:.1f}, {factor * interval.high:.1f}]"


def _row(comparison: Comparison, setting: Setting, name: str) -> str:
    slo = comparison.cell(setting, name, "slo_attainment")
    base = comparison.cell(setting, "maestro", "completion_mean_s").value.estimate
    completion = comparison.cell(setting, name, "completion_mean_s").difference
    classes = [
        _percent(comparison.cell(setting, name, f"slo_attainment_{cls}").difference) for cls in ("interactive", "batch")
    ]
    unfinished = comparison.cell(setting, name, "unfinished").difference
    maestro = comparison.cell(setting, "maestro", "slo_attainment").value.estimate
    cells = [
        f"`{setting.scenario}`, {setting.contention}",
        f"{maestro:.1%}",
        f"{slo.value.estimate:.1%}",
        _percent(slo.difference),
        *classes,
        _percent(completion, 100 / base),
        _percent(unfinished, 1.0),
    ]
    return f"| {' | '.join(cells)} |"


def card(name: str) -> None:
    """Hold a policy against Maestro on test seeds and write its card."""
    shipped = SHIPPED[name]
    path = file_of(name).relative_to(ROOT)
    file = read_numbers(path)
    spec = name if path.parts[0] == "configs" else str(path)
    comparison = compare(
        ["quick"], [spec, "maestro"], contentions=CONTENTIONS, seeds=SEEDS, reference="maestro", own_limits=True
    )
    picture = CARDS / f"{name}.png"
    curve = f"\n![The search]({picture.name})\n" if draw_curve(name, picture) else ""
    found = file.about
    seeds, loads = f"{SEEDS[0]}-{SEEDS[-1]}", ",".join(CONTENTIONS)
    command = f"maestro-gym compare -s quick -c {loads} -p {spec},maestro --seeds {seeds}"
    limits = f"\nIt belongs to these limits of the engines: `{json.dumps(file.knobs)}`.\n" if file.knobs else ""
    text = f"""# {name}

{shipped.about} {len(file.numbers)} numbers differ from Maestro's: `{path}`.
{limits}
Found by: {found["found_by"]}.

Kept from generation {found["generations"]}, after {found["episodes"]:,} episodes of training and validation seeds,
against `{found["reference"]}` on the same episodes; `configs/search/{shipped.configuration}.yaml` holds the settings.
{curve}
## On test seeds {SEEDS[0]} to {SEEDS[-1]}

Differences to Maestro, paired, with 95 % intervals.

| scenario | Maestro, SLO | SLO | points | interactive | batch | mean completion, % | unfinished |
| --- | --- | --- | --- | --- | --- | --- | --- |
{chr(10).join(_row(comparison, setting, name) for setting in comparison.settings)}

```sh
{command} --reference maestro --own-limits
```

## Limits

It was searched on `quick`, simulated; nothing in it was chosen on real servers. It reads predictions (class P).
"""
    CARDS.mkdir(parents=True, exist_ok=True)
    (CARDS / f"{name}.md").write_text(text, encoding="utf-8")


def main() -> None:
    """Search and describe."""
    parser = argparse.ArgumentParser(description="Search the shipped policies again and write their model cards.")
    parser.add_argument("names", nargs="*", help="policies; none: all")
    parser.add_argument("--anew", action="store_true", help="forget searches that are in runs/policies")
    parser.add_argument("--cards", action="store_true", help="write the model cards alone, of the files as shipped")
    options = parser.parse_args()
    names = options.names or list(SHIPPED)
    unknown = [name for name in names if name not in SHIPPED]
    if unknown:
        parser.error(f"no such policy: {', '.join(unknown)}; there are {', '.join(SHIPPED)}")
    os.chdir(ROOT)
    console = Console()
    for name in names:
        if not options.cards:
            search(name, options.anew, console)
        card(name)


if __name__ == "__main__":
    main()

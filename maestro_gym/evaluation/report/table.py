"""The table of a comparison on the terminal."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table
from rich.text import Text

from maestro_gym.evaluation.comparison import Comparison, PolicyLabel, Setting
from maestro_gym.evaluation.report.best import is_best
from maestro_gym.evaluation.report.display import Shown, bounds, headline, number, spread
from maestro_gym.evaluation.report.verdicts import verdicts
from maestro_gym.evaluation.statistics import Interval

_NARROW = 120
"""Below this many columns a terminal is narrow: intervals get a line of their own."""
_POLICY_WIDTH = {True: 24, False: 36}
_METRIC_WIDTH = {True: 18, False: 24}


def print_comparison(comparison: Comparison, console: Console, *, wide: bool = False) -> None:
    """Print one table a setting, split to fit the terminal, and the verdicts in words.

    Args:
        comparison: What was found.
        console: Where to print.
        wide: Print all columns, and not only the first ones; see `headline`.
    """
    columns = headline(comparison.rows, wide=wide)
    narrow = console.width < _NARROW
    each = max(2, (console.width - _POLICY_WIDTH[narrow]) // _METRIC_WIDTH[narrow])
    parts = -(-len(columns) // each)
    each = -(-len(columns) // parts)  # tables of about equal width read better than a long and a short one
    for setting in comparison.settings:
        console.print()
        console.print(Text(setting.title, style="bold"))
        for begin in range(0, len(columns), each):
            console.print(_table(comparison, setting, columns[begin : begin + each], rules=begin == 0, narrow=narrow))
    console.print(
        f"Mean over {len(comparison.seeds)} seed(s) ± half of its 95 % interval; below, the paired difference to "
        f"{comparison.reference} with its interval, * where that excludes zero. Best in bold, of those that finish "
        "enough workflows. Under each name: its global, cluster, node and reclaim rule. (N) past and present, "
        f"(P) predictions, (O) oracle.{'' if wide else ' More columns: --wide.'}",
        style="dim",
    )
    console.print()
    for line in verdicts(comparison):
        console.print(f"- {line}", style="bold red" if " LOSES to " in line else None, highlight=False, markup=False)


def _table(comparison: Comparison, setting: Setting, columns: tuple[Shown, ...], *, rules: bool, narrow: bool) -> Table:
    table = Table(show_lines=True)
    table.add_column("policy", max_width=_POLICY_WIDTH[narrow] - 3, overflow="fold")
    for shown in columns:
        arrow = {"higher": " ↑", "lower": " ↓"}.get(shown.better, "")
        table.add_column(Text(shown.heading + arrow), justify="right")
    for policy in comparison.policies:
        cells = (_cell(comparison, setting, policy.name, shown, narrow) for shown in columns)
        table.add_row(_label(policy, rules=rules), *cells)
    return table


def _label(policy: PolicyLabel, *, rules: bool) -> Text:
    kind = f"{policy.information}, learned" if policy.learned else policy.information
    label = Text.assemble((policy.name, "bold"), f" ({kind})")
    return label.append("\n" + " | ".join(policy.rules), style="dim") if rules else label


def _cell(comparison: Comparison, setting: Setting, policy: str, shown: Shown, narrow: bool) -> Text:
    cell = comparison.cell(setting, policy, shown.column)
    leads = is_best(comparison, setting, policy, shown)
    text = Text(number(cell.value.estimate * shown.scale), style="bold" if leads else "")
    text.append(spread(cell.value, shown.scale), style="not bold")
    if policy != comparison.reference:
        gap = cell.difference
        change = [number(gap.estimate * shown.scale, signed=True), bounds(gap, shown.scale)]
        text.append("\n" + ("\n" if narrow else " ").join(change), style=_tone(gap, shown))
        text.append("*" if gap.excludes_zero else "", style="bold")
    return text


def _tone(gap: Interval, shown: Shown) -> str:
    if not gap.excludes_zero or shown.better == "neither":
        return "dim"
    return "green" if (gap.estimate > 0) == (shown.better == "higher") else "red"

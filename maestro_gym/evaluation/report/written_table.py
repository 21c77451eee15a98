"""The table of a comparison as text for a page, a paper or a program: Markdown, LaTeX, CSV."""

from __future__ import annotations

import io
from collections.abc import Sequence

import pandas as pd

from maestro_gym.core.csv_cells import table_as_text
from maestro_gym.evaluation.comparison import RULE_COLUMNS, Comparison, Setting
from maestro_gym.evaluation.report.best import is_best
from maestro_gym.evaluation.report.display import Shown, number, spread

FORMATS = ("markdown", "csv", "latex")
"""What a table can be written as."""

# LaTeX's ten special signs, each as text.
_LATEX = str.maketrans(
    {sign: f"\\{sign}" for sign in "&%$#_{}"}
    | {"~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "\\": r"\textbackslash{}"}
    | {"\N{MINUS SIGN}": "$-$", "±": r"$\pm$", "<": r"\textless{}", ">": r"\textgreater{}"}
)
_MARKDOWN = str.maketrans({sign: f"\\{sign}" for sign in "\\`*_[]<>|"})


def write_tables(comparison: Comparison, columns: Sequence[Shown], kind: str) -> str:
    """Write the tables of a comparison.

    Args:
        comparison: What was found.
        columns: Metrics, in order.
        kind: One of `FORMATS`. Markdown and LaTeX have a table a setting, with the mean and half of its 95 % interval,
            the best in bold. CSV is one table of plain numbers in the units of docs/metrics.md, with the ends of the
            interval and the paired difference to the reference.

    Returns:
        Text that ends with a line break.
    """
    if kind == "csv":
        return _csv(comparison, columns)
    written = {"markdown": _markdown, "latex": _latex}[kind]
    return "\n".join(written(comparison, setting, columns) for setting in comparison.settings)


def _markdown(comparison: Comparison, setting: Setting, columns: Sequence[Shown]) -> str:
    lines = [f"**{setting.title.translate(_MARKDOWN)}**", ""]
    lines.append("| policy | " + " | ".join(shown.heading for shown in columns) + " |")
    lines.append("| --- |" + " ---: |" * len(columns))
    for policy in comparison.policies:
        cells = [_words(comparison, setting, policy.name, shown, "**{}**") for shown in columns]
        lines.append(f"| {policy.name.translate(_MARKDOWN)} ({policy.information}) | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def _latex(comparison: Comparison, setting: Setting, columns: Sequence[Shown]) -> str:
    lines = [f"% {setting.title}; needs \\usepackage{{booktabs}}", rf"\begin{{tabular}}{{l{'r' * len(columns)}}}"]
    lines += [r"\toprule", " & ".join(["policy", *(shown.heading.translate(_LATEX) for shown in columns)]) + r" \\"]
    lines.append(r"\midrule")
    for policy in comparison.policies:
        cells = [_words(comparison, setting, policy.name, shown, r"\textbf{{{}}}") for shown in columns]
        cells = [cell.replace("\N{MINUS SIGN}", "$-$").replace("±", r"$\pm$") for cell in cells]
        lines.append(" & ".join([f"{policy.name.translate(_LATEX)} ({policy.information})", *cells]) + r" \\")
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}"]) + "\n"


def _words(comparison: Comparison, setting: Setting, policy: str, shown: Shown, bold: str) -> str:
    value = comparison.cell(setting, policy, shown.column).value
    mean = number(value.estimate * shown.scale)
    mean = bold.format(mean) if is_best(comparison, setting, policy, shown) else mean
    return mean + spread(value, shown.scale)


def _csv(comparison: Comparison, columns: Sequence[Shown]) -> str:
    rows = []
    for setting in comparison.settings:
        for policy in comparison.policies:
            row: dict[str, object] = {"scenario": setting.scenario, "contention": setting.contention}
            row |= {"policy": policy.name, **dict(zip(RULE_COLUMNS, policy.rules, strict=True))}
            row |= {"information": policy.information, "learned": policy.learned, "reference": comparison.reference}
            for shown in columns:
                cell = comparison.cell(setting, policy.name, shown.column)
                for ending, interval in (("", cell.value), ("_difference", cell.difference)):
                    ends = (interval.estimate, interval.low, interval.high)
                    names = (f"{shown.column}{ending}{end}" for end in ("", "_low", "_high"))
                    row |= dict(zip(names, ends, strict=True))
            rows.append(row)
    text = io.StringIO()
    table_as_text(pd.DataFrame(rows)).to_csv(text, index=False)
    return text.getvalue()

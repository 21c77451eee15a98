"""A comparison as files: rows as Parquet and CSV, everything as JSON, configurations as YAML."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pandas as pd

from maestro_gym.core.csv_cells import table_as_text
from maestro_gym.core.errors import MaestroError
from maestro_gym.core.file_names import file_name
from maestro_gym.core.whole_file import whole_file, write_whole
from maestro_gym.episodes.metrics.row import METRICS, metric_columns
from maestro_gym.evaluation.comparison import RULE_COLUMNS, Comparison
from maestro_gym.evaluation.report.told_apart import power_rows, training_rows
from maestro_gym.evaluation.report.verdicts import verdicts
from maestro_gym.evaluation.statistics import CONFIDENCE, RESAMPLES, Interval


def write_results(comparison: Comparison, folder: Path) -> None:
    """Write ``results.parquet``, ``.csv`` and ``.json``, ``workflows.parquet`` and one YAML a setting.

    Args:
        comparison: What was found.
        folder: An existing run folder.
    """
    write_table(comparison.rows, folder / "results.parquet")
    write_table(comparison.rows, folder / "results.csv")
    write_table(comparison.workflows, folder / "workflows.parquet")
    write_document(comparison, folder / "results.json")
    for setting in comparison.settings:
        path = folder / f"config-{file_name(setting.scenario)}-{file_name(setting.contention)}.yaml"
        write_whole(path, setting.config_yaml)


def write_table(table: pd.DataFrame, path: Path) -> None:
    """Write a table, whole or not at all, as Parquet or as CSV that a spreadsheet only shows: the suffix says which."""
    with whole_file(path) as part:
        if path.suffix == ".csv":
            table_as_text(table).to_csv(part, index=False)
        else:
            table.to_parquet(part, index=False)


def write_document(comparison: Comparison, path: Path) -> None:
    """Write a comparison as JSON.

    Args:
        comparison: What was found.
        path: File to write; its folder is made.

    Raises:
        MaestroError: The file cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, json.dumps(document(comparison), indent=1, allow_nan=False) + "\n")
    except OSError as error:
        raise MaestroError(f"{path}: cannot write the results ({error.strerror}); name a writable path.") from error


def document(comparison: Comparison) -> dict[str, Any]:
    """A comparison as one JSON document; metric names are those of docs/metrics.md.

    Args:
        comparison: What was found.

    Returns:
        ``run`` (command, versions, seeds), ``metrics`` (unit, direction, formula), ``settings``, ``policies``,
        ``summary`` (a setting and policy each, with mean, interval and paired difference of every metric),
        ``verdicts`` (sentences), ``power`` (what the seeds can tell, a policy and metric each), ``trainings``
        (interquartile mean, profile and probability of improvement, a training of several seeds each) and ``rows``
        (an episode each).
    """
    summary = []
    for setting in comparison.settings:
        for policy in comparison.policies:
            cells = {c: comparison.cell(setting, policy.name, c) for c in metric_columns()}
            summary.append(
                {
                    "scenario": setting.scenario,
                    "contention": setting.contention,
                    "policy": policy.name,
                    "metrics": {
                        c: _interval(cell.value) | {"difference": _interval(cell.difference)}
                        for c, cell in cells.items()
                    },
                }
            )
    return plain(
        {
            "run": comparison.info
            | {
                "reference": comparison.reference,
                "seeds": comparison.seeds,
                "split": comparison.split,
                "confidence": CONFIDENCE,
                "bootstrap_resamples": RESAMPLES,
            },
            "metrics": [
                {"name": m.name, "unit": m.unit, "better": m.better, "per_class": m.per_class, "formula": m.formula}
                for m in METRICS.values()
            ],
            "settings": [
                {
                    "scenario": s.scenario,
                    "contention": s.contention,
                    "load": s.load,
                    "rate_rps": s.rate_rps,
                    "knee_rps": s.knee_rps,
                    "notes": s.notes,
                }
                for s in comparison.settings
            ],
            "policies": [
                {
                    "policy": p.name,
                    **dict(zip(RULE_COLUMNS, p.rules, strict=True)),
                    "information": p.information,
                    "learned": p.learned,
                    "predictor": p.predictor,
                    "training": p.training,
                }
                for p in comparison.policies
            ],
            "summary": summary,
            "verdicts": verdicts(comparison),
            "power": power_rows(comparison),
            "trainings": training_rows(comparison),
            "rows": comparison.rows.to_dict(orient="records"),
        }
    )


def plain(value: Any) -> Any:  # noqa: ANN401 - any document
    """Turn numpy scalars and non-finite floats into what JSON can hold.

    Args:
        value: Nested mappings, lists and scalars.
    """
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if hasattr(value, "item"):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def _interval(interval: Interval) -> dict[str, float | int]:
    return {"mean": interval.estimate, "low": interval.low, "high": interval.high, "n": interval.n}

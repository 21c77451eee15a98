"""A finished comparison, read back from its folder: rows, workflows, traces, and what its episodes depend on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa

from maestro_gym.core.bounded_text import parse_json, read_bounded
from maestro_gym.core.errors import MaestroError
from maestro_gym.core.file_names import file_name
from maestro_gym.episodes.metrics.row import metric_columns
from maestro_gym.evaluation.comparison import RULE_COLUMNS, Comparison, PolicyLabel, Setting
from maestro_gym.evaluation.episode_store import STORE_FILE, read_finished
from maestro_gym.evaluation.report.episode_trace import Trace

_OF_STATISTICS = ("confidence", "bootstrap_resamples")
"""What ``results.json`` says of a run that belongs to how it is read, and not to it."""

_MAX_BYTES = 2**28
"""Largest ``results.json`` that is read [bytes]: a policy and setting leave about 30,000."""


@dataclass(frozen=True)
class FinishedRun:
    """A comparison and what its episodes depend on.

    Attributes:
        folder: Its run folder.
        comparison: What was found.
        facts: Words or hashes by name, as of `sweep_facts`; empty where the run kept no episodes.
    """

    folder: Path
    comparison: Comparison
    facts: dict[str, str]


def read_run(folder: Path) -> FinishedRun:
    """Read the folder of a comparison that has ended.

    Args:
        folder: Of a `compare` run, or of a search with ``--report``.

    Raises:
        MaestroError: There is none, it did not end, or it is damaged.
    """
    document = _document(folder)
    facts, traces = read_traces(folder) if (folder / STORE_FILE).is_file() else ({}, [])
    try:
        rows = _with_every_metric(pd.read_parquet(folder / "results.parquet"))
        workflows = pd.read_parquet(folder / "workflows.parquet")
        about = {name: value for name, value in document["run"].items() if name not in _OF_STATISTICS}
        reference, seeds, split = (about.pop(name) for name in ("reference", "seeds", "split"))
        comparison = Comparison(
            rows=rows,
            workflows=workflows,
            traces=traces,
            settings=[_setting(folder, setting) for setting in document["settings"]],
            policies=[_label(policy) for policy in document["policies"]],
            reference=str(reference),
            seeds=[int(seed) for seed in seeds],
            split=str(split),
            info=about,
        )
    except OSError as error:
        raise MaestroError(f"{error.filename}: cannot be read ({error.strerror}); give the folder of a run.") from None
    except (KeyError, TypeError, ValueError, pa.ArrowException) as error:
        raise MaestroError(
            f"{folder}: its results cannot be read ({type(error).__name__}: {error}): they are damaged, or of another "
            "version. Run the comparison again."
        ) from None
    return FinishedRun(folder, comparison, facts)


def read_traces(folder: Path) -> tuple[dict[str, str], list[Trace]]:
    """Read what a comparison keeps of its drawn episodes, finished or not.

    Args:
        folder: The run folder.

    Returns:
        What the episodes depend on, and the traces in the order of the plan.

    Raises:
        MaestroError: There is no store, or it is damaged.
    """
    facts, outcomes = read_finished(folder)
    return facts, [outcome.trace for outcome in outcomes if outcome.trace is not None]


def _document(folder: Path) -> dict[str, Any]:
    path = folder / "results.json"
    try:
        return parse_json(read_bounded(path, _MAX_BYTES))
    except FileNotFoundError:
        why = "its run has not ended; go on with it by compare --resume" if (folder / STORE_FILE).exists() else ""
        raise MaestroError(
            f"{folder} holds no results.json: {why or 'give the folder of a run of maestro-gym compare'}."
        ) from None
    except OSError as error:
        raise MaestroError(f"{path}: cannot be read ({error.strerror}); give the folder of a run.") from None
    except ValueError as error:
        raise MaestroError(f"{path}: is no result of a comparison ({error}); run it again.") from None


def _with_every_metric(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows of a run of before a metric was defined have none of it."""
    return rows.reindex(columns=[*rows.columns, *(name for name in metric_columns() if name not in rows.columns)])


def _setting(folder: Path, about: dict[str, Any]) -> Setting:
    scenario, contention = str(about["scenario"]), str(about["contention"])
    config = folder / f"config-{file_name(scenario)}-{file_name(contention)}.yaml"
    return Setting(
        scenario=scenario,
        contention=contention,
        load=float(about["load"]),
        rate_rps=float(about["rate_rps"]),
        config_yaml=read_bounded(config),
        notes=_words(about.get("notes", ())),  # runs of before 0.1.0 was cut kept none
        knee_rps=None if about["knee_rps"] is None else float(about["knee_rps"]),
    )


def _label(about: dict[str, Any]) -> PolicyLabel:
    return PolicyLabel(
        name=str(about["policy"]),
        rules=tuple(str(about[column]) for column in RULE_COLUMNS),
        information=str(about["information"]),
        learned=bool(about["learned"]),
        predictor=about["predictor"],
        training=about.get("training"),
    )


def _words(notes: Sequence[Any]) -> tuple[str, ...]:
    return tuple(map(str, notes))

"""The errors of a profile set as rows, CSV files and a page of Markdown."""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from maestro_gym.config import GpuConfig
from maestro_gym.core.csv_cells import row_as_text
from maestro_gym.core.errors import MaestroError
from maestro_gym.fidelity.model_errors import Errors, Fidelity, Result, errors_of

Row = dict[str, Any]

BEGIN = "<!-- tables of `maestro-gym fidelity` begin -->"
END = "<!-- tables of `maestro-gym fidelity` end -->"


def summary_rows(fidelity: Fidelity) -> list[Row]:
    """One row a source and quantity, errors in percent.

    Args:
        fidelity: What was measured.

    Returns:
        Source, quantity, gpu, points, median_%, p90_%, signed_%, worst_%, worst_at, and the same three of the half
        that a fit of the source's own constants (`free`) did not see.
    """
    return [
        {
            "source": result.source,
            "quantity": result.quantity,
            "gpu": result.gpu,
            **_percent(result.shipped),
            "worst_%": 100 * result.shipped.worst,
            "worst_at": result.shipped.worst_at,
            "fitted_to_it": ", ".join(_short(name) for name in result.calibrated) or "nothing",
            "own_median_%": 100 * result.split.median if result.split else None,
            "own_p90_%": 100 * result.split.p90 if result.split else None,
            "own_signed_%": 100 * result.split.signed if result.split else None,
            "own_free": ", ".join(_short(name) for name in result.free),
        }
        for result in fidelity.results
    ]


def terminal_rows(fidelity: Fidelity) -> list[Row]:
    """The summary without its longest columns.

    Args:
        fidelity: What was measured.

    Returns:
        As `summary_rows`, less worst_at, fitted_to_it and own_free.
    """
    long = ("worst_%", "worst_at", "fitted_to_it", "own_free")
    return [{key: value for key, value in row.items() if key not in long} for row in summary_rows(fidelity)]


def fitted_rows(gpu: GpuConfig) -> list[Row]:
    """How well a fit met what it was fitted to.

    Args:
        gpu: With the record of its calibration.

    Returns:
        Source, points, median_%, p90_%, signed_%, free.
    """
    return [
        {
            "source": item.source,
            "points": item.points,
            "median_%": 100 * item.median_error,
            "p90_%": 100 * item.p90_error,
            "signed_%": 100 * item.signed_error,
            "free": ", ".join(_short(name) for name in item.free),
        }
        for item in (gpu.calibration.fits if gpu.calibration is not None else [])
    ]


def case_rows(fidelity: Fidelity) -> list[Row]:
    """One row a case (model, TP) of each quantity, constants as shipped.

    Args:
        fidelity: What was measured.

    Returns:
        Source, quantity, gpu, case, points, median_%, p90_%, signed_%.
    """
    rows = []
    for result in fidelity.results:
        for case in dict.fromkeys(batch.case for batch in result.batches):
            pairs = [(b, p) for b, p in zip(result.batches, result.predicted, strict=True) if b.case == case]
            errors = errors_of([b for b, _ in pairs], [p for _, p in pairs])
            rows.append(
                {
                    "source": result.source,
                    "quantity": result.quantity,
                    "gpu": result.gpu,
                    "case": case,
                    **_percent(errors),
                }
            )
    return rows


def skipped_rows(fidelity: Fidelity) -> list[Row]:
    """One row for each thing that was left out, the same ones added up.

    Args:
        fidelity: What was measured.

    Returns:
        Source, what, rows, reason.
    """
    counts: dict[tuple[str, str, str], int] = {}
    for source, item in fidelity.skipped:
        key = (source, item.what, item.reason)
        counts[key] = counts.get(key, 0) + item.rows
    return [
        {"source": source, "what": what, "rows": rows, "reason": reason}
        for (source, what, reason), rows in counts.items()
    ]


def document(fidelity: Fidelity) -> dict[str, Any]:
    """Everything but the single points, for JSON.

    Args:
        fidelity: What was measured.

    Returns:
        Date, version, rows, cases, skipped, notes.
    """
    return {
        "date": fidelity.date,
        "version": fidelity.version,
        "rows": summary_rows(fidelity),
        "cases": case_rows(fidelity),
        "skipped": skipped_rows(fidelity),
        "notes": fidelity.notes,
    }


def write_csv(fidelity: Fidelity, folder: Path) -> None:
    """Write ``summary.csv``, ``cases.csv``, ``skipped.csv`` and ``points.csv``.

    Args:
        fidelity: What was measured.
        folder: Made if it is missing.

    Raises:
        MaestroError: A file cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _write(folder / "summary.csv", summary_rows(fidelity))
        _write(folder / "cases.csv", case_rows(fidelity))
        _write(folder / "skipped.csv", skipped_rows(fidelity))
        _write(folder / "points.csv", [row for result in fidelity.results for row in _points(result)])
    except OSError as error:
        raise MaestroError(f"--out {folder}: cannot be written ({error.strerror}); name a writable folder.") from None


def markdown(fidelity: Fidelity) -> str:
    """The tables as Markdown.

    Args:
        fidelity: What was measured.

    Returns:
        Sections `As shipped`, `With constants of its own`, `Left out`.
    """
    shipped = [
        [
            row["source"],
            row["quantity"],
            row["gpu"],
            f"{row['points']:,}",
            *(f"{row[key]:.1f}" for key in ("median_%", "p90_%")),
            f"{row['signed_%']:+.1f}",
            f"{row['worst_%']:+.0f}: {row['worst_at']}",
            row["fitted_to_it"],
        ]
        for row in summary_rows(fidelity)
    ]
    own = [
        [
            row["source"],
            row["quantity"],
            *(f"{row[key]:.1f}" for key in ("own_median_%", "own_p90_%")),
            f"{row['own_signed_%']:+.1f}",
            row["own_free"],
        ]
        for row in summary_rows(fidelity)
        if row["own_median_%"] is not None
    ]
    left = [[row["source"], row["what"], f"{row['rows']:,}", row["reason"]] for row in skipped_rows(fidelity)]
    parts = [
        f"maestro-gym {fidelity.version}, {fidelity.date}. Errors are predicted / measured - 1, in percent; signed is "
        "the median with its sign, positive where the model is too high.",
        "### As shipped",
        _table(
            ["source", "quantity", "GPU", "points", "median", "p90", "signed", "worst", "fitted to it"],
            shipped,
            numbers=(3, 4, 5, 6),
        ),
    ]
    if own:
        parts += [
            "### With constants of its own",
            "The named constants were fitted to every second point of the quantity, or, of up to 24, to all but one at "
            "a time; of replayed requests, to the first 100. The errors are of points that the fit did not see.",
            _table(["source", "quantity", "median", "p90", "signed", "free"], own, numbers=(2, 3, 4)),
        ]
    if left or fidelity.notes:
        parts += ["### Left out", _table(["source", "what", "rows", "why"], left, numbers=(2,))]
        parts += [f"- {note}" for note in fidelity.notes]
    return "\n\n".join(part for part in parts if part) + "\n"


def update_page(fidelity: Fidelity, page: Path) -> None:
    """Put the tables into a page of the documentation, between its two marks.

    Args:
        fidelity: What was measured.
        page: Markdown file with the lines BEGIN and END.

    Raises:
        MaestroError: The file or a mark is missing.
    """
    text = page.read_text(encoding="utf-8") if page.is_file() else ""
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise MaestroError(f"--docs {page}: must be a page that holds the lines {BEGIN} and {END}; add them.")
    page.write_text(f"{before}{begin}\n\n{markdown(fidelity)}\n{end}{after}", encoding="utf-8")


def _percent(errors: Errors) -> Row:
    return {
        "points": errors.points,
        "median_%": 100 * errors.median,
        "p90_%": 100 * errors.p90,
        "signed_%": 100 * errors.signed,
    }


def _short(name: str) -> str:
    """Without the section of the machine; the kind of expert kernels stays."""
    return re.sub(r"^(gpu\.(step|residency)|\w+)\.", "", name)


def _points(result: Result) -> list[Row]:
    return [
        {
            "source": result.source,
            "quantity": result.quantity,
            "gpu": result.gpu,
            "point": batch.label(i),
            "unit": result.unit,
            "measured": float(batch.measured[i]),
            "predicted": float(values[i]),
        }
        for batch, values in zip(result.batches, result.predicted, strict=True)
        for i in range(len(values))
    ]


def _write(path: Path, rows: Sequence[Row]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        if rows:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(map(row_as_text, rows))


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]], numbers: Sequence[int] = ()) -> str:
    if not rows:
        return ""
    rule = ["---:" if place in numbers else "---" for place in range(len(columns))]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in [columns, rule, *rows])

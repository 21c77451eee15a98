"""Requests drawn from ServeGen's windows keep the rates, the burstiness and the lengths of their clients."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from maestro_gym.core.errors import MaestroError
from maestro_gym.workloads import read_trace
from maestro_gym.workloads.traces.files import import_trace
from tests.workloads.foreign_files import write_rows


def _files(folder: Path) -> Path:
    def window(client: str, start_s: int, rate_rps: float, law: str = "Gamma") -> dict[str, object]:
        return {
            "client_id": client,
            "window_start_s": start_s,
            "rate_req_per_s": rate_rps,
            "cv": 1.0,
            "interarrival_dist": law,
        }

    def lengths(client: str, scale: int) -> dict[str, object]:
        points = {"p50": 100, "p90": 200, "p99": 300, "max": 400}
        sides = {
            f"{side}_tokens_{point}": value * scale for side in ("input", "output") for point, value in points.items()
        }
        return {"client_id": client, "window_start_s": 0, **sides}

    windows = [window("a", 0, 1.0), window("a", 600, 6.0), window("b", 600, 2.0, "Weibull"), window("c", 600, 0.5)]
    write_rows([lengths("a", 1), lengths("b", 10)], folder / "x_lengths.csv")
    return write_rows(windows, folder / "x_arrivals.csv")


def test_the_busiest_window_is_drawn_with_the_rates_and_lengths_of_its_clients(tmp_path: Path) -> None:
    read = import_trace(_files(tmp_path))
    trace = read.trace
    assert read.format == "servegen"
    # 6 + 2 requests a second for ten minutes.
    assert len(trace.workflows) == pytest.approx(4800, rel=0.05)
    assert trace.workflows["arrival_s"][-1] == pytest.approx(600, abs=5)
    busy = trace.workflows["application"] == trace.application_names.index("servegen_client_a")
    assert busy.mean() == pytest.approx(0.75, abs=0.02)
    for own, scale in ((busy, 1), (~busy, 10)):
        for tokens in (trace.stages["prompt_tokens"][own], trace.hidden["output_tokens"][own]):
            assert np.quantile(tokens, [0.5, 0.9]) == pytest.approx([100 * scale, 200 * scale], rel=0.1)
            assert tokens.max() <= 400 * scale
    assert any("1 clients of that window have no lengths" in note for note in read.converted.notes)
    assert np.array_equal(read_trace(tmp_path / "x_arrivals.csv").stages, trace.stages)


def test_arrivals_without_lengths_say_where_they_belong(tmp_path: Path) -> None:
    path = _files(tmp_path)
    (tmp_path / "x_lengths.csv").unlink()
    with pytest.raises(MaestroError, match="`lengths` for `arrivals`"):
        read_trace(path)
    with pytest.raises(MaestroError, match="import the file of arrivals"):
        read_trace(write_rows([{"client_id": "a", "window_start_s": 0, "input_tokens_p50": 5}], tmp_path / "x.csv"))

"""Learning curves: what stands in them, read from the figure as it is saved."""

from pathlib import Path
from typing import Any

import matplotlib.figure
import pytest

from maestro_gym.agents.curves import draw_curves

ROWS = [
    {
        "steps": steps,
        "slo_attainment": slo,
        "slo_attainment_batch": "",
        "completion_mean_s": 100 - slo,
        "unfinished": 3.0,
        "reward_residence_batch": -50_000.0 * slo,
        "reward_cold_start": -0.0,
        "reward_ttft_met": "0.0",
    }
    for steps, slo in ((0, 0.5), (20_000, 0.6))
]


def test_curves_name_their_reference_and_show_terms_with_weight_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[Any] = []
    save = matplotlib.figure.Figure.savefig
    monkeypatch.setattr(
        matplotlib.figure.Figure, "savefig", lambda fig, *words, **more: (drawn.append(fig), save(fig, *words, **more))
    )
    path = tmp_path / "curves.png"
    draw_curves(ROWS, path, "training of x", {"slo_attainment": 0.55, "reward_residence_batch": -1e4}, "maestro")
    assert path.stat().st_size > 10_000
    slo, _, terms, unfinished = drawn[0].axes
    assert [text.get_text() for text in slo.get_legend().get_texts()] == ["all", "maestro (dashed)"]
    assert [text.get_text() for text in terms.get_legend().get_texts()] == [
        "residence batch",
        "maestro (dashed)",
    ]
    assert [text.get_text() for text in unfinished.get_legend().get_texts()] == ["all"]
    assert slo.lines[0].get_ydata().tolist() == [50.0, 60.0], "in percent"
    assert [float(y) for y in slo.lines[1].get_ydata()] == pytest.approx([55.0, 55.0])
    for axes in drawn[0].axes:
        legend, data = axes.get_legend().get_window_extent(), axes.get_window_extent()
        assert legend.y1 <= data.y0, "the legend lies off the data"
        assert len(axes.get_xticks()) <= 7
    assert "20k" in [text.get_text() for text in slo.get_xticklabels()]

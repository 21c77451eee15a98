"""docs/metrics.md says what the code does."""

from pathlib import Path

from maestro_gym.episodes.metrics.page import metrics_markdown

PAGE = Path(__file__).resolve().parents[2] / "docs" / "metrics.md"


def test_the_metrics_page_is_current() -> None:
    assert PAGE.read_text(encoding="utf-8") == metrics_markdown(), (
        "run: python -m maestro_gym.episodes.metrics.page docs/metrics.md"
    )

"""Claims from comparisons to the page, on episodes of a minute; what was run is not run again."""

import io
import json
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner

from maestro_gym.cli.app import app
from maestro_gym.core.errors import MaestroError
from maestro_gym.evaluation.comparison import Comparison
from maestro_gym.evaluation.reproduce import run
from maestro_gym.evaluation.reproduce.measure import measured, points
from maestro_gym.evaluation.reproduce.plan import SMALL, Axis, Part, Size, make_plan
from maestro_gym.evaluation.statistics import Interval
from maestro_gym.evaluation.workers.processes import Processes

SHORT = ("horizon_s=40", "drain_s=60")
KEPT = ("quick", "load-1.5", "load-2.2")
STUDY = {"study mae_tokens magnus_like": Interval(-25.0, -28.0, -22.0, 900)}


def _short_plan(size: Size, folder: Path) -> tuple[list[Part], list[Axis]]:
    """The plan's own parts on the small fleet, a few of them and a minute each."""
    parts, axes = make_plan(replace(size, loads=(1.5, 2.2)), folder)
    wanted = ("maestro", "edf", "edf@early")
    short = [
        replace(
            part,
            overrides=(*part.overrides, *SHORT),
            policies=tuple(p for p in part.policies if p in wanted),
            seeds=(10, 11),
        )
        for part in parts
        if part.name in KEPT
    ]
    return short, axes[:1]


@pytest.fixture
def shortened(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "make_plan", _short_plan)
    monkeypatch.setattr(run, "predictor_errors", lambda folder, workflows: STUDY)
    monkeypatch.setattr(run, "decision_latencies", lambda folder, seeds: {})


def test_claims_are_measured_and_told_and_a_second_run_takes_what_is_there(
    shortened: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, page = tmp_path / "run", tmp_path / "docs" / "reproduce.md"
    page.parent.mkdir()
    found, folder = run.run_reproduce("small", out=out, page=page, jobs=1, console=Console(file=io.StringIO()))
    text = (folder / "reproduce.md").read_text(encoding="utf-8")
    told = {judged.claim.id: judged for judged in found.judged}
    early = next(r for r in told["slo-edf"].readings if r.condition.words == "by deadline, `edf@early`; `quick`")
    assert early.interval.n == 2
    assert told["predictor-mae"].verdict.word == "holds"
    assert told["decision-latency"].verdict.word == "cannot be told"
    assert told["slo-edf"].swept
    for judged in found.judged:
        assert f"## {judged.claim.title}" in text
        assert f"it **{judged.verdict.word}** {judged.verdict.because}." in text
    document = json.loads((folder / "reproduce.json").read_text(encoding="utf-8"))
    assert [claim["id"] for claim in document["claims"]] == list(told)
    _shows_all_its_figures(folder, page)

    def refuse(*_: object) -> None:
        raise AssertionError("an episode was run again")

    monkeypatch.setattr("maestro_gym.evaluation.compare.run_job", refuse)
    again, _ = run.run_reproduce("small", out=out, resume=True, jobs=1, console=Console(file=io.StringIO()))
    assert [j.verdict for j in again.judged] == [j.verdict for j in found.judged]


def _shows_all_its_figures(folder: Path, page: Path) -> None:
    for path in (folder / "reproduce.md", page):
        images = re.findall(r"!\[.*?\]\((.*?)\)", path.read_text(encoding="utf-8"))
        assert len(images) == 4  # the claims, and three that are swept
        assert all((path.parent / image).is_file() for image in images)
    html = (folder / "reproduce.html").read_text(encoding="utf-8")
    assert html.count("data:image/png;base64,") == 4
    assert not re.search(r"""(src|href)=["'](?!data:|#)""", html)
    assert html.count("<table>") > 10
    targets = re.findall(r'href="#([^"]+)"', html)
    assert len(targets) >= 10
    assert all(f'id="{target}"' in html for target in targets)


def test_a_measure_of_two_comparisons_is_paired_by_seed(shortened: None, tmp_path: Path) -> None:
    parts, _ = _short_plan(SMALL, tmp_path)
    mine, theirs = (replace(parts[0], name=name, policies=(p,)) for name, p in (("a", "maestro"), ("b", "edf")))
    both = replace(parts[0], name="c", policies=("maestro", "edf"))
    with Processes(1) as workers:
        found: dict[str, Comparison] = run.run_parts([mine, theirs, both], tmp_path / "parts", workers)
    measure = points("slo_attainment", "edf")
    apart, together = measured(measure.against("b"), "a", found, {}), measured(measure, "c", found, {})
    assert apart == together
    assert apart.n == 2


def test_what_did_not_run_is_unknown() -> None:
    assert measured(points("slo_attainment", "edf"), "nowhere", {}, {}).n == 0


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--size", "huge"), "full or small"),
        (("--seeds", "1"), "at least 2 seeds"),
        (("--resume",), "--out"),
    ],
)
def test_bad_words_are_refused(
    words: Sequence[str], told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    answer = CliRunner().invoke(app, ["reproduce", *words])
    assert answer.exit_code == 2
    assert told in answer.output
    assert not list(tmp_path.iterdir())


def test_a_folder_with_an_earlier_run_is_refused_without_resume(tmp_path: Path) -> None:
    (tmp_path / "parts").mkdir()
    with pytest.raises(MaestroError, match="holds an earlier run"):
        run.run_reproduce("small", out=tmp_path)

"""Finished comparisons read back from their folders, merged, and written as tables."""

import csv
import io
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from maestro_gym.core.errors import MaestroError
from maestro_gym.evaluation.comparison import Comparison
from maestro_gym.evaluation.comparison_files import write_results
from maestro_gym.evaluation.episode_store import STORE_FILE, EpisodeStore
from maestro_gym.evaluation.finished_run import FinishedRun, read_run
from maestro_gym.evaluation.merge_runs import merge_runs
from maestro_gym.evaluation.redraw import redraw
from maestro_gym.evaluation.report.best import best_estimate, is_best
from maestro_gym.evaluation.report.display import FIRST, SHOWN
from maestro_gym.evaluation.report.verdicts import verdicts
from maestro_gym.evaluation.report.written_table import write_tables
from maestro_gym.evaluation.worker import JobOutcome
from tests.evaluation.by_hand import make_comparison

Keep = Callable[..., FinishedRun]


@pytest.fixture
def keep(tmp_path: Path) -> Keep:
    """Leave a comparison of some policies in a folder as `compare` does, and read it back."""

    def kept(name: str, policies: Sequence[str], contentions: Sequence[str] = ("high",), **facts: str) -> FinishedRun:
        folder = tmp_path / name
        comparison = make_comparison(policies, contentions)
        begun = {f"limits of tiny {contention}": "as they are" for contention in contentions}
        begun |= {f"policy {policy}": policy for policy in policies} | {"sources of episodes": "a"}
        with EpisodeStore(folder, begun | facts, {}, resume=False) as store:
            for number, trace in enumerate(comparison.traces):
                store.add(number, JobOutcome({}, comparison.workflows[:0], trace))
        write_results(comparison, folder)
        return read_run(folder)

    return kept


def test_a_run_reads_back_as_it_was(keep: Keep) -> None:
    read, made = keep("one", ("fcfs", "<edf>")).comparison, make_comparison()
    assert (read.policies, read.settings, read.seeds, read.reference) == (
        made.policies,
        made.settings,
        made.seeds,
        made.reference,
    )
    assert read.info == made.info
    assert verdicts(read) == verdicts(made)
    assert [trace.policy for trace in read.traces] == ["fcfs", "<edf>"]
    assert np.array_equal(read.traces[1].stages, made.traces[1].stages)


def test_policies_of_two_runs_stand_in_one_table(keep: Keep) -> None:
    both = merge_runs([keep("one", ("fcfs", "edf")), keep("two", ("fcfs", "edf", "sjf"))])
    whole = make_comparison(("fcfs", "edf", "sjf"))
    assert [policy.name for policy in both.policies] == ["fcfs", "edf", "sjf"]
    for policy in both.policies:
        for shown in FIRST:
            assert both.cell(both.settings[0], policy.name, shown.column) == whole.cell(
                whole.settings[0], policy.name, shown.column
            )
    assert len(both.workflows) == len(whole.workflows)
    assert [trace.policy for trace in both.traces] == ["fcfs", "edf", "sjf"]


def test_settings_of_two_runs_stand_in_one_report(keep: Keep, tmp_path: Path) -> None:
    runs = [keep("high", ("fcfs", "edf"), ("high",)), keep("low", ("fcfs", "edf"), ("low",))]
    both = merge_runs(runs)
    assert [setting.contention for setting in both.settings] == ["high", "low"]
    page = redraw(both, tmp_path / "both", again=False)
    assert page.is_file()
    assert [s.contention for s in read_run(tmp_path / "both").comparison.settings] == ["high", "low"]
    with pytest.raises(MaestroError, match="holds an earlier run"):
        redraw(both, runs[0].folder, again=False)


def test_runs_by_other_code_are_merged_with_a_word_about_it(keep: Keep) -> None:
    first, second = keep("one", ("fcfs",)), keep("two", ("fcfs", "edf"), **{"sources of episodes": "b"})
    assert any("different code (sources of episodes)" in line for line in verdicts(merge_runs([first, second])))
    assert not any("different code" in line for line in verdicts(merge_runs([first])))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda run: replace(run, comparison=_with(run, seeds=[0])), "seeds differ \\(0, 1 and 0\\)"),
        (lambda run: replace(run, comparison=_with(run, split="validation")), "split differ"),
        (lambda run: replace(run, facts=run.facts | {"limits of tiny high": "other"}), "limits differs"),
        (lambda run: replace(run, facts={}), "kept no episodes"),
        (lambda run: replace(run, comparison=_with(run, reference="edf")), "choose one by --reference"),
        (lambda run: replace(run, facts=run.facts | {"policy fcfs": "other"}), "another policy in each"),
    ],
)
def test_what_cannot_be_merged_is_refused(keep: Keep, change: Callable[[FinishedRun], FinishedRun], words: str) -> None:
    first, second = keep("one", ("fcfs", "edf")), keep("two", ("fcfs", "edf"))
    with pytest.raises(MaestroError, match=words):
        merge_runs([first, change(second)])


def test_a_policy_with_two_results_and_a_gap_in_the_table_are_refused(keep: Keep) -> None:
    first, later = keep("one", ("fcfs", "edf")), keep("two", ("edf", "fcfs"))  # whoever comes second is a second later
    later = replace(later, comparison=_with(later, reference="fcfs"))
    with pytest.raises(MaestroError, match="both hold edf on tiny at high contention, and its results differ"):
        merge_runs([first, later])
    with pytest.raises(MaestroError, match="none of them has edf on tiny at low"):
        merge_runs([first, keep("three", ("fcfs",), ("low",))])
    with pytest.raises(MaestroError, match="--reference sjf: not among"):
        merge_runs([first], "sjf")


def test_a_folder_without_a_finished_run_says_so(keep: Keep, tmp_path: Path) -> None:
    with pytest.raises(MaestroError, match="give the folder of a run"):
        read_run(tmp_path / "nothing")
    folder = keep("one", ("fcfs",)).folder
    (folder / STORE_FILE).write_bytes(b"no database")
    with pytest.raises(MaestroError, match="cannot be read"):
        read_run(folder)
    (folder / "results.json").unlink()
    with pytest.raises(MaestroError, match="go on with it by compare --resume"):
        read_run(folder)


def test_tables_are_written_as_markdown_latex_and_csv() -> None:
    comparison = make_comparison(("fcfs", "a|b_c"))
    markdown = write_tables(comparison, FIRST, "markdown").splitlines()
    assert markdown[2] == "| policy | SLO attainment [%] | TTFT attainment [%] | completion mean [s] | unfinished |"
    assert markdown[5].startswith(r"| a\|b\_c (N) | 16.7 ±")
    latex = write_tables(comparison, FIRST, "latex")
    assert r"a|b\_c (N) & 16.7 $\pm$" in latex
    assert latex.count(" & ") == 3 * len(FIRST)
    rows = list(csv.DictReader(io.StringIO(write_tables(comparison, (SHOWN["completion_mean_s"],), "csv"))))
    cell = comparison.cell(comparison.settings[0], "a|b_c", "completion_mean_s")
    assert float(rows[1]["completion_mean_s"]) == cell.value.estimate
    assert float(rows[1]["completion_mean_s_difference_high"]) == cell.difference.high
    assert rows[1]["policy"] == "a|b_c"


def test_nobody_is_best_by_serving_nobody() -> None:
    comparison = make_comparison(("idle", "fcfs", "edf"))
    rows, (setting,) = comparison.rows, comparison.settings
    idle = rows["policy"] == "idle"
    rows.loc[idle, ["unfinished", "cold_starts", "slo_attainment"]] = 3.0, 0.0, 0.9
    comparison = replace(comparison, rows=rows)
    cold, kept = SHOWN["cold_starts"], SHOWN["slo_attainment"]
    assert best_estimate(comparison, setting, cold) == 3.0
    assert [is_best(comparison, setting, name, cold) for name in ("idle", "fcfs")] == [False, True]
    assert is_best(comparison, setting, "idle", kept), "a metric that counts the unserved is earned"
    leader = next(line for line in verdicts(comparison) if "mean completion time" in line)
    assert "fcfs has the best mean completion time" in leader
    assert "idle aside, who finish too few workflows" in leader


def _with(run: FinishedRun, **changes: object) -> Comparison:
    comparison = run.comparison
    if "seeds" in changes:
        changes["rows"] = comparison.rows[comparison.rows["seed"].isin(changes["seeds"])]
    return replace(comparison, **changes)

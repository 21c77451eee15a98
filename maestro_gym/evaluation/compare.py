"""Policies x scenarios x contentions x seeds, run over the cores of a machine, or of several."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pandas as pd
from rich.console import Console

from maestro_gym.config import dump_config
from maestro_gym.core.errors import MaestroError
from maestro_gym.core.run_folder import clear_earlier, run_folder
from maestro_gym.episodes.metrics.row import IDENTITY, metric_columns
from maestro_gym.episodes.prices import without_price
from maestro_gym.evaluation.comparison import RULE_COLUMNS, Comparison, Setting
from maestro_gym.evaluation.comparison_files import write_document, write_results
from maestro_gym.evaluation.entrants import Entrant, enter
from maestro_gym.evaluation.episode_store import EpisodeStore
from maestro_gym.evaluation.progress import WorkProgress
from maestro_gym.evaluation.report.chrome_trace import write_chrome_traces
from maestro_gym.evaluation.report.figures import draw_all
from maestro_gym.evaluation.report.page.write_page import write_report
from maestro_gym.evaluation.report.table import print_comparison
from maestro_gym.evaluation.run_info import command_line, machine, now_utc, resumed_command, versions
from maestro_gym.evaluation.sweep_facts import sweep_facts
from maestro_gym.evaluation.worker import Job, JobOutcome, Runner, run_job, scenario_of
from maestro_gym.evaluation.workers.choose import LOCAL, open_workers
from maestro_gym.evaluation.workers.workers import Workers
from maestro_gym.performance.validity import beyond_measured

Place = tuple[str, tuple[str, ...]]
"""A scenario by name or file, and its overrides."""

_ABOUT = ("predictor", "information", "learned", *RULE_COLUMNS, "load", "rate_rps")


def run_compare(
    scenario: str | Sequence[str],
    policies: Sequence[str],
    *,
    predictors: Sequence[str] = (),
    contentions: Sequence[str] | None = None,
    seeds: Sequence[int] | None = None,
    overrides: Sequence[str] = (),
    out: Path | None = None,
    json_path: Path | None = None,
    perfetto: Path | None = None,
    jobs: int | None = None,
    on: str = LOCAL,
    resume: bool = False,
    overwrite: bool = False,
    reference: str | None = None,
    split: str = "test",
    own_limits: bool = False,
    runner: Runner | None = None,
    wide: bool = False,
    console: Console | None = None,
) -> tuple[Comparison, Path]:
    """Compare policies, print the table, and leave a run folder with results, plots and report.

    Args:
        scenario: Name or file of a scenario, or several.
        policies: Specs: names, ``file.py:Class``, folders of training runs.
        predictors: What informs the policies that read predictions, in turn; none: the scenario's own.
        contentions: Labels that set the load (low, medium, high, overload); None keeps the scenario's own.
        seeds: Evaluation seeds; None takes the scenario's.
        overrides: ``dotted.place=value``, applied to every scenario, after the contention.
        out: Run folder; None makes ``runs/compare/<time>``.
        json_path: Another place for ``results.json``.
        perfetto: File for the episode of the first seed in Chrome's trace event format; see `write_chrome_traces`.
        jobs: Episodes at a time; None: one for every usable core.
        on: Where they run; see `open_workers`.
        resume: Go on with the run in ``out``, if there is one: only the episodes that it lacks are run.
        overwrite: Remove the run in ``out``, if there is one.
        reference: Policy that differences refer to, by spec or name; None takes ``fcfs`` or else the first.
        split: Split of the episodes.
        own_limits: Give a policy that was searched together with limits of engines these limits, at the rate of
            arrivals that the scenario has without them.
        runner: How specs become policies and episodes; None takes the baselines' registry and driver.
        wide: Print all columns of the table, and not only the first four.
        console: Where table and words go; None prints on standard output.

    Returns:
        The comparison and its run folder.

    Raises:
        MaestroError: Something asked for does not exist or does not fit together.
        KeyboardInterrupt: Interrupted; the episodes so far are in the folder.
    """
    console = console or Console()
    folder = out or Path("runs") / "compare" / time.strftime("%Y%m%d-%H%M%S")
    with run_folder(folder, resume=resume, overwrite=overwrite, go_on=resumed_command(folder)):
        with open_workers(on, jobs) as workers:
            comparison = compare(
                [scenario] if isinstance(scenario, str) else scenario,
                policies,
                predictors=predictors,
                contentions=contentions,
                seeds=seeds,
                overrides=overrides,
                workers=workers,
                reference=reference,
                split=split,
                own_limits=own_limits,
                runner=runner,
                folder=folder,
                resume=resume,
                overwrite=overwrite,
            )
        write_results(comparison, folder)
        if json_path is not None:
            write_document(comparison, json_path)
        shown = [] if perfetto is None else write_chrome_traces(comparison.traces, perfetto)
        draw_all(comparison, folder / "plots")
        report = write_report(comparison, folder / "report.html")
    print_comparison(comparison, console, wide=wide)
    console.print(f"\nResults: {folder}\nReport:  {report}", highlight=False, soft_wrap=True)
    for path in shown:
        console.print(f"Trace:   {path}", highlight=False, soft_wrap=True)
    return comparison, folder


def compare(
    scenarios: Sequence[str],
    policies: Sequence[str],
    *,
    places: Sequence[Place] = (),
    predictors: Sequence[str] = (),
    contentions: Sequence[str] | None = None,
    seeds: Sequence[int] | None = None,
    overrides: Sequence[str] = (),
    jobs: int | None = None,
    workers: Workers | None = None,
    reference: str | None = None,
    split: str = "test",
    own_limits: bool = False,
    runner: Runner | None = None,
    folder: Path | None = None,
    resume: bool = False,
    overwrite: bool = False,
) -> Comparison:
    """Run every policy on every setting and seed; the arguments are those of :func:`run_compare`.

    Without ``workers``, ``jobs`` processes of this machine run the episodes. ``folder`` receives every episode as soon
    as it has ended, and nothing else; None keeps none. ``places`` are further settings, with overrides of their own.

    Returns:
        The comparison, in memory.
    """
    if not policies:
        raise MaestroError("No policy to compare. Name at least one, for example --policy fcfs --policy maestro.")
    named = [
        (name, (*((f"contention={label}",) if label else ()), *overrides))
        for name in scenarios
        for label in (contentions or (None,))
    ]
    places = [*named, *places]
    settings = [_setting(name, changes) for name, changes in places]
    _refuse_duplicates([(s.scenario, s.contention) for s in settings])
    chosen_seeds = list(seeds) if seeds else list(scenario_of(*places[0]).config.seeds)
    if len(set(chosen_seeds)) != len(chosen_seeds):
        raise MaestroError(f"Seeds {chosen_seeds} repeat; every seed must be given once, it would count twice.")
    runner = runner or Runner()
    entrants = enter(policies, predictors, runner, *places[0], own=own_limits)
    settings = [replace(setting, notes=(*setting.notes, *_words_of_limits(entrants))) for setting in settings]
    compared_to = _reference(reference, entrants)
    plan = [
        Job(
            scenario=name,
            overrides=(*changes, *entrant.overrides, *_at_the_same_rate(entrant.limits, setting)),
            contention=setting.contention,
            spec=entrant.spec,
            label=entrant.label,
            split=split,
            seed=seed,
            drawn=seed == chosen_seeds[0],
            runner=runner,
        )
        for (name, changes), setting in zip(places, settings, strict=True)
        for seed in chosen_seeds
        for entrant in entrants
    ]
    begun = {"command": command_line(), "created": now_utc()}
    with ExitStack() as closing:
        store = None
        if folder is not None:
            if overwrite:
                clear_earlier(folder)
            facts = sweep_facts(places, settings, entrants, chosen_seeds, split, runner)
            store = closing.enter_context(EpisodeStore(folder, facts, begun, resume=resume))
            begun = store.begun
        done = _run(plan, workers or closing.enter_context(open_workers(jobs=jobs)), store)
    return Comparison(
        rows=_rows([outcome.row for outcome in done]),
        workflows=pd.concat([outcome.workflows for outcome in done], ignore_index=True),
        traces=[outcome.trace for outcome in done if outcome.trace is not None],
        settings=settings,
        policies=[entrant.label for entrant in entrants],
        reference=compared_to,
        seeds=chosen_seeds,
        split=split,
        info={
            **begun,
            "machine": machine(),
            "versions": versions(),
            "scenarios": [name for name, _ in places],
            "overrides": list(overrides),
        },
    )


def _words_of_limits(entrants: list[Entrant]) -> list[str]:
    """What the reader must know of policies that run under limits of their own."""
    return [
        f"{entrant.label.name} runs under limits of its own, at the same rate of arrivals: {', '.join(entrant.limits)}."
        for entrant in entrants
        if entrant.limits
    ]


def _at_the_same_rate(limits: tuple[str, ...], setting: Setting) -> tuple[str, ...]:
    """Limits as overrides: offered load is relative to a capacity that they would change, so the rate is held."""
    return (*limits, f"workload.rate_rps={setting.rate_rps!r}") if limits else ()


def _setting(name: str, overrides: tuple[str, ...]) -> Setting:
    scenario = scenario_of(name, overrides)
    return Setting(
        scenario=scenario.config.name,
        contention=scenario.config.contention,
        load=scenario.rate_rps / scenario.capacity_rps,
        rate_rps=scenario.rate_rps,
        config_yaml=dump_config(scenario.config),
        notes=(*scenario.workload.notes, *beyond_measured(scenario.config), *without_price(scenario.config)),
        knee_rps=scenario.knee_rps,
    )


def _refuse_duplicates(settings: list[tuple[str, str]]) -> None:
    for (scenario, contention), count in Counter(settings).items():
        if count > 1:
            raise MaestroError(
                f"Scenario {scenario} at contention {contention} would be run {count} times over: name each scenario "
                "and contention once, and do not override workload.load when several contentions are asked for."
            )


def _reference(asked: str | None, entrants: list[Entrant]) -> str:
    names = [entrant.label.name for entrant in entrants]
    if asked is None:
        return "fcfs" if "fcfs" in names else names[0]
    for entrant in entrants:
        if asked in (entrant.spec, entrant.label.name):
            return entrant.label.name
    raise MaestroError(
        f"--reference {asked}: not among the compared policies ({', '.join(names)}); add it or name one."
    )


def _rows(rows: list[dict[str, object]]) -> pd.DataFrame:
    table = pd.DataFrame(rows)
    first = [*IDENTITY[:3], *_ABOUT, *IDENTITY[3:], "done", "workflows", "stages", "wall_s"]
    return table.reindex(columns=[*first, *metric_columns()])


def _run(plan: list[Job], workers: Workers, store: EpisodeStore | None) -> list[JobOutcome]:
    """Run what of a plan is not in the store yet; outcomes in the plan's order."""
    done = {} if store is None else store.read()
    with WorkProgress("comparing", "episodes", len(plan), done=len(done)) as shown:
        for index, outcome in _outcomes(plan, [index for index in range(len(plan)) if index not in done], workers):
            if store is not None:
                store.add(index, outcome)
            done[index] = outcome
            shown.update(len(done))
    return [done[index] for index in range(len(plan))]


def _outcomes(plan: list[Job], missing: list[int], workers: Workers) -> Iterator[tuple[int, JobOutcome]]:
    """Run jobs: one, then every policy once, then the rest, so that workers find compiled code on disk."""
    firsts = {plan[index].spec: index for index in reversed(missing)}
    once = [index for index in missing if firsts[plan[index].spec] == index]
    rest = [index for index in missing if firsts[plan[index].spec] != index]
    for indices in (once[:1], once[1:], rest):
        for number, outcome in workers.run(run_job, [plan[index] for index in indices], _name):
            yield indices[number], outcome


def _name(job: Job) -> str:
    return f"{job.label.name} on {job.scenario}, {job.contention}, seed {job.seed}"

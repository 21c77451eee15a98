"""Finished comparisons taken together, where their episodes are the same: what differs otherwise would be the runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import pandas as pd

from maestro_gym.core.errors import MaestroError
from maestro_gym.episodes.metrics.row import metric_columns
from maestro_gym.evaluation.comparison import Comparison, PolicyLabel, Setting
from maestro_gym.evaluation.finished_run import FinishedRun
from maestro_gym.evaluation.run_info import command_line, machine, now_utc

_Place = tuple[str, str, str]
"""Scenario, contention and policy."""

_SOURCES = "sources of "
_VERSION = "version of "


def merge_runs(runs: Sequence[FinishedRun], reference: str | None = None) -> Comparison:
    """Take finished comparisons together: all their settings, and all their policies.

    What must be the same in all: split, seeds, and of a setting that several hold, its rate of arrivals and every part
    of its scenario. A policy that several ran on one setting counts once, and only if its episodes are the same in all.

    Args:
        runs: The comparisons, in the order in which their policies are shown.
        reference: Policy that differences refer to; None takes the one that all runs have.

    Returns:
        One comparison. Where runs were made by different sources or versions, a note of each setting says so.

    Raises:
        MaestroError: They cannot be merged; it says what differs, and where.
    """
    first, *others = runs
    for other in others:
        _refuse_other_episodes(first, other)
    for place, one in enumerate(runs):
        for other in runs[place + 1 :]:
            _refuse_other_scenarios(one, other)
    chosen = _reference(runs, reference)
    owners = _owners(runs)
    settings = {_key(s): s for run in runs for s in run.comparison.settings}
    policies = {p.name: p for run in runs for p in run.comparison.policies}
    _refuse_gaps(runs, owners, list(settings), list(policies))
    note = _note_of_versions(runs)
    return Comparison(
        rows=_joined([_own(run.comparison.rows, owners, run) for run in runs]),
        workflows=_joined([_own(run.comparison.workflows, owners, run) for run in runs]),
        traces=[
            trace
            for run in runs
            for trace in run.comparison.traces
            if owners.get((trace.scenario, trace.contention, trace.policy)) is run
        ],
        settings=[replace(s, notes=tuple(dict.fromkeys((*_notes(runs, s), *note)))) for s in settings.values()],
        policies=list(policies.values()),
        reference=chosen,
        seeds=first.comparison.seeds,
        split=first.comparison.split,
        info=_info(runs),
    )


def _key(setting: Setting) -> tuple[str, str]:
    return setting.scenario, setting.contention


def _refuse_other_episodes(one: FinishedRun, other: FinishedRun) -> None:
    for what, mine, its in (
        ("split", one.comparison.split, other.comparison.split),
        ("seeds", sorted(one.comparison.seeds), sorted(other.comparison.seeds)),
    ):
        if mine != its:
            raise MaestroError(
                f"{one.folder} and {other.folder} cannot be merged: their {what} differ ({_shown(mine)} and "
                f"{_shown(its)}), so their policies met other episodes. Run one of them again as the other, or show "
                "them apart."
            )


def _shown(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _refuse_other_scenarios(one: FinishedRun, other: FinishedRun) -> None:
    shared = {_key(s) for s in one.comparison.settings} & {_key(s) for s in other.comparison.settings}
    for scenario, contention in sorted(shared):
        ending = f" of {scenario} {contention}"
        for run in (one, other):
            if not run.facts:
                raise MaestroError(
                    f"{run.folder} kept no episodes (episodes.sqlite), so nothing says whether its {scenario} at "
                    f"{contention} contention is that of the other runs. Run the comparison again, or show it alone."
                )
        parts = [
            {n.removesuffix(ending): v for n, v in run.facts.items() if n.endswith(ending)} for run in (one, other)
        ]
        names = _differing(*parts)
        if names:
            verb = "differs" if len(names) == 1 else "differ"
            raise MaestroError(
                f"{one.folder} and {other.folder} cannot be merged: {scenario} at {contention} contention is another "
                f"scenario in each; {', '.join(names)} {verb}. Run one of them again as the other, or show them apart."
            )


def _differing(mine: Mapping[str, str], its: Mapping[str, str]) -> list[str]:
    return [name for name in dict.fromkeys((*mine, *its)) if mine.get(name) != its.get(name)]


def _reference(runs: Sequence[FinishedRun], asked: str | None) -> str:
    there = {policy.name for run in runs for policy in run.comparison.policies}
    if asked is not None:
        if asked not in there:
            raise MaestroError(
                f"--reference {asked}: not among the policies of these runs ({', '.join(sorted(there))}); name one."
            )
        return asked
    found = {run.comparison.reference: run.folder for run in reversed(runs)}
    if len(found) > 1:
        told = ", ".join(f"{name} in {folder}" for name, folder in reversed(found.items()))
        raise MaestroError(f"These runs have different references ({told}): choose one by --reference.")
    return runs[0].comparison.reference


def _owners(runs: Sequence[FinishedRun]) -> dict[_Place, FinishedRun]:
    """The first run that holds a policy on a setting, which counts; the others must hold the same."""
    owners: dict[_Place, FinishedRun] = {}
    for run in runs:
        for policy in run.comparison.policies:
            for setting in run.comparison.settings:
                owner = owners.setdefault((*_key(setting), policy.name), run)
                if owner is not run:
                    _refuse_other_results(owner, run, setting, policy)
    return owners


def _refuse_other_results(one: FinishedRun, other: FinishedRun, setting: Setting, policy: PolicyLabel) -> None:
    fact = f"policy {policy.name}"
    same = one.comparison.seeds
    mine, its = (run.comparison.values(setting, policy.name).loc[same] for run in (one, other))
    if one.facts.get(fact) == other.facts.get(fact) and mine.equals(its):
        return
    columns = [name for name in metric_columns() if not mine[name].equals(its[name])]
    what = f"its results differ ({', '.join(columns[:4])})" if columns else "it is another policy in each"
    raise MaestroError(
        f"{one.folder} and {other.folder} both hold {policy.name} on {setting.scenario} at {setting.contention} "
        f"contention, and {what}. Run it again in one of them, or show the two runs apart."
    )


def _refuse_gaps(
    runs: Sequence[FinishedRun], owners: Mapping[_Place, FinishedRun], settings: list[tuple[str, str]], names: list[str]
) -> None:
    gaps = [(name, setting) for setting in settings for name in names if (*setting, name) not in owners]
    if gaps:
        name, (scenario, contention) = gaps[0]
        more = f" (and {len(gaps) - 1} more such gaps)" if len(gaps) > 1 else ""
        raise MaestroError(
            f"{', '.join(str(run.folder) for run in runs)} cannot be merged: none of them has {name} on {scenario} at "
            f"{contention} contention{more}, and a table needs every policy on every setting. Run what is missing, or "
            "leave a run out."
        )


def _own(table: pd.DataFrame, owners: Mapping[_Place, FinishedRun], run: FinishedRun) -> pd.DataFrame:
    places = zip(table["scenario"], table["contention"], table["policy"], strict=True)
    return pd.DataFrame(table[[owners.get(place) is run for place in places]])


def _joined(tables: list[pd.DataFrame]) -> pd.DataFrame:
    return pd.concat([table for table in tables if len(table)], ignore_index=True)


def _notes(runs: Sequence[FinishedRun], setting: Setting) -> list[str]:
    return [note for run in runs for s in run.comparison.settings if _key(s) == _key(setting) for note in s.notes]


def _note_of_versions(runs: Sequence[FinishedRun]) -> list[str]:
    """A sentence where runs were made by different code: a difference between policies may then be one of the code."""
    kinds = (_SOURCES, _VERSION)
    facts = [{n: v for n, v in run.facts.items() if n.startswith(kinds)} for run in runs]
    names = list(dict.fromkeys(name for its in facts[1:] for name in _differing(facts[0], its)))
    if not names:
        return []
    return [
        f"These runs were made by different code ({', '.join(names)}); differences between policies of different runs "
        "may come from it."
    ]


def _info(runs: Sequence[FinishedRun]) -> dict[str, object]:
    if len(runs) == 1:
        return runs[0].comparison.info
    infos = [run.comparison.info for run in runs]
    return {
        "command": "\n".join([*(str(info["command"]) for info in infos), command_line()]),
        "created": now_utc(),
        "machine": "; ".join(dict.fromkeys([*(str(info["machine"]) for info in infos), machine()])),
        "versions": {name: version for info in reversed(infos) for name, version in info["versions"].items()},
        "scenarios": list(dict.fromkeys(name for info in infos for name in info.get("scenarios", ()))),
        "overrides": list(dict.fromkeys(word for info in infos for word in info.get("overrides", ()))),
    }

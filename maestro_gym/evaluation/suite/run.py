"""Policies on a benchmark: a record each."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from maestro_gym.core.errors import MaestroError
from maestro_gym.core.file_names import file_name
from maestro_gym.core.run_folder import clear_earlier, run_folder
from maestro_gym.episodes.metrics.row import metric_columns
from maestro_gym.evaluation.compare import compare
from maestro_gym.evaluation.episode_store import STORE_FILE
from maestro_gym.evaluation.run_info import command_line, machine, now_utc, resumed_command, versions
from maestro_gym.evaluation.statistics import Interval, mean_intervals, paired_differences
from maestro_gym.evaluation.suite.definition import Benchmark
from maestro_gym.evaluation.suite.fingerprint import changed_parts, file_sha256, scenario_parts, source_hashes
from maestro_gym.evaluation.suite.identity import PolicyIdentity, Training, identity_of, training_of
from maestro_gym.evaluation.suite.marks import marks_of
from maestro_gym.evaluation.suite.record import Episodes, Estimate, Record, RunInfo, Summary, read_record, write_record
from maestro_gym.evaluation.worker import Runner, label_of, policy_of, scenario_of
from maestro_gym.evaluation.workers.workers import Workers

RATE_DIGITS = 6
"""Significant digits to which the arrival rate is frozen: the last bits of a float may differ between processors."""


@dataclass(frozen=True)
class Place:
    """A benchmark where its files are.

    Attributes:
        benchmark: What it says.
        overrides: Of its scenario, the trace's place included.
        parts: Hash of every part of the scenario as it resolves here.
        rate_rps: Workflows that arrive a second, rounded as it is frozen.
    """

    benchmark: Benchmark
    overrides: tuple[str, ...]
    parts: dict[str, str]
    rate_rps: float

    @property
    def changed(self) -> list[str]:
        """What is no longer as it was frozen, in words for a message."""
        frozen = self.benchmark.config.frozen
        if frozen is None:
            return ["everything, as it was never frozen"]
        found = changed_parts(frozen.parts, self.parts)
        # Where no part has changed, the rate is the simulator's own reckoning of the capacity.
        if not found and self.rate_rps != frozen.rate_rps:
            found = [f"the arrival rate ({self.rate_rps:g} workflows/s, frozen at {frozen.rate_rps:g})"]
        return found


@dataclass(frozen=True)
class Measured:
    """A policy and its episodes."""

    policy: PolicyIdentity
    episodes: Episodes


def place_of(benchmark: Benchmark, traces: Path | None = None) -> Place:
    """Resolve a benchmark's scenario.

    Args:
        benchmark: The benchmark.
        traces: Folder in which its trace lies at any depth, or the file itself; None: nowhere.

    Returns:
        The benchmark with its trace found; what has changed since it was frozen is told and not refused.

    Raises:
        MaestroError: The trace is missing or another one, or the scenario cannot be resolved.
    """
    config = benchmark.config
    overrides = tuple(config.overrides)
    if config.trace is not None:
        overrides += (f"workload.trace={_trace_file(benchmark, traces)}",)
    scenario = scenario_of(config.scenario, overrides)
    rate_rps = float(f"{scenario.rate_rps:.{RATE_DIGITS}g}")
    return Place(benchmark, overrides, scenario_parts(scenario.config), rate_rps)


def frozen_place(benchmark: Benchmark, traces: Path | None = None) -> Place:
    """Resolve a benchmark's scenario, and refuse it where it is no longer the frozen one.

    Args:
        benchmark: The benchmark.
        traces: As in `place_of`.

    Raises:
        MaestroError: As `place_of`; or a part of the scenario has changed.
    """
    place = place_of(benchmark, traces)
    if place.changed:
        raise MaestroError(
            f"benchmark {benchmark.name}: the scenario is not the frozen one. What differs: "
            f"{', '.join(place.changed)}. Take the version of the package that {benchmark.path.name} belongs to. If "
            "the change is meant, freeze it anew; older records then no longer hold: python benchmarks/freeze.py"
        )
    return place


def identify(place: Place, spec: str, runner: Runner) -> PolicyIdentity:
    """Load a policy for a benchmark and say what it consists of.

    Args:
        place: The benchmark.
        spec: What names the policy.
        runner: How it is loaded.
    """
    policy = policy_of(runner, spec, place.benchmark.config.scenario, place.overrides)
    return identity_of(policy, label_of(policy, spec, policy.name), spec)


def measure(
    place: Place,
    specs: Sequence[str],
    seeds: Sequence[int],
    *,
    runner: Runner,
    workers: Workers | None = None,
    folder: Path | None = None,
    resume: bool = False,
) -> list[Measured]:
    """Run policies on test episodes of a benchmark.

    Args:
        place: The benchmark.
        specs: What names the policies, each once.
        seeds: Test seeds; a record's first ones give its first values.
        runner: How policies are loaded and run.
        workers: Who runs them; None: a process for every usable core.
        folder: Keeps the episodes that have ended, so that a killed run can go on; None keeps none.
        resume: Go on with the episodes in it.

    Returns:
        What each came to, in the order of the specs.
    """
    scenario = place.benchmark.config.scenario
    found = compare(
        [scenario],
        specs,
        seeds=seeds,
        overrides=place.overrides,
        runner=runner,
        workers=workers,
        folder=folder,
        resume=resume,
    )
    measured = []
    for spec, label in zip(specs, found.policies, strict=True):
        rows = found.rows[found.rows["policy"] == label.name].set_index("seed").loc[list(seeds)]
        metrics = {name: [_known(value) for value in rows[name]] for name in metric_columns()}
        episodes = Episodes(
            metrics=metrics,
            workflows=[int(value) for value in rows["workflows"]],
            ends=list(rows["done"]),
            wall_s=[round(float(value), 3) for value in rows["wall_s"]],
        )
        measured.append(Measured(identify(place, spec, runner), episodes))
    return measured


def record_of(place: Place, own: Measured, reference: Measured, training: Training) -> Record:
    """Make the record of a policy.

    Args:
        place: The benchmark.
        own: The policy on all test seeds.
        reference: The reference on the same seeds.
        training: What the policy had cost.
    """
    config = place.benchmark.config
    kept = dict.fromkeys((*config.shown, "unfinished"))
    theirs = reference.episodes.model_copy(
        update={"metrics": {name: reference.episodes.metrics[name] for name in kept}}
    )
    return Record(
        benchmark=place.benchmark.word,
        definition=config,
        scenario=place.parts,
        policy=own.policy,
        training=training,
        seeds=list(config.seeds.test.seeds),
        results=own.episodes,
        reference=reference.policy,
        reference_results=theirs,
        summary=summary_of(config.shown, own.episodes, theirs),
        marks=marks_of(config.budget, own.policy, training, own.episodes, theirs),
        run=RunInfo(
            command=command_line(), created=now_utc(), machine=machine(), versions=versions(), sources=source_hashes()
        ),
    )


def summary_of(columns: Sequence[str], own: Episodes, reference: Episodes) -> dict[str, Summary]:
    """Means over seeds and paired differences to the reference, with intervals.

    Args:
        columns: Metrics.
        own: The policy's episodes.
        reference: The reference's, on the same seeds.
    """
    ours, theirs = (np.array([e.metrics[c] for c in columns], dtype=float) for e in (own, reference))
    pairs = zip(columns, mean_intervals(ours), paired_differences(ours, theirs), strict=True)
    return {column: Summary(value=_estimate(v), difference=_estimate(d)) for column, v, d in pairs}


def run_benchmark(
    place: Place,
    specs: Sequence[str],
    folder: Path,
    *,
    runner: Runner,
    keep: bool = False,
    resume: bool = False,
    overwrite: bool = False,
    stated: Training | None = None,
    workers: Workers | None = None,
) -> Iterator[tuple[Path, Record, bool]]:
    """Run policies and the reference on a benchmark, and write a record each.

    Args:
        place: The benchmark.
        specs: What names the policies.
        folder: Where records go, ``BENCHMARK/POLICY.json``.
        runner: How policies are loaded and run.
        keep: Leave records that still stand as they are (see `stands`).
        resume: Go on with a run that was stopped: its records are kept as by ``keep``, and so are its episodes.
        overwrite: Remove the records of these policies in ``folder``, if there are any.
        stated: What the policies had cost, where their own files do not tell.
        workers: Who runs the episodes; None: a process for every usable core.

    Yields:
        File, record, and whether it was there before; the reference comes first.
    """
    config = place.benchmark.config
    wanted = list(dict.fromkeys((config.reference, *specs)))
    identities = {spec: identify(place, spec, runner) for spec in wanted}
    own = folder / place.benchmark.name
    files = {spec: own / f"{file_name(i.name)}.json" for spec, i in identities.items()}
    for file, count in Counter(files.values()).items():
        if count > 1:
            raise MaestroError(f"{count} policies would write {file}: run policies of one name apart, with --out.")
    left = (STORE_FILE, *(file.name for file in files.values()))
    with run_folder(own, resume=keep or resume, overwrite=overwrite, go_on=resumed_command(folder), left=left):
        if overwrite:
            clear_earlier(own, left)
        yield from _run_into(place, wanted, identities, files, runner, keep, resume, stated, workers)


def _run_into(
    place: Place,
    wanted: list[str],
    identities: dict[str, PolicyIdentity],
    files: dict[str, Path],
    runner: Runner,
    keep: bool,
    resume: bool,
    stated: Training | None,
    workers: Workers | None,
) -> Iterator[tuple[Path, Record, bool]]:
    config = place.benchmark.config
    own = files[config.reference].parent
    kept: dict[str, Record] = {}
    if keep or resume:
        found = {spec: read_record(file) for spec, file in files.items() if file.is_file()}
        kept = {spec: record for spec, record in found.items() if stands(record, place, identities[spec])}
        # Differences refer to the reference: where it runs anew, all do.
        kept = kept if config.reference in kept else {}
    missing = [spec for spec in wanted if spec not in kept]
    fresh: dict[str, Measured] = {}
    if missing:
        seeds = config.seeds.test.seeds
        measured = measure(place, missing, seeds, runner=runner, workers=workers, folder=own, resume=resume)
        fresh = dict(zip(missing, measured, strict=True))
    reference = fresh.get(config.reference) or Measured(kept[config.reference].policy, kept[config.reference].results)
    for spec in wanted:
        if spec in kept:
            yield files[spec], kept[spec], True
            continue
        record = record_of(place, fresh[spec], reference, training_of(spec, stated))
        write_record(files[spec], record)
        yield files[spec], record, False
    (own / STORE_FILE).unlink(missing_ok=True)


def stands(record: Record, place: Place, policy: PolicyIdentity) -> bool:
    """Whether a record is what a run would write now: of the same benchmark, policy, sources and versions.

    Args:
        record: An earlier record.
        place: The benchmark.
        policy: The policy as it is now.
    """
    return (
        record.definition == place.benchmark.config
        and record.scenario == place.parts
        and record.policy == policy
        and record.run.sources == source_hashes()
        and record.run.versions == versions()
    )


def _trace_file(benchmark: Benchmark, traces: Path | None) -> Path:
    trace = benchmark.config.trace
    assert trace is not None
    words = f"benchmark {benchmark.name} replays {trace.file} ({trace.source})"
    if traces is None:
        raise MaestroError(f"{words}, which does not come with the package. Give its folder: --traces FOLDER")
    found = [traces] if traces.is_file() else sorted(traces.rglob(trace.file))
    if not found:
        raise MaestroError(f"{words}, which is not in {traces}. Fetch it, and give its folder: --traces FOLDER")
    for file in found:
        if file_sha256(file) == trace.sha256:
            return file
    raise MaestroError(f"{words}, but {found[0]} is another file: its SHA-256 is not {trace.sha256}. Fetch it anew.")


def _known(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def _estimate(interval: Interval) -> Estimate:
    return Estimate(mean=_known(interval.estimate), low=_known(interval.low), high=_known(interval.high), n=interval.n)

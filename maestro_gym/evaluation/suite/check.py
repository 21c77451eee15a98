"""A record held against its benchmark and run again: accepted, or told what differs."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Literal

from maestro_gym.baselines.registry import demand_trust_of
from maestro_gym.evaluation.run_info import machine, versions
from maestro_gym.evaluation.suite.definition import load_benchmark
from maestro_gym.evaluation.suite.fingerprint import changed_parts, source_hashes
from maestro_gym.evaluation.suite.identity import PolicyIdentity
from maestro_gym.evaluation.suite.marks import marks_of
from maestro_gym.evaluation.suite.record import Episodes, Record
from maestro_gym.evaluation.suite.run import Place, identify, measure, place_of, summary_of
from maestro_gym.evaluation.worker import Runner
from maestro_gym.evaluation.workers.workers import Workers

Kind = Literal["definition", "config", "seed", "policy", "number", "summary", "mark"]

_SHOWN_NUMBERS = 10
"""Numbers that are told one by one; of more, their count."""

_CLOSE = 1e-9
"""Relative difference up to which summaries are alike: they are reckoned from the numbers, which must be equal."""


@dataclass(frozen=True)
class Difference:
    """Something that a record says and a check does not find.

    Attributes:
        kind: What differs.
        place: Where in the record.
        recorded: What the record says.
        found: What the check found.
    """

    kind: Kind
    place: str
    recorded: str
    found: str


@dataclass(frozen=True)
class Verdict:
    """The outcome of a check.

    Attributes:
        differences: What differs; none: the record is accepted.
        notes: What may explain a difference and is none itself: versions, sources, machine.
        replayed: Seeds that were run again.
    """

    differences: list[Difference]
    notes: list[str]
    replayed: int

    @property
    def accepted(self) -> bool:
        """Whether nothing differs."""
        return not self.differences


def check_record(
    record: Record,
    *,
    runner: Runner,
    first_seeds: int | None = None,
    spec: str | None = None,
    traces: Path | None = None,
    workers: Workers | None = None,
    trust: bool = False,
) -> Verdict:
    """Hold a record against its benchmark, and run its episodes again.

    What was run is compared first: of another scenario, other seeds or another policy nothing is run, because its
    numbers would say nothing.

    Args:
        record: The record.
        runner: How policies are loaded and run.
        first_seeds: Seeds to run again, the first of the record; None runs all.
        spec: Where the policy lies now; None: where the record says.
        traces: Folder of public traces.
        workers: Who runs the episodes; None: a process for every usable core.
        trust: Whether a Python file that the record names may be run.

    Returns:
        What differs.

    Raises:
        MaestroError: The benchmark, its trace or the policy cannot be found, or the record names code that is not
            trusted.
    """
    for word, identity in ((spec, record.policy), (None, record.reference)):
        if word is None:
            demand_trust_of(identity.spec, f"the record of {identity.name}: spec", trust=trust)
    place = place_of(load_benchmark(record.benchmark), traces)
    differences = [*_definition(record, place), *_scenario(record, place), *_seeds(record, place)]
    own, reference = spec or record.policy.spec, record.reference.spec
    for name, recorded, word in (("policy", record.policy, own), ("reference", record.reference, reference)):
        if not differences or name == "policy":
            differences += _identity(name, recorded, identify(place, word, runner))
    count = 0
    if not differences:
        differences += _derived(record)
        count = len(record.seeds) if first_seeds is None else min(first_seeds, len(record.seeds))
        specs = list(dict.fromkeys((own, reference)))
        again = measure(place, specs, record.seeds[:count], runner=runner, workers=workers)
        measured = dict(zip(specs, again, strict=True))
        for name, episodes, word in (
            ("results", record.results, own),
            ("reference_results", record.reference_results, reference),
        ):
            found = _numbers(name, record.seeds, episodes.first(count), measured[word].episodes)
            told = list(islice(found, _SHOWN_NUMBERS))
            more = sum(1 for _ in found)
            differences += told
            if more:
                differences.append(Difference("number", name, f"{more} more numbers", "differ too"))
    return Verdict(differences, _notes(record), count)


def _definition(record: Record, place: Place) -> list[Difference]:
    recorded = _flat(record.definition.model_dump(mode="json"))
    found = _flat(place.benchmark.config.model_dump(mode="json"))
    return [
        Difference("definition", f"definition.{name}", _text(recorded.get(name)), _text(found.get(name)))
        for name in sorted(recorded.keys() | found.keys())
        if recorded.get(name) != found.get(name)
    ]


def _scenario(record: Record, place: Place) -> list[Difference]:
    """The scenario of the record and the frozen one are each held against what resolves here."""
    changed = [
        Difference("config", f"scenario.{name}", record.scenario.get(name, "-"), place.parts.get(name, "-"))
        for name in changed_parts(record.scenario, place.parts)
    ]
    if not changed:
        changed = [
            Difference("config", f"{place.benchmark.name}: {name}", "as frozen", "changed") for name in place.changed
        ]
    return changed


def _seeds(record: Record, place: Place) -> list[Difference]:
    expected = list(place.benchmark.config.seeds.test.seeds)
    if record.seeds == expected:
        return []
    wrong = [seed for seed in record.seeds if seed not in expected]
    words = f"{', '.join(map(str, wrong))}" if wrong else f"{len(record.seeds)} seeds"
    return [Difference("seed", "seeds", words, f"{place.benchmark.config.seeds.test}, each once and in order")]


def _identity(place: str, recorded: PolicyIdentity, found: PolicyIdentity) -> list[Difference]:
    before, now = _flat(recorded.model_dump(mode="json")), _flat(found.model_dump(mode="json"))
    # Where a policy lies, and what a comparison called it to tell two apart, is no part of it.
    return [
        Difference("policy", f"{place}.{name}", _text(before.get(name)), _text(now.get(name)))
        for name in sorted((before.keys() | now.keys()) - {"spec", "name"})
        if before.get(name) != now.get(name)
    ]


def _numbers(place: str, seeds: list[int], recorded: Episodes, found: Episodes) -> Iterator[Difference]:
    pairs = {f"metrics.{name}": (values, found.metrics.get(name)) for name, values in recorded.metrics.items()}
    pairs |= {"workflows": (recorded.workflows, found.workflows), "ends": (recorded.ends, found.ends)}
    for name, (before, now) in pairs.items():
        if now is None:
            yield Difference("number", f"{place}.{name}", "recorded", "there is no such metric")
            continue
        for seed, old, new in zip(seeds, before, now, strict=False):
            if old != new:
                yield Difference("number", f"{place}.{name}, seed {seed}", _text(old), _text(new))


def _derived(record: Record) -> list[Difference]:
    """What the record says of its own numbers, reckoned again from them."""
    own, theirs = record.results, record.reference_results
    shown = {name: value.model_dump() for name, value in record.summary.items()}
    again = {name: value.model_dump() for name, value in summary_of(record.definition.shown, own, theirs).items()}
    before, now = _flat(shown), _flat(again)
    found = [
        Difference("summary", f"summary.{name}", _text(before.get(name)), _text(now.get(name)))
        for name in sorted(before.keys() | now.keys())
        if not _alike(before.get(name), now.get(name))
    ]
    marks = marks_of(record.definition.budget, record.policy, record.training, own, theirs)
    return found + [
        Difference("mark", f"marks.{kind}", record.marks.get(kind, "-"), marks.get(kind, "-"))
        for kind in sorted(record.marks.keys() | marks.keys())
        if record.marks.get(kind) != marks.get(kind)
    ]


def _notes(record: Record) -> list[str]:
    here = {**versions(), "machine": machine(), **{f"sources of {k}": v for k, v in source_hashes().items()}}
    before = {**record.run.versions, "machine": record.run.machine}
    before |= {f"sources of {k}": v for k, v in record.run.sources.items()}
    return [
        f"{name}: {before.get(name, '-')} in the record, {here.get(name, '-')} here"
        for name in dict.fromkeys((*before, *here))
        if before.get(name) != here.get(name)
    ]


def _flat(content: dict[str, Any], above: str = "") -> dict[str, Any]:
    """Nested mappings as one, by dotted names."""
    flat: dict[str, Any] = {}
    for name, value in content.items():
        flat |= _flat(value, f"{above}{name}.") if isinstance(value, dict) else {f"{above}{name}": value}
    return flat


def _alike(one: float | None, other: float | None) -> bool:
    if one is None or other is None:
        return one is other
    return math.isclose(one, other, rel_tol=_CLOSE, abs_tol=_CLOSE)


def _text(value: object) -> str:
    return "-" if value is None else repr(value) if isinstance(value, float) else str(value)

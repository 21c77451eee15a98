"""The record of one policy on one benchmark: a JSON file that people can read and `check` can run again."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from maestro_gym.config import StrictModel, validated
from maestro_gym.config.bounds import Amount, Free, Seed
from maestro_gym.core.bounded_text import parse_json, read_bounded
from maestro_gym.core.errors import MaestroError
from maestro_gym.core.whole_file import write_whole
from maestro_gym.evaluation.suite.definition import BenchmarkConfig
from maestro_gym.evaluation.suite.identity import PolicyIdentity, Training

FORMAT = 1

_MAX_BYTES = 2**26
"""Largest record [bytes]; one of 24 seeds has 45,000."""

Values = list[Free | None]
"""A metric by seed, in the order of the record's seeds; None where there was nothing to measure."""

Count = Annotated[int, Field(ge=0, le=10**12)]

_FLAT_LIST = re.compile(r"\[\s+([^\[\]{}]*?)\s+\]")


class Estimate(StrictModel):
    """A mean over seeds with its 95 % interval; None where too few values are known."""

    mean: Free | None
    low: Free | None
    high: Free | None
    n: Count


class Summary(StrictModel):
    """A metric of the policy, and its paired difference to the reference."""

    value: Estimate
    difference: Estimate


class Episodes(StrictModel):
    """What a policy's episodes came to, by seed."""

    metrics: dict[str, Values] = Field(description="every metric of docs/metrics.md, by column")
    workflows: list[Count] = Field(description="workflows that were offered")
    ends: list[str] = Field(description="why the episode ended")
    wall_s: list[Amount] = Field(description="real time that it took [s]")

    def first(self, count: int) -> Self:
        """The same of the first seeds alone."""
        return type(self)(
            metrics={name: values[:count] for name, values in self.metrics.items()},
            workflows=self.workflows[:count],
            ends=self.ends[:count],
            wall_s=self.wall_s[:count],
        )


class RunInfo(StrictModel):
    """What must be known to repeat a run."""

    command: str
    created: str
    machine: str
    versions: dict[str, str]
    sources: dict[str, str]


class Record(StrictModel):
    """One policy on one benchmark."""

    format: Literal[1] = Field(default=FORMAT, description="version of the file's layout")
    benchmark: str = Field(description="name or file of the benchmark")
    definition: BenchmarkConfig = Field(description="what it said")
    scenario: dict[str, str] = Field(description="hash of every part of the resolved scenario")
    policy: PolicyIdentity
    training: Training = Field(description="what the policy had cost, as its file or its maker says")
    seeds: list[Seed] = Field(min_length=1, description="test seeds, in order")
    results: Episodes
    reference: PolicyIdentity = Field(description="the policy that differences refer to")
    reference_results: Episodes = Field(description="its episodes, with the metrics of the summary and `unfinished`")
    summary: dict[str, Summary] = Field(description="the benchmark's metrics")
    marks: dict[str, str] = Field(description="what a reader must know, by kind")
    run: RunInfo

    @model_validator(mode="after")
    def _one_value_a_seed(self) -> Self:
        for owner, episodes in (("results", self.results), ("reference_results", self.reference_results)):
            lists = {"workflows": episodes.workflows, "ends": episodes.ends, "wall_s": episodes.wall_s}
            for name, values in (lists | {f"metrics.{n}": v for n, v in episodes.metrics.items()}).items():
                if len(values) != len(self.seeds):
                    raise ValueError(f"{owner}.{name} has {len(values)} values for {len(self.seeds)} seeds")
        missing = {*self.definition.shown, "unfinished"} - self.results.metrics.keys()
        missing |= {*self.definition.shown, "unfinished"} - self.reference_results.metrics.keys()
        if missing:
            raise ValueError(f"the results lack {', '.join(sorted(missing))}")
        return self


def write_record(path: Path, record: Record) -> None:
    """Write a record; a reader never sees half of it.

    Args:
        path: The file, whose folder is made.
        record: What it holds.

    Raises:
        MaestroError: It cannot be written.
    """
    text = json.dumps(record.model_dump(mode="json"), indent=1, allow_nan=False)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, _FLAT_LIST.sub(_on_one_line, text) + "\n")
    except OSError as error:
        raise MaestroError(f"{path}: cannot write the record ({error.strerror}); name a writable folder.") from error


def read_record(path: Path) -> Record:
    """Read a record.

    Args:
        path: The file.

    Returns:
        What it says; nothing of it is believed yet.

    Raises:
        MaestroError: It cannot be read, or is no record.
    """
    try:
        content: Any = parse_json(read_bounded(path, _MAX_BYTES))
    except OSError as error:
        raise MaestroError(f"{path}: cannot be read ({error.strerror}); give the file of a record.") from None
    except ValueError as error:
        raise MaestroError(f"{path}: is damaged, no JSON ({error}). Take the file anew from whoever made it.") from None
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        found = content.get("format") if isinstance(content, dict) else None
        raise MaestroError(
            f"{path}: is no record of format {FORMAT} (it says {found!r}). Give a file that "
            "`maestro-gym benchmark run` has written."
        )
    return validated(Record, content, lambda _: str(path))


def _on_one_line(match: re.Match[str]) -> str:
    """A list of scalars on one line: JSON strings hold no line breaks, so only white space between items changes."""
    return "[" + re.sub(r"\n\s*", " ", match[1]) + "]"

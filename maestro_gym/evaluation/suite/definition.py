"""What a benchmark says, and where the benchmarks lie."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, model_validator

from maestro_gym.config import StrictModel, hint, read_yaml, validated
from maestro_gym.config.bounds import MOST_RPS, MOST_SEED
from maestro_gym.core.errors import MaestroError
from maestro_gym.episodes.metrics.row import metric_of

_SUFFIXES = (".yaml", ".yml")


class SeedRange(StrictModel):
    """Seeds that follow one another, both ends included."""

    first: int = Field(ge=0, le=MOST_SEED, description="first seed")
    last: int = Field(ge=0, le=MOST_SEED, description="last seed")

    @model_validator(mode="after")
    def _ascending(self) -> Self:
        if self.last < self.first:
            raise ValueError(f"last ({self.last}) is below first ({self.first})")
        return self

    @property
    def seeds(self) -> range:
        """All of them, in order."""
        return range(self.first, self.last + 1)

    def __str__(self) -> str:
        """As tables show it."""
        return f"{self.first}-{self.last}"


class SeedsConfig(StrictModel):
    """Which seeds are for what. An episode of one split is never one of another; the numbers do not overlap either."""

    train: SeedRange | None = Field(
        default=None, description="episodes to learn from; None: nothing may be learned here"
    )
    validation: SeedRange | None = Field(default=None, description="episodes to choose by; None: nothing may be chosen")
    test: SeedRange = Field(description="episodes of the record, on which nothing may be learned or chosen")

    @model_validator(mode="after")
    def _disjoint(self) -> Self:
        named = {name: value for name in ("train", "validation", "test") if (value := getattr(self, name)) is not None}
        ordered = sorted(named.items(), key=lambda item: item[1].first)
        for (name, before), (other, after) in pairwise(ordered):
            if after.first <= before.last:
                raise ValueError(f"the seeds of {name} ({before}) and {other} ({after}) overlap; part them")
        return self


class BudgetConfig(StrictModel):
    """What a policy may have cost before it is run here, and what it may know."""

    episodes: int = Field(
        ge=0, le=10**12, description="training episodes that were simulated, those of failed trials too"
    )
    decisions: int = Field(
        ge=0, le=10**15, description="decisions that a learner learned from, in place of whole episodes"
    )
    wall_s: float = Field(ge=0, le=1e10, description="real time of the training [s]")
    information: Literal["N", "P", "O"] = Field(
        description="most that a rule may read; N: past and present, P: predictions too, O: the true future"
    )


class TraceFile(StrictModel):
    """A public trace that does not come with the package."""

    file: str = Field(min_length=1, description="name of the file")
    sha256: str = Field(pattern="^[0-9a-f]{64}$", description="of its bytes")
    source: str = Field(min_length=1, description="where it was published")


class FrozenConfig(StrictModel):
    """What the scenario was when the benchmark was made."""

    parts: dict[str, str] = Field(description="hash of every part, of `fingerprint.scenario_parts`")
    rate_rps: float = Field(gt=0, le=MOST_RPS, description="workflows that arrive a second, to six digits")


class BenchmarkConfig(StrictModel):
    """A benchmark: scenario, seeds, metric and budget."""

    description: str = Field(min_length=1, description="one sentence for the reader")
    scenario: str = Field(description="a name of configs/scenarios, or a YAML file")
    overrides: list[str] = Field(default=[], description="dotted overrides of the scenario, applied in order")
    held_out: Literal["fleet", "family", "trace"] | None = Field(
        default=None, description="what of it no training may touch; None: it has seeds to train on"
    )
    trace: TraceFile | None = Field(default=None, description="the trace that `workload.trace` becomes")
    seeds: SeedsConfig = Field(description="which seeds are for what")
    metric: str = Field(description="what the leaderboard is sorted by")
    also: list[str] = Field(default=[], description="other metrics that are shown")
    reference: str = Field(default="maestro", description="policy that differences refer to")
    budget: BudgetConfig = Field(description="what a policy may have cost and may know")
    frozen: FrozenConfig | None = Field(default=None, description="written by benchmarks/freeze.py")

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if len(set(self.shown)) != len(self.shown):
            raise ValueError("a metric is named twice in `metric` and `also`")
        for column in self.shown:
            try:
                metric_of(column)
            except MaestroError as error:
                raise ValueError(str(error)) from None
        if metric_of(self.metric).better == "neither":
            raise ValueError(f"`metric`: {self.metric} is neither better high nor low; sort by another one")
        if self.held_out is not None and (self.seeds.train or self.seeds.validation):
            raise ValueError("what is held out has test seeds alone; leave out `seeds.train` and `seeds.validation`")
        if self.held_out is None and not (self.seeds.train and self.seeds.validation):
            raise ValueError(
                "give `seeds.train` and `seeds.validation`, or say in `held_out` what training never touches"
            )
        if any(text.startswith("workload.trace=") for text in self.overrides) and self.trace is not None:
            raise ValueError("`trace` and an override of workload.trace say one thing twice; leave one out")
        return self

    @property
    def shown(self) -> tuple[str, ...]:
        """The metrics of tables, the one that decides first."""
        return (self.metric, *self.also)


@dataclass(frozen=True)
class Benchmark:
    """A benchmark under its name.

    Attributes:
        name: The stem of its file.
        word: What named it: the name, or the path of a file.
        path: Its file.
        config: What it says.
    """

    name: str
    word: str
    path: Path
    config: BenchmarkConfig


@cache
def suite_dir() -> Path:
    """Find the folder of the benchmarks.

    Returns:
        ``benchmarks/suite`` of a source checkout, or the copy inside the installed package.

    Raises:
        MaestroError: Neither exists.
    """
    package = Path(__file__).resolve().parents[2]
    for base in (package, package.parent):
        if (base / "benchmarks" / "suite").is_dir():
            return base / "benchmarks" / "suite"
    raise MaestroError(
        f"The folder `benchmarks/suite` was found neither in {package} nor beside it; install the package again, "
        "or run from a complete checkout."
    )


def benchmark_names() -> list[str]:
    """Names of the benchmarks that come with the package, sorted."""
    return sorted(path.stem for path in suite_dir().glob("*.yaml"))


def load_benchmark(word: str) -> Benchmark:
    """Read a benchmark.

    Args:
        word: A name of ``benchmarks/suite``, or a YAML file.

    Returns:
        The benchmark.

    Raises:
        MaestroError: There is none, a key is unknown or a value bad.
    """
    path = Path(word) if word.endswith(_SUFFIXES) else suite_dir() / f"{word}.yaml"
    if not os.path.isfile(path):
        raise MaestroError(f"there is no benchmark `{word}`. {hint(word, benchmark_names())}")
    return Benchmark(path.stem, word, path, validated(BenchmarkConfig, read_yaml(path), lambda _: str(path)))

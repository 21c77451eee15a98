"""Settings of a study of ``maestro-gym tune``: what varies, what counts, and how many trials there are."""

from __future__ import annotations

from collections import Counter
from typing import Literal, Self

from pydantic import Field, model_validator

from maestro_gym.config.base import StrictModel
from maestro_gym.config.bounds import LONGEST_S, MOST_LEARNER_SEED, MOST_SEEDS, Free, FreeInt, Seed


class VariedConfig(StrictModel):
    """A setting that differs from trial to trial: a range, or a list of levels."""

    path: str = Field(
        pattern=r"^[^=\s]+$", description="its dotted place, as a word of the verb's command line names it"
    )
    low: FreeInt | Free | None = Field(default=None, description="least value of a range")
    high: FreeInt | Free | None = Field(default=None, description="greatest value of a range; whole where both are")
    log: bool = Field(default=False, description="draw the logarithm evenly")
    step: FreeInt | Free | None = Field(default=None, gt=0, description="distance of the values from each other")
    levels: list[bool | FreeInt | Free | str] | None = Field(
        default=None, min_length=2, max_length=4096, description="values that are tried, in place of a range"
    )

    @model_validator(mode="after")
    def _range_or_levels(self) -> Self:
        if (self.levels is None) == (self.low is None and self.high is None):
            raise ValueError(f"{self.path}: give either low and high, or levels")
        if self.levels is not None:
            if self.log or self.step is not None:
                raise ValueError(f"{self.path}: log and step belong to a range, not to levels")
            if len(set(map(repr, self.levels))) != len(self.levels):
                raise ValueError(f"{self.path}: levels repeat")
            return self
        if self.low is None or self.high is None or self.low >= self.high:
            raise ValueError(f"{self.path}: low must be there and below high")
        if self.log and (self.low <= 0 or self.step is not None):
            raise ValueError(f"{self.path}: a logarithmic range lies above 0 and has no step")
        if self.is_whole and isinstance(self.step, float):
            raise ValueError(f"{self.path}: whole numbers have a whole step")
        return self

    @property
    def is_whole(self) -> bool:
        """Whether the values of a range are whole numbers."""
        return isinstance(self.low, int) and isinstance(self.high, int)


class TuneConfig(StrictModel):
    """A study: trials of a verb under settings that Optuna chooses, judged on validation episodes."""

    verb: Literal["train", "search", "compare"] = Field(
        default="compare",
        description="what a trial does: trains a policy, searches the numbers of one, or runs one as it is",
    )
    scenario: str | None = Field(
        default=None, description="name or file of the scenario; a search names its own under places; None: quick"
    )
    config: str | None = Field(
        default=None, description="name or file in configs/train or configs/search; None: as the verb has it"
    )
    policy: str | None = Field(default=None, description="policy that `compare` runs; None: maestro")
    overrides: list[str] = Field(default=[], description="words that all trials share, such as contention=high")
    vary: list[VariedConfig] = Field(min_length=1, max_length=256, description="what differs from trial to trial")
    metric: str = Field(default="slo_attainment", description="a column of docs/metrics.md, the mean over the episodes")
    seeds: list[Seed] = Field(
        default=[100, 101, 102, 103, 104, 105, 106, 107],
        min_length=1,
        max_length=MOST_SEEDS,
        description="of the validation episodes that judge a trial; training and search choose by 0, 1, 2 ...",
    )
    trials: int = Field(default=20, gt=0, le=10**6, description="trials, those that are given up among them")
    limit_s: float | None = Field(
        default=None, gt=0, le=LONGEST_S, description="no trial begins after this time of a session [s]; None: no limit"
    )
    sampler: Literal["tpe", "random", "gp", "qmc", "grid"] = Field(
        default="tpe", description="Optuna's way to choose values; grid needs levels everywhere"
    )
    pruner: Literal["none", "median", "halving", "hyperband", "wilcoxon"] = Field(
        default="median", description="Optuna's way to give up poor trials; wilcoxon pairs the episodes of `compare`"
    )
    startup_trials: int = Field(
        default=5, ge=0, le=10**6, description="trials that are drawn at random first, and that nothing prunes"
    )
    seed: int = Field(default=0, ge=0, le=MOST_LEARNER_SEED, description="of the sampler")

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        twice = [path for path, count in Counter(varied.path for varied in self.vary).items() if count > 1]
        if twice:
            raise ValueError(f"vary: {twice[0]} is varied twice")
        if len(set(self.seeds)) != len(self.seeds):
            raise ValueError("seeds repeat; an episode would count twice")
        if self.verb == "search" and self.scenario is not None:
            raise ValueError("a search names its scenarios under places; leave scenario out")
        if self.verb != "compare" and self.policy is not None:
            raise ValueError(f"{self.verb} makes a policy; leave policy out")
        if self.verb == "compare" and self.config is not None:
            raise ValueError("compare has no settings of its own; leave config out")
        if self.verb != "compare" and self.pruner == "wilcoxon":
            raise ValueError("wilcoxon compares episode by episode, which only `compare` does; take another pruner")
        if self.sampler == "grid" and any(varied.levels is None for varied in self.vary):
            raise ValueError("a grid needs levels for everything that varies")
        return self

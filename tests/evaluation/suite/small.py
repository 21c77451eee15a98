"""A benchmark small enough to run in a test: two nodes, three seeds, forty seconds of arrivals."""

from dataclasses import dataclass
from pathlib import Path

import yaml

from maestro_gym.evaluation import worker
from maestro_gym.evaluation.suite.definition import load_benchmark
from maestro_gym.evaluation.suite.record import Record
from maestro_gym.evaluation.suite.run import frozen_place, place_of, run_benchmark
from maestro_gym.evaluation.worker import Runner
from maestro_gym.evaluation.workers.choose import open_workers

SEEDS = [300, 301, 302]

Ran = dict[str, tuple[Path, Record, bool]]
"""File, record and whether it was kept, by the policy's name."""


def forget() -> None:
    """Let scenarios and policies be read anew, as another process would."""
    worker.scenario_of.cache_clear()
    worker.policy_of.cache_clear()


@dataclass(frozen=True)
class Small:
    """A folder with a scenario, a benchmark of it and a policy of numbers."""

    folder: Path

    @property
    def word(self) -> str:
        return str(self.folder / "small.yaml")

    @property
    def policy(self) -> str:
        return str(self.folder / "mine.yaml")

    @classmethod
    def made(cls, folder: Path) -> "Small":
        small = cls(folder)
        small.write_scenario()
        small.write_policy()
        small.write()
        forget()
        place = place_of(load_benchmark(small.word))
        small.write(frozen={"parts": place.parts, "rate_rps": place.rate_rps})
        return small

    def write(self, **changes: object) -> None:
        content = {
            "description": "Two nodes.",
            "scenario": str(self.folder / "scenario.yaml"),
            "overrides": ["workload.load=3"],
            "seeds": {
                "train": {"first": 0, "last": 99},
                "validation": {"first": 100, "last": 199},
                "test": {"first": SEEDS[0], "last": SEEDS[-1]},
            },
            "metric": "slo_attainment",
            "also": ["completion_mean_s"],
            "reference": "fcfs",
            "budget": {"episodes": 100, "decisions": 1000, "wall_s": 60, "information": "P"},
        }
        Path(self.word).write_text(yaml.safe_dump(content | changes), encoding="utf-8")

    def write_scenario(self, drain_s: int = 60) -> None:
        text = f"extends: toy\nhorizon_s: 40\ndrain_s: {drain_s}\n"
        (self.folder / "scenario.yaml").write_text(text, encoding="utf-8")

    def write_policy(self, remaining: float = 2.0) -> None:
        text = f"family: shaped\nformat: 1\nabout: {{episodes: 7}}\nnumbers: {{remaining: {remaining}}}\n"
        Path(self.policy).write_text(text, encoding="utf-8")

    def run(
        self,
        *specs: str,
        keep: bool = False,
        resume: bool = False,
        overwrite: bool = False,
        runner: Runner | None = None,
    ) -> Ran:
        forget()
        place, folder, how = frozen_place(load_benchmark(self.word)), self.folder / "records", runner or Runner()
        ways = {"keep": keep, "resume": resume, "overwrite": overwrite}
        with open_workers(jobs=1) as workers:
            found = list(run_benchmark(place, specs, folder, runner=how, workers=workers, **ways))
        return {record.policy.name: (file, record, kept) for file, record, kept in found}

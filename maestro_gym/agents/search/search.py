"""``maestro-gym search``: numbers of a family, found by CMA-ES over whole episodes.

Every generation meets fresh training episodes, the same for all of its candidates and for the reference (common random
numbers). Now and then the mean of the search and the best candidate of the generation are tried on validation episodes;
the folder offers what was best there. Nothing here looks at test episodes.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cma
import numpy as np
from rich.console import Console
from stable_baselines3.common.logger import Logger

from maestro_gym.agents.logs import open_logger
from maestro_gym.agents.run_folder import note_run, write_config
from maestro_gym.agents.search.evaluate import Evaluator, Trial
from maestro_gym.agents.search.kept import STATE_FILE, Best, KeptSearch, digest_of, read_kept, tell_again, write_kept
from maestro_gym.agents.search.objective import measures_of, worth
from maestro_gym.agents.search.on_workers import RemoteEvaluator, Source, loaded
from maestro_gym.agents.search.space import Space
from maestro_gym.baselines.shaped.file import POLICY_FILE, write_numbers
from maestro_gym.baselines.user_rules import beside, is_user_spec
from maestro_gym.config.search import SearchConfig
from maestro_gym.core.errors import MaestroError
from maestro_gym.core.run_folder import clear_earlier, run_folder
from maestro_gym.episodes.scenario import Scenario
from maestro_gym.evaluation.progress import WorkProgress
from maestro_gym.evaluation.run_info import command_line, commit, versions
from maestro_gym.evaluation.workers.workers import Workers

Watch = Callable[[int, dict[str, tuple[float, float]]], None]
"""Hears of generations so far and the kept policy's measures on validation episodes, beside the reference's."""

_SEEDS_APART = 1 << 20
"""Between the training seeds of two searches: no search is longer, so they share no episode."""


@dataclass(frozen=True)
class SearchResult:
    """What a search came to.

    Attributes:
        folder: Its folder, with `POLICY_FILE`.
        seed: Of the search.
        generations: Rounds done.
        episodes: Episodes run, those of the reference included.
        wall_s: Seconds of this session.
        validation: Measures of the policy that was kept, and the reference's, means over validation episodes.
        worth: Its objective on validation episodes; 0 is the reference.
        values: What was searched, by name, as it was kept.
        defaults: The same as the family has it by default, and the first place its limits.
    """

    folder: Path
    seed: int
    generations: int
    episodes: int
    wall_s: float
    validation: dict[str, tuple[float, float]]
    worth: float
    values: dict[str, float]
    defaults: dict[str, float]


class Search:
    """One search in its folder."""

    def __init__(
        self, config: SearchConfig, folder: Path, workers: Workers | None = None, watch: Watch | None = None
    ) -> None:
        """Prepare.

        Args:
            config: Its settings.
            folder: Its folder, which exists.
            workers: Who runs the episodes; None: threads of this process.
            watch: Told of every validation; what it raises ends the search.

        Raises:
            MaestroError: A scenario, a policy, a number or the file to start from does not exist.
        """
        self._config, self._folder, self._watch = config, folder, watch
        places = tuple((place.scenario, _overrides(config, place.overrides)) for place in config.places)
        homes = tuple((place.scenario, tuple(place.overrides)) for place in config.places)
        scenarios, whole = ([Scenario.load(*place) for place in named] for named in (places, homes))
        self._measures = measures_of(config.objective)
        spec = beside(config.family, folder)
        policies = loaded(spec, whole)
        family = policies[0].family
        if family is None:
            raise MaestroError(
                f"search.family: {config.family} has no numbers to search. Name shaped, a rival of the list in "
                "docs/baselines.md, or FILE.py:RULE of a rule with "
                "numbers=(Number(...), ...); docs/search.md says how."
            )
        self.space = Space(replace(family, name=config.family), config, whole[0].config)
        self._defaults = self.space.searched(self.space.default_row(whole[0].config))
        reference = loaded(config.reference, whole)
        self._reference_numbers = np.array([reference[0].numbers or (0.0,)])
        if workers is None:
            self._training, self._validation, self._training_reference, self._validation_reference = (
                Evaluator(where, who, self._measures) for who in (policies, reference) for where in (scenarios, whole)
            )
        else:
            self._training, self._validation, self._training_reference, self._validation_reference = (
                RemoteEvaluator(Source(where, homes, who, tuple(self._measures)), workers)
                for who in (spec, config.reference)
                for where in (places, homes)
            )
        self._reference_rows: np.ndarray | None = None
        weights = np.array([place.weight for place in config.places])
        self._weights = weights / weights.sum()
        self._best: dict[str, Any] = {"worth": -np.inf}
        self._told: list[list[float]] = []
        self._asked: list[str] = []
        self._generation, self._episodes = 0, 0
        self._strategy = self._new_strategy()
        self._challenger = self.space.start

    def _new_strategy(self) -> cma.CMAEvolutionStrategy:
        options = {
            "bounds": [0.0, 1.0],
            "popsize": self._config.population,
            "seed": self._config.seed + 1,  # 0 would mean the clock
            "CMA_stds": self.space.spreads.tolist(),
            "minstd": self.space.least.tolist(),
            "verbose": -9,
        }
        return cma.CMAEvolutionStrategy(self.space.start, 1.0, options)

    def run(self, console: Console, *, progress: bool = True) -> SearchResult:
        """Search to the end, from the checkpoint if the folder has one; ``progress`` shows how far it is."""
        begin = time.perf_counter()
        self._restore()
        config = self._config
        logger = open_logger(self._folder, self._episodes, config.wandb, config.model_dump(mode="json"))
        a_round = (config.population + 1) * config.episodes * len(config.places)
        total = config.generations * a_round
        try:
            shown_on = None if progress else Console(quiet=True)
            done = self._generation * a_round
            with WorkProgress("searching", "episodes", total, done=done, console=shown_on) as shown:
                if self._generation == 0:
                    self._validate(logger)  # a search may only improve on what it began with
                shown.update(note=self._news())
                while self._generation < config.generations:
                    self._round(logger, shown, self._generation * a_round)
                    shown.update(self._generation * a_round)
                    if self._generation % config.validate_every == 0 or self._generation == config.generations:
                        self._validate(logger)
                        shown.update(note=self._news())
                    logger.dump(self._episodes)
                    self._save()
                    if self._watch is not None and self._generation % config.validate_every == 0:
                        self._watch(self._generation, self._best["validation"])
        finally:
            logger.close()
        console.print(f"kept {self._folder / POLICY_FILE}: {self._news()}", highlight=False, soft_wrap=True)
        return SearchResult(
            folder=self._folder,
            seed=config.seed,
            generations=self._generation,
            episodes=self._episodes,
            wall_s=time.perf_counter() - begin,
            validation=self._best["validation"],
            worth=float(self._best["worth"]),
            values=self.space.searched(np.array(self._best["row"])),
            defaults=self._defaults,
        )

    def _round(self, logger: Logger, progress: WorkProgress, done: int) -> None:
        """One generation: ask, try on fresh episodes, tell."""
        config = self._config
        first = config.seed * _SEEDS_APART + self._generation * config.episodes
        seeds = range(first, first + config.episodes)
        points = self._strategy.ask()
        digest = digest_of(points)
        rows = np.array([self.space.row(point) for point in points])
        theirs = self._reference(self._training_reference, "train", seeds)
        ours = self._candidates(self._training, rows, "train", seeds, lambda count: progress.update(done + count))
        values = [self._worth(outcome, theirs) for outcome in ours]
        self._strategy.tell(points, [-value for value in values])
        self._told.append([float(value) for value in values])
        self._asked.append(digest)
        self._episodes += (len(points) + 1) * len(theirs)
        self._generation += 1
        best = int(np.argmax(values))
        self._challenger = np.array(points[best])
        gains = (ours[:, :, 0] - theirs[:, 0]) @ self._episode_weights(len(theirs))
        logger.record("generation", self._generation)
        logger.record("worth_best", values[best])
        logger.record("worth_mean", float(np.mean(values)))
        logger.record("slo_gain_best", float(gains[best]))
        logger.record("slo_gain_mean", float(gains.mean()))
        logger.record("spread", float(self._strategy.sigma))

    def _worth(self, ours: np.ndarray, theirs: np.ndarray) -> float:
        places = np.arange(len(ours)) % len(self._weights)
        return worth(self._config.objective, ours, theirs, self._episode_weights(len(ours)), places)

    def _reference(self, evaluator: Evaluator | RemoteEvaluator, split: str, seeds: range) -> np.ndarray:
        """Measures of the reference, shape (episodes, measures)."""
        return self._table(evaluator, self._reference_numbers, [()], split, seeds)[0]

    def _candidates(
        self,
        evaluator: Evaluator | RemoteEvaluator,
        rows: np.ndarray,
        split: str,
        seeds: range,
        tell: Callable[[int], None] | None = None,
    ) -> np.ndarray:
        """Measures of candidates, shape (candidates, episodes, measures)."""
        numbers = np.array([self.space.in_view(row) for row in rows])
        return self._table(evaluator, numbers, [self.space.limits(row) for row in rows], split, seeds, tell)

    def _table(
        self,
        evaluator: Evaluator | RemoteEvaluator,
        numbers: np.ndarray,
        limits: Sequence[tuple[str, ...]],
        split: str,
        seeds: range,
        tell: Callable[[int], None] | None = None,
    ) -> np.ndarray:
        """Measures, shape (candidates, episodes, measures), an episode for each seed at each place in turn.

        ``tell`` hears how many episodes are done.
        """
        places = range(len(self._weights))
        trials = [Trial(c, place, split, seed) for c in range(len(numbers)) for seed in seeds for place in places]
        table = np.empty((len(numbers), len(seeds) * len(places), len(self._measures)))
        for done, (number, measures) in enumerate(evaluator.run(numbers, trials, limits), 1):
            trial = trials[number]
            table[trial.candidate, (trial.seed - seeds[0]) * len(places) + trial.place] = measures
            if tell is not None:
                tell(done)
        return table

    def _episode_weights(self, episodes: int) -> np.ndarray:
        seeds = episodes // len(self._weights)
        return np.tile(self._weights, seeds) / seeds

    def _validate(self, logger: Logger) -> None:
        """Try the mean of the search and its last best candidate on validation episodes; keep the best so far."""
        seeds = range(self._config.validation_episodes)
        theirs = self._reference_rows
        if theirs is None:
            theirs = self._reference(self._validation_reference, "validation", seeds)
            self._reference_rows = theirs
        weights = self._episode_weights(len(theirs))
        mean = np.clip(self._strategy.mean, 0.0, 1.0)
        rows = np.unique([self.space.row(mean), self.space.row(self._challenger)], axis=0)
        for row, ours in zip(rows, self._candidates(self._validation, rows, "validation", seeds), strict=True):
            self._episodes += len(ours)
            value = self._worth(ours, theirs)
            if value > self._best["worth"]:
                means = {
                    name: (float(weights @ ours[:, i]), float(weights @ theirs[:, i]))
                    for i, name in enumerate(self._measures)
                }
                self._best = {"worth": value, "validation": means, "row": row.tolist()}
                self._write_policy()
        mine, their = self._best["validation"]["slo_attainment"]
        logger.record("validation/worth_kept", self._best["worth"])
        logger.record("validation/slo_gain_kept", mine - their)

    def _write_policy(self) -> None:
        row = np.array(self._best["row"])
        about = {
            "found_by": command_line(),
            "generations": self._generation,
            "episodes": self._episodes,
            "seed": self._config.seed,
            "reference": self._config.reference,
            "validation": {name: [round(v, 5) for v in pair] for name, pair in self._best["validation"].items()},
            "commit": commit(),
            "versions": versions(),
        }
        path, family = self._folder / POLICY_FILE, self.space.family
        write_numbers(path, family, self.space.values(row), about, self.space.knobs(row))

    def _news(self) -> str:
        ours, theirs = self._best["validation"]["slo_attainment"]
        mine_s, their_s = self._best["validation"]["completion_mean_s"]
        return (
            f"SLO {ours:.1%} ({100 * (ours - theirs):+.1f} points to {self._config.reference}), "
            f"completion {mine_s:.1f} s ({mine_s / their_s - 1:+.0%}) on validation"
        )

    def _save(self) -> None:
        """Write what an exact resume needs; a reader never sees half of it."""
        best = Best(**self._best)
        kept = KeptSearch(
            names=list(self.space.names),
            told=self._told,
            asked=self._asked,
            episodes=self._episodes,
            best=best,
            challenger=self._challenger.tolist(),
        )
        write_kept(self._folder / STATE_FILE, kept)

    def _restore(self) -> None:
        path = self._folder / STATE_FILE
        if not path.is_file():
            return
        kept = read_kept(path, self.space.names)
        tell_again(self._strategy, kept, path)
        self._told, self._asked, self._generation = list(kept.told), list(kept.asked), len(kept.told)
        self._episodes, self._challenger = kept.episodes, np.array(kept.challenger)
        self._best = kept.best.model_dump()


def search_folder(out: Path | None) -> Path:
    """The folder of a new search, or of several: where the user wants it, or a new one below ``runs/search``."""
    return out or Path("runs") / "search" / time.strftime("%Y%m%d-%H%M%S")


def run_search(
    config: SearchConfig,
    *,
    out: Path | None = None,
    resume: Path | None = None,
    overwrite: bool = False,
    workers: Workers | None = None,
    console: Console | None = None,
    watch: Watch | None = None,
    progress: bool = True,
) -> SearchResult:
    """Search, or go on with a search.

    Args:
        config: Its settings. A family from a Python file is copied into the folder, because numbers belong to a version
            of their rule.
        out: Its folder; None makes one below ``runs/search``.
        resume: The folder of a search to go on with; ``config`` must be its own, but for the number of generations.
        overwrite: Remove the search in ``out``, if there is one.
        workers: Who runs the episodes; None: threads of this process. Results are the same.
        console: Where words go; None prints on standard output.
        watch: Told of every validation; what it raises ends the search.
        progress: Show how far it is, on standard error.

    Raises:
        MaestroError: The folder cannot be made or holds another search, or the settings name what does not exist.
        KeyboardInterrupt: Interrupted; the last whole generation is in the folder.
    """
    console = console or Console()
    folder = resume or search_folder(out)
    go_on = f"maestro-gym search --resume {folder}"
    with run_folder(folder, resume=resume is not None, overwrite=overwrite, go_on=go_on):
        if overwrite:
            clear_earlier(folder)
        config = _with_own_rule(config, folder)
        write_config(folder, config)
        note_run(folder, {"seed": config.seed, "state": "running"})
        result = Search(config, folder, workers, watch).run(console, progress=progress)
        facts = {"episodes": result.episodes, "session_s": result.wall_s, "validation": result.validation}
        note_run(folder, {"seed": config.seed, "state": "finished"} | facts)
    return result


def _with_own_rule(config: SearchConfig, folder: Path) -> SearchConfig:
    """Put the rule of a family from a Python file into the folder, unless it is there, and name it there."""
    file, colon, name = config.family.partition(":")
    path = Path(file)
    if not is_user_spec(config.family):
        return config
    if not (folder / path.name).is_file():
        if not path.is_file():
            return config  # loading it says that there is no such file
        shutil.copyfile(path, folder / path.name)
    return config.model_copy(update={"family": f"{path.name}{colon}{name}"})


def _overrides(config: SearchConfig, overrides: Sequence[str]) -> tuple[str, ...]:
    return (*overrides, *((f"horizon_s={config.horizon_s}",) if config.horizon_s is not None else ()))

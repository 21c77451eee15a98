"""``maestro-gym search``: numbers of the shaped family, found by CMA-ES over whole episodes.

Every generation meets fresh training episodes, the same for all of its candidates and for the reference (common random
numbers). Now and then the mean of the search and the best candidate of the generation are tried on validation episodes;
the folder offers what was best there. Nothing here looks at test episodes.
"""

from __future__ import annotations

import json
import pickle
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cma
import numpy as np
from rich.console import Console

from maestro_gym.agents.logs import STEP_COLUMN, CsvLog
from maestro_gym.agents.search.evaluate import MEASURES, Evaluator, Trial
from maestro_gym.agents.search.objective import worth
from maestro_gym.baselines import load_policy
from maestro_gym.baselines.shaped.file import POLICY_FILE, read_numbers, write_numbers
from maestro_gym.baselines.shaped.numbers import NUMBERS, defaults
from maestro_gym.config import dump_config, hint
from maestro_gym.config.search import SearchConfig
from maestro_gym.core.errors import MaestroError
from maestro_gym.episodes.scenario import Scenario
from maestro_gym.evaluation.progress import WorkProgress
from maestro_gym.evaluation.run_info import command_line, versions

CONFIG_FILE, STATE_FILE, LOG_FILE = "search.yaml", "search.pkl", "search.csv"

_SEEDS_APART = 1 << 20
"""Between the training seeds of two searches: no search is longer, so they share no episode."""


@dataclass(frozen=True)
class SearchResult:
    """What a search came to.

    Attributes:
        folder: Its folder, with `POLICY_FILE`.
        generations: Rounds done.
        episodes: Episodes run, those of the reference included.
        wall_s: Seconds of this session.
        validation: `MEASURES` of the policy that was kept, and the reference's, means over validation episodes.
        worth: Its objective on validation episodes; 0 is the reference.
    """

    folder: Path
    generations: int
    episodes: int
    wall_s: float
    validation: dict[str, tuple[float, float]]
    worth: float


class Search:
    """One search in its folder."""

    def __init__(self, config: SearchConfig, folder: Path) -> None:
        """Prepare.

        Args:
            config: Its settings.
            folder: Its folder, which exists.

        Raises:
            MaestroError: A scenario, a number or the file to start from does not exist.
        """
        self._config, self._folder = config, folder
        self._scenarios = [
            Scenario.load(place.scenario, _overrides(config, place.overrides)) for place in config.places
        ]
        self._whole = [Scenario.load(place.scenario, tuple(place.overrides)) for place in config.places]
        shaped = [load_policy("shaped", scenario) for scenario in self._scenarios]
        self._training = Evaluator(self._scenarios, shaped)
        self._validation = Evaluator(self._whole, shaped)
        reference = [load_policy(config.reference, scenario) for scenario in self._scenarios]
        self._training_reference = Evaluator(self._scenarios, reference)
        self._validation_reference = Evaluator(self._whole, reference)
        self._reference_rows: np.ndarray | None = None
        self._searched = _searched(config.numbers)
        self._base = np.array(read_numbers(Path(config.start)) if config.start else defaults())
        weights = np.array([place.weight for place in config.places])
        self._weights = weights / weights.sum()
        self._best: dict[str, Any] = {"worth": -np.inf}
        self._generation, self._episodes = 0, 0
        self._strategy = self._new_strategy()
        self._challenger = self.candidate(np.array(self._strategy.x0))

    def _new_strategy(self) -> cma.CMAEvolutionStrategy:
        begun = self._config.start is not None
        start, spreads = [], []
        for place in self._searched:
            number = NUMBERS[place]
            value = self._base[place] if begun or number.start is None else number.start
            start.append(np.clip((value - number.low) / (number.high - number.low), 0.02, 0.98))
            spreads.append(number.spread * self._config.spread)
        options = {
            "bounds": [0.0, 1.0],
            "popsize": self._config.population,
            "seed": self._config.seed + 1,  # 0 would mean the clock
            "CMA_stds": spreads,
            "verbose": -9,
        }
        return cma.CMAEvolutionStrategy(start, 1.0, options)

    def candidate(self, point: np.ndarray) -> np.ndarray:
        """The whole list of numbers of a point of the search, float64, shape (numbers,)."""
        values = self._base.copy()
        for place, share in zip(self._searched, point, strict=True):
            number = NUMBERS[place]
            values[place] = number.low + float(share) * (number.high - number.low)
        return values

    def run(self, console: Console) -> SearchResult:
        """Search to the end, from the checkpoint if the folder has one."""
        begin = time.perf_counter()
        self._restore()
        config = self._config
        a_round = (config.population + 1) * config.episodes * len(config.places)
        total = config.generations * a_round
        with WorkProgress("searching", "episodes", total, done=self._generation * a_round) as progress:
            if self._generation == 0:
                self._validate()  # a search may only improve on what it began with
            while self._generation < config.generations:
                self._round(progress, self._generation * a_round)
                if self._generation % config.validate_every == 0 or self._generation == config.generations:
                    self._validate()
                    progress.update(note=self._news())
                self._save()
        console.print(f"kept {self._folder / POLICY_FILE}: {self._news()}", highlight=False, soft_wrap=True)
        return SearchResult(
            self._folder,
            self._generation,
            self._episodes,
            time.perf_counter() - begin,
            self._best["validation"],
            float(self._best["worth"]),
        )

    def _round(self, progress: WorkProgress, done: int) -> None:
        """One generation: ask, try on fresh episodes, tell."""
        config = self._config
        first = config.seed * _SEEDS_APART + self._generation * config.episodes
        seeds = range(first, first + config.episodes)
        points = self._strategy.ask()
        candidates = np.array([self.candidate(point) for point in points])
        theirs = self._table(self._training_reference, np.zeros((1, 1)), "train", seeds)[0]
        rows = self._table(self._training, candidates, "train", seeds, lambda count: progress.update(done + count))
        weights = self._episode_weights(len(seeds))
        values = [worth(config.objective, ours, theirs, weights) for ours in rows]
        self._strategy.tell(points, [-value for value in values])
        self._episodes += (len(points) + 1) * len(theirs)
        self._generation += 1
        best = int(np.argmax(values))
        self._challenger = candidates[best]
        gains = (weights @ (rows[:, :, 0] - theirs[:, 0]).T).tolist()
        self._log.append(
            {
                STEP_COLUMN: self._episodes,
                "generation": self._generation,
                "worth_best": values[best],
                "worth_mean": float(np.mean(values)),
                "slo_gain_best": gains[best],
                "slo_gain_mean": float(np.mean(gains)),
                "spread": float(self._strategy.sigma),
            }
        )

    def _table(
        self,
        evaluator: Evaluator,
        candidates: np.ndarray,
        split: str,
        seeds: Sequence[int],
        tell: Callable[[int], None] = lambda _: None,
    ) -> np.ndarray:
        """Measures, shape (candidates, episodes, measures), an episode for each seed at each place.

        ``tell`` hears how many episodes are done.
        """
        places = range(len(self._config.places))
        trials = [Trial(c, place, split, seed) for c in range(len(candidates)) for seed in seeds for place in places]
        rows = np.empty((len(candidates), len(seeds) * len(places), len(MEASURES)))
        for done, (number, row) in enumerate(evaluator.run(candidates, trials), 1):
            trial = trials[number]
            rows[trial.candidate, (trial.seed - seeds[0]) * len(places) + trial.place] = row
            tell(done)
        return rows

    def _episode_weights(self, seeds: int) -> np.ndarray:
        return np.tile(self._weights, seeds) / seeds

    def _validate(self) -> None:
        """Try the mean of the search and its last best candidate on validation episodes; keep the best so far."""
        seeds = range(self._config.validation_episodes)
        theirs = self._reference_rows
        if theirs is None:
            theirs = self._table(self._validation_reference, np.zeros((1, 1)), "validation", seeds)[0]
            self._reference_rows = theirs
        weights = self._episode_weights(len(seeds))
        mean = self.candidate(np.clip(self._strategy.mean, 0.0, 1.0))
        candidates = np.unique([mean, self._challenger], axis=0)
        for candidate, ours in zip(
            candidates, self._table(self._validation, candidates, "validation", seeds), strict=True
        ):
            self._episodes += len(ours)
            value = worth(self._config.objective, ours, theirs, weights)
            if value > self._best["worth"]:
                means = {
                    name: (float(weights @ ours[:, i]), float(weights @ theirs[:, i]))
                    for i, name in enumerate(MEASURES)
                }
                self._best = {"worth": value, "validation": means, "numbers": candidate.tolist()}
                self._write_policy()

    def _write_policy(self) -> None:
        names = [number.name for number in NUMBERS]
        about = {
            "found_by": command_line(),
            "generations": self._generation,
            "episodes": self._episodes,
            "reference": self._config.reference,
            "validation": {name: [round(v, 5) for v in pair] for name, pair in self._best["validation"].items()},
            "versions": versions(),
        }
        write_numbers(self._folder / POLICY_FILE, dict(zip(names, self._best["numbers"], strict=True)), about)

    def _news(self) -> str:
        ours, theirs = self._best["validation"]["slo_attainment"]
        mine_s, their_s = self._best["validation"]["completion_mean_s"]
        return (
            f"SLO {ours:.1%} ({100 * (ours - theirs):+.1f} points to {self._config.reference}), "
            f"completion {mine_s:.1f} s ({mine_s / their_s - 1:+.0%}) on validation"
        )

    def _save(self) -> None:
        """Write what an exact resume needs; a reader never sees half of it."""
        kept = {
            "strategy": self._strategy.pickle_dumps(),
            "generation": self._generation,
            "episodes": self._episodes,
            "best": self._best,
            "challenger": self._challenger,
            "random": np.random.get_state(),  # noqa: NPY002 - what CMA-ES draws from
        }
        partial = self._folder / (STATE_FILE + ".part")
        partial.write_bytes(pickle.dumps(kept))
        partial.replace(self._folder / STATE_FILE)

    def _restore(self) -> None:
        path = self._folder / STATE_FILE
        if path.is_file():
            # The folder is the user's own search: a checkpoint of CMA-ES is a pickle.
            kept = pickle.loads(path.read_bytes())
            self._strategy = pickle.loads(kept["strategy"])
            self._generation, self._episodes = kept["generation"], kept["episodes"]
            self._best, self._challenger = kept["best"], kept["challenger"]
            np.random.set_state(kept["random"])  # noqa: NPY002
        self._log = CsvLog(self._folder / LOG_FILE, self._episodes)


def run_search(
    config: SearchConfig, *, out: Path | None = None, resume: Path | None = None, console: Console | None = None
) -> SearchResult:
    """Search, or go on with a search.

    Args:
        config: Its settings.
        out: Its folder; None makes one below ``runs/search``.
        resume: The folder of a search to go on with; ``config`` must be its own, but for the number of generations.
        console: Where words go; None prints on standard output.

    Raises:
        MaestroError: The folder cannot be made or holds another search.
    """
    console = console or Console()
    folder = resume or out or Path("runs") / "search" / time.strftime("%Y%m%d-%H%M%S")
    if resume is None and (folder / STATE_FILE).exists():
        raise MaestroError(f"{folder} already holds a search. Go on with it by --resume {folder}, or name another.")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / CONFIG_FILE).write_text(dump_config(config), encoding="utf-8")
    except OSError as error:
        raise MaestroError(f"The folder {folder} cannot be written ({error.strerror}); name another.") from None
    result = Search(config, folder).run(console)
    about = {"command": command_line(), "versions": versions(), "wall_s": result.wall_s, "episodes": result.episodes}
    (folder / "run.json").write_text(json.dumps(about | {"validation": result.validation}, indent=2) + "\n")
    return result


def _overrides(config: SearchConfig, overrides: Sequence[str]) -> tuple[str, ...]:
    return (*overrides, *((f"horizon_s={config.horizon_s}",) if config.horizon_s is not None else ()))


def _searched(names: Sequence[str]) -> list[int]:
    known = [number.name for number in NUMBERS]
    for name in names:
        if name not in known:
            raise MaestroError(f"search.numbers: the shaped family has no number `{name}`. {hint(name, known)}")
    return [known.index(name) for name in names] or list(range(len(known)))

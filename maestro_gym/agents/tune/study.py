"""``maestro-gym tune``: trials of a verb under settings that Optuna chooses, in a folder that can be gone on with."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from maestro_gym.agents.run_folder import CONFIG_FILE, note_run
from maestro_gym.agents.tune.optuna_parts import grid, load_optuna, open_study
from maestro_gym.agents.tune.plots import write_plots
from maestro_gym.agents.tune.values import drawn
from maestro_gym.agents.tune.work import Work, work_of
from maestro_gym.config import dump_config, load_tune
from maestro_gym.config.tune import TuneConfig
from maestro_gym.core.errors import MaestroError
from maestro_gym.core.run_folder import clear_earlier, run_folder
from maestro_gym.core.whole_file import whole_file, write_whole
from maestro_gym.episodes.metrics.row import metric_of
from maestro_gym.evaluation.progress import WorkProgress

if TYPE_CHECKING:
    import optuna

TRIALS_FOLDER, TRIALS_FILE, BEST_FILE, PLOTS_FILE = "trials", "trials.csv", "best.yaml", "plots.html"

_FOLDER, _WHY, _TAKEN_BACK = "folder", "why", "taken_back"
"""What is noted of a trial beside Optuna's own record of it."""

MAY_CHANGE = ("trials", "limit_s")
"""Settings that a study may be gone on with differently; others would mix two studies."""

_FIRST_FAILURES = 3
"""After so many failures and no success at all, settings are at fault and not values."""


@dataclass(frozen=True)
class TuneResult:
    """What a study came to.

    Attributes:
        folder: Its folder.
        metric: What counts.
        best: Number, value and values of the best trial; None where no trial has ended well.
        rows: A row for each trial that has ended, in order.
        policy: What `compare` takes as the best trial's policy.
    """

    folder: Path
    metric: str
    best: dict[str, Any] | None
    rows: list[dict[str, Any]]
    policy: str


def run_tune(
    config: str | None,
    *,
    overrides: Sequence[str] = (),
    out: Path | None = None,
    resume: Path | None = None,
    overwrite: bool = False,
    trust: bool = False,
    console: Console | None = None,
) -> TuneResult:
    """Run a study, or go on with one.

    Args:
        config: Name or file of ``configs/tune``.
        overrides: ``a.b=value``; of a study that goes on only `MAY_CHANGE`.
        out: Its folder; None makes one below ``runs/tune``.
        resume: The folder of a study to go on with; ``config`` and ``out`` are not used.
        overwrite: Remove the study in ``out``, if there is one.
        trust: Whether Python files that the settings name may be run.
        console: Where words go; None prints on standard output.

    Returns:
        The study.

    Raises:
        MaestroError: Something asked for does not exist or does not fit together, or nothing but failures came of it.
        KeyboardInterrupt: Interrupted; all trials so far are in the folder, and the one under way goes on.
    """
    load_optuna()
    folder = resume or out or Path("runs") / "tune" / time.strftime("%Y%m%d-%H%M%S")
    source = str(folder / CONFIG_FILE) if resume is not None else config or "quick"
    if resume is not None and not (folder / CONFIG_FILE).is_file():
        raise MaestroError(f"--resume {folder}: holds no {CONFIG_FILE}. Give the folder of a `maestro-gym tune`.")
    wrong = [word for word in overrides if resume is not None and word.partition("=")[0] not in MAY_CHANGE]
    if wrong:
        raise MaestroError(
            f"--resume {folder}: {wrong[0]} would make another study of it; only {' and '.join(MAY_CHANGE)} can change."
        )
    settings = load_tune(source, overrides)
    work = work_of(settings, source, trust=trust)
    go_on = f"maestro-gym tune --resume {folder}" + (" --trust" if trust else "")
    with run_folder(folder, resume=resume is not None, overwrite=overwrite, go_on=go_on):
        if overwrite:
            clear_earlier(folder)
        write_whole(folder / CONFIG_FILE, dump_config(settings))
        study = _Study(folder, settings, work)
        study.run(console or Console())
        return study.result()


class _Study:
    """A study in its folder, which this process owns meanwhile."""

    def __init__(self, folder: Path, config: TuneConfig, work: Work) -> None:
        """Open it; a trial that an earlier session left half done is put first in the queue."""
        self._folder, self._config, self._work = folder, config, work
        self._optuna = load_optuna()
        self._maximise = metric_of(config.metric).better == "higher"
        self._study: optuna.Study = open_study(folder, config, maximise=self._maximise)
        self._total = min(config.trials, len(grid(config))) if config.sampler == "grid" else config.trials
        self._take_back()

    def run(self, console: Console) -> None:
        """Do what is left of the trials."""
        config, begin = self._config, time.monotonic()
        console.print(
            f"{self._total} trials of {config.verb} into {self._folder}: {config.metric}, mean of "
            f"{len(config.seeds)} validation episodes",
            highlight=False,
            soft_wrap=True,
        )
        note_run(self._folder, {"state": "running"})
        with WorkProgress("tuning", "trials", self._total, done=len(self._ended())) as shown:
            shown.update(note=self._news())
            while (done := len(self._ended())) < self._total:
                if config.limit_s is not None and time.monotonic() - begin > config.limit_s:
                    break
                self._trial(shown)
                self._write()
                shown.update(done + 1, note=self._news())
                self._refuse_only_failures()
        left = self._total - len(self._ended())
        if left:
            console.print(f"{left} trials are left: maestro-gym tune --resume {self._folder}", soft_wrap=True)
        note_run(self._folder, {"state": "stopped" if left else "finished", "trials": len(self._ended())})
        self._write()
        write_plots(self._study, self._folder / PLOTS_FILE, config)

    def result(self) -> TuneResult:
        """What came of it so far."""
        best = self._best()
        rows = [
            {"trial": trial.number, "state": trial.state.name.lower(), self._config.metric: trial.value}
            | {varied.path: trial.params.get(varied.path) for varied in self._config.vary}
            for trial in self._ended()
        ]
        found, policy = None, self._config.policy or "maestro"
        if best is not None:
            found = {"trial": best.number, self._config.metric: best.value} | dict(best.params)
            policy = policy if self._config.verb == "compare" else str(self._folder / self._folder_of(best))
        return TuneResult(self._folder, self._config.metric, found, rows, policy)

    def _trial(self, shown: WorkProgress) -> None:
        trial = self._study.ask()
        if _FOLDER not in trial.user_attrs:
            trial.set_user_attr(_FOLDER, f"{TRIALS_FOLDER}/{trial.number:04d}")
        folder = self._folder / trial.user_attrs[_FOLDER]
        values = drawn(trial, self._config.vary)
        state, value = self._optuna.trial.TrialState, None

        def report(step: int, so_far: float) -> None:
            shown.update(note=f"trial {trial.number}: {so_far:.4g} at step {step}; {self._news()}")
            trial.report(so_far, step)
            if trial.should_prune():
                raise self._optuna.TrialPruned

        try:
            value = self._work.run(values, folder, report)
            ended = state.COMPLETE
        except self._optuna.TrialPruned:
            ended = state.PRUNED
        except MaestroError as error:
            trial.set_user_attr(_WHY, str(error))
            ended = state.FAIL
        except KeyboardInterrupt as error:
            error.__notes__ = []  # how to go on with the trial alone; the study goes on with it
            raise
        self._study.tell(trial, value, state=ended)

    def _ended(self) -> list[optuna.trial.FrozenTrial]:
        """Trials that have come to an end of their own."""
        return [
            trial for trial in self._study.trials if trial.state.is_finished() and _TAKEN_BACK not in trial.user_attrs
        ]

    def _best(self) -> optuna.trial.FrozenTrial | None:
        with suppress(ValueError):  # which Optuna raises where no trial is complete
            return self._study.best_trial
        return None

    def _folder_of(self, trial: optuna.trial.FrozenTrial) -> str:
        return str(trial.user_attrs[_FOLDER])

    def _take_back(self) -> None:
        """Queue anew what was under way when a session ended: the same values in the same folder."""
        state = self._optuna.trial.TrialState
        for trial in self._study.get_trials(deepcopy=False, states=(state.RUNNING,)):
            kept = {_FOLDER: trial.user_attrs[_FOLDER]} if _FOLDER in trial.user_attrs else {}
            self._study._storage.set_trial_user_attr(trial._trial_id, _TAKEN_BACK, True)
            self._study.tell(trial.number, state=state.FAIL)
            self._study.enqueue_trial(trial.params, user_attrs=kept)

    def _refuse_only_failures(self) -> None:
        ended = self._ended()
        failed = [trial for trial in ended if _WHY in trial.user_attrs]
        if len(failed) == len(ended) >= _FIRST_FAILURES:
            raise MaestroError(
                f"tune: none of {len(ended)} trials could be done. The last: {failed[-1].user_attrs[_WHY]}"
            )

    def _write(self) -> None:
        """Write the table of trials, and the best settings as a file that the verb takes."""
        with whole_file(self._folder / TRIALS_FILE) as part:
            self._study.trials_dataframe().to_csv(part, index=False)
        best = self._best()
        if best is not None:
            settings = self._work.resolve(best.params)
            about = f"# Trial {best.number}: {self._config.metric} {best.value:.5g} on validation episodes.\n"
            write_whole(self._folder / BEST_FILE, about + dump_config(settings))

    def _news(self) -> str:
        best = self._best()
        return "" if best is None else f"best {best.value:.4g} (trial {best.number})"

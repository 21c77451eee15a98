"""What every fit of a study guesses, on disk as soon as it has ended, so that a study that was stopped goes on."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from zipfile import BadZipFile

import numpy as np

from maestro_gym.core.errors import MaestroError
from maestro_gym.core.whole_file import whole_file, write_whole
from maestro_gym.evaluation.run_info import versions
from maestro_gym.evaluation.suite.fingerprint import source_hashes

FOLDER = "fits"
_ABOUT_FILE = "about.json"


class FitsKept:
    """The fits of one study, by predictor and fold."""

    def __init__(self, folder: Path, facts: dict[str, str]) -> None:
        """Open those of a run folder, or begin them.

        Args:
            folder: The run folder.
            facts: What the guesses depend on, by name, beside versions and sources.

        Raises:
            MaestroError: The folder holds fits of another study.
        """
        self._folder = folder / FOLDER
        self._folder.mkdir(parents=True, exist_ok=True)
        facts = facts | versions() | {f"sources of {name}": digest for name, digest in source_hashes().items()}
        path = self._folder / _ABOUT_FILE
        if not path.exists():
            write_whole(path, json.dumps(facts, indent=2) + "\n")
            return
        before = json.loads(path.read_text(encoding="utf-8"))
        names = [name for name in dict.fromkeys((*before, *facts)) if before.get(name) != facts.get(name)]
        if names:
            raise MaestroError(
                f"--resume: the study in {folder} was begun otherwise: another {', '.join(names[:4])}. Ask for the "
                "same, or name another folder by --out."
            )

    def read(self, name: str, fold: int) -> np.ndarray | None:
        """What a predictor guessed in a fold; None when that is not known yet.

        Args:
            name: Of the predictor.
            fold: Number of the fold.
        """
        try:
            with np.load(self._path(name, fold), allow_pickle=False) as file:
                return file["guesses"]
        except (FileNotFoundError, BadZipFile, ValueError, KeyError, EOFError):
            return None

    def write(self, name: str, fold: int, guesses: np.ndarray) -> None:
        """Keep what a predictor guessed in a fold.

        Args:
            name: Of the predictor.
            fold: Number of the fold.
            guesses: Every guess of every call of the fold.
        """
        with whole_file(self._path(name, fold)) as part:
            np.savez(part, guesses=guesses)

    def _path(self, name: str, fold: int) -> Path:
        return self._folder / f"{hashlib.sha256(name.encode()).hexdigest()[:12]}-{fold}.npz"

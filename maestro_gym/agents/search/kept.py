"""The checkpoint of a search: what CMA-ES was told, as JSON, from which an exact resume follows.

CMA-ES draws from its seed alone. A fresh strategy that is told the same values again therefore stands where the first
one stood, to the last bit, and nothing of it needs to be kept that could run code.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import cma
import numpy as np
from pydantic import Field

from maestro_gym.config import StrictModel, validated
from maestro_gym.config.bounds import Free
from maestro_gym.core.bounded_text import parse_json, read_bounded
from maestro_gym.core.errors import MaestroError
from maestro_gym.core.seal import has_seal, sealed
from maestro_gym.core.whole_file import write_whole

STATE_FILE = "search.json"

_MAX_BYTES = 2**30


class Best(StrictModel):
    """The best policy so far."""

    worth: Free = Field(description="its objective on validation episodes")
    validation: dict[str, Annotated[tuple[Free, Free], Field(strict=False)]] = Field(
        description="measures, of it and of the reference"
    )
    row: list[Free] = Field(description="its numbers and limits, as the space has them")


class KeptSearch(StrictModel):
    """What a checkpoint holds."""

    format: int = Field(default=1, ge=1, le=1, description="version of the file's layout")
    names: list[str] = Field(description="what is searched")
    told: list[list[Free]] = Field(description="objectives of the candidates, a list a generation")
    asked: list[str] = Field(description="digest of the candidates, a word a generation")
    episodes: int = Field(ge=0, le=10**12, description="episodes run")
    best: Best
    challenger: list[Free] = Field(description="best candidate of the last generation, in the unit cube")
    sha256: dict[str, str] = Field(default={}, description="of all the other content, by the file's name")


def digest_of(points: Sequence[np.ndarray]) -> str:
    """A word for the candidates of a generation, to the last bit."""
    return hashlib.sha256(np.ascontiguousarray(points, np.float64).tobytes()).hexdigest()[:16]


def read_kept(path: Path, names: Sequence[str]) -> KeptSearch:
    """Read a checkpoint.

    Args:
        path: The file.
        names: What the search searches.

    Raises:
        MaestroError: It is damaged, or of another search.
    """
    try:
        content = parse_json(read_bounded(path, _MAX_BYTES))
    except (OSError, ValueError) as error:
        raise MaestroError(f"{path}: is no checkpoint of a search ({error}). Begin anew in another folder.") from None
    kept = validated(KeptSearch, content, lambda _: str(path))
    try:
        has_seal(content, path)
    except ValueError as error:
        raise MaestroError(f"{path}: is not as it was written: {error}. Restore it, or begin anew elsewhere.") from None
    if kept.names != list(names):
        raise MaestroError(
            f"{path.parent}: its checkpoint searched {', '.join(kept.names)}, and now it would be {', '.join(names)}. "
            "Go on with the settings and the rule that it was begun with."
        )
    return kept


def write_kept(path: Path, kept: KeptSearch) -> None:
    """Write a checkpoint; a reader never sees half of it."""
    write_whole(path, json.dumps(sealed(kept.model_dump(), path.name)) + "\n")


def tell_again(strategy: cma.CMAEvolutionStrategy, kept: KeptSearch, place: Path) -> None:
    """Bring a fresh strategy to where a kept one stood.

    Args:
        strategy: Of the same settings, never asked.
        kept: The checkpoint.
        place: Its file, for the error.

    Raises:
        MaestroError: The strategy asks for other candidates than it did then.
    """
    for generation, (values, asked) in enumerate(zip(kept.told, kept.asked, strict=False)):
        points = strategy.ask()
        if len(values) != len(points) or digest_of(points) != asked:
            raise MaestroError(
                f"{place}: generation {generation} has other candidates here than when it was written: settings, or "
                "versions of cma and numpy, have changed. Go on with those of run.json, or begin anew elsewhere."
            )
        strategy.tell(points, [-value for value in values])

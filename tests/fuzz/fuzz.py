"""Runs mutations of one kind, and sorts what comes of them."""

from __future__ import annotations

import random
import time
import traceback
import warnings
from dataclasses import dataclass, field
from pathlib import Path

from maestro_gym.core.errors import MaestroError
from tests.fuzz.kinds import Kind

HANG_S = 60.0
"""After which one input counts as a hang [s]; a guard for a busy machine, most take milliseconds."""

_LONGEST = 4000
"""Longest message: a paragraph."""


@dataclass
class Outcome:
    """What came of the mutations of one kind.

    Attributes:
        kind: Its name.
        refused: Inputs that one paragraph refused.
        accepted: Inputs that were taken, and in which nothing was found wrong.
        failures: What must not be: by word (traceback, nonsense, hang, message) with number, input and reason.
    """

    kind: str
    refused: int = 0
    accepted: int = 0
    failures: list[tuple[str, int, str]] = field(default_factory=list)


def fuzz(kind: Kind, count: int, folder: Path, first: int = 0) -> Outcome:
    """Mutate, read, and sort.

    Args:
        kind: Of what.
        count: Mutations.
        folder: Where files are written.
        first: Number of the first mutation; the same number is always the same input.
    """
    outcome = Outcome(kind.name)
    for number in range(first, first + count):
        given = kind.make(folder, random.Random(f"{kind.name} {number}"))
        begun = time.process_time()
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                nonsense = kind.read(given)
        except MaestroError as error:
            words = str(error)
            if "\n" in words or not words.strip() or len(words) > _LONGEST:
                outcome.failures.append(("message", number, repr(words[:500])))
            outcome.refused += 1
        except Exception as error:
            place = traceback.extract_tb(error.__traceback__)[-1]
            reason = f"{type(error).__name__}: {error}"[:300]
            outcome.failures.append(("traceback", number, f"{reason} at {Path(place.filename).name}:{place.lineno}"))
        else:
            outcome.accepted += not nonsense
            if nonsense:
                outcome.failures.append(("nonsense", number, nonsense))
        if time.process_time() - begun > HANG_S:
            outcome.failures.append(("hang", number, f"{time.process_time() - begun:.0f} s"))
    return outcome

"""Whatever somebody writes is refused in one paragraph, or taken and sensible: no traceback, no hang, no nonsense.

``MAESTRO_FUZZ=2000 pytest tests/fuzz`` tries so many mutations of each kind; a number always names the same one.
"""

import faulthandler
import os
from pathlib import Path

import pytest

from tests.fuzz.fuzz import HANG_S, fuzz
from tests.fuzz.kinds import KINDS, Kind

MUTATIONS = int(os.environ.get("MAESTRO_FUZZ", "60"))


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_mutations_are_refused_in_one_paragraph_or_make_sense(kind: Kind, tmp_path: Path) -> None:
    # A loop in compiled code hears no signal: then this ends the process and says where it hangs.
    faulthandler.dump_traceback_later(MUTATIONS * HANG_S, exit=True)
    try:
        outcome = fuzz(kind, MUTATIONS, tmp_path)
    finally:
        faulthandler.cancel_dump_traceback_later()
    print(
        f"\n{kind.name}: {outcome.refused} refused, {outcome.accepted} accepted and sensible",
        *outcome.failures,
        sep="\n",
    )
    assert outcome.failures == []
    assert outcome.refused > MUTATIONS / 4, "the mutations hurt nothing"
    assert outcome.accepted > 0, "nothing is ever taken"

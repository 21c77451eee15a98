"""Which requests of a live run go wrong, and how: drawn by stage and attempt, so that no machine's speed has a say."""

import random
from collections import Counter
from collections.abc import Callable, Sequence

PROOFS = {
    "drop": "dropped: ",
    "garbage": "Invalid JSON",
    "lie": "token ids for ",
    "error": "failed: ",
    "busy": "busy: ",
    "hang": "stalled: ",
}
"""What the event log says of a stage that met a kind of fault."""


class FaultPlan:
    """A plan for `Faults.plan` of all servers of a run.

    Attributes:
        planned: Requests that it let go wrong, by stage, attempt and try.
        missing: Kinds that are forced and that the controller has not met yet.
    """

    def __init__(self, seed: int | str, kinds: Sequence[str], *, share: float, most_tokens: int) -> None:
        """Plan faults at random.

        Args:
            seed: Of the draws.
            kinds: That are drawn from.
            share: Of requests that go wrong.
            most_tokens: Upper end, left out, of the tokens that a stream brings before it goes wrong.
        """
        self.planned: set[tuple[int, int, int]] = set()
        self.missing: tuple[str, ...] = ()
        self._seed, self._kinds, self._share, self._most_tokens = seed, kinds, share, most_tokens
        self._tries: Counter[tuple[int, int]] = Counter()
        self._forced: dict[int, str] = {}
        self._log: Callable[[], str] = str
        self._held = -1

    def force(self, stages: Sequence[int], log: Callable[[], str]) -> None:
        """See to it that every kind is met: no stage that is to meet one can finish before some stage has met it.

        Args:
            stages: That are to meet the kinds in turn; each wants two tokens at least.
            log: Text of the run's event log so far.
        """
        self.missing, self._log = tuple(self._kinds), log
        self._forced = {stage: self._kinds[turn % len(self._kinds)] for turn, stage in enumerate(stages)}

    def hold_back(self, stage: int) -> None:
        """Refuse a stage, so that the run cannot end, until `let_go`."""
        self._held = stage

    def let_go(self) -> None:
        """Serve the stage that was held back."""
        self._held = -1

    def look(self) -> bool:
        """Read in the log which kinds have been met; whether all have."""
        if self.missing:
            faults = [line for line in self._log().splitlines() if '"fault"' in line and '"stage"' in line]
            self.missing = tuple(k for k in self.missing if not any(PROOFS[k] in line for line in faults))
        return not self.missing

    def __call__(self, request_id: str) -> tuple[str, int] | None:
        """What happens to a request: kind of fault and tokens before it, None if it is served."""
        if request_id.startswith("probe"):
            return None
        stage, attempt = (int(word) for word in request_id.split("-")[-2:])
        self._tries[stage, attempt] += 1
        if stage == self._held:
            return "busy", 0
        if stage in self._forced and not self.look() and self._forced[stage] in self.missing:
            return self._forced[stage], 1
        this = (stage, attempt, self._tries[stage, attempt])
        chance = random.Random(f"{self._seed}/{this}")
        if chance.random() > self._share:
            return None
        self.planned.add(this)
        return chance.choice(self._kinds), chance.randrange(self._most_tokens)

"""How compiled code asks an agent in Python: a callback takes the GIL and hands over copies of the observation."""

from __future__ import annotations

import ctypes
import linecache
import math
import threading
import traceback
from typing import Any

import numpy as np

from maestro_gym.agents.foreign.agent import Agent
from maestro_gym.agents.observed_rule import Choice
from maestro_gym.core.compile import compile_fresh
from maestro_gym.core.errors import MaestroError
from maestro_gym.envs.observation.layout import Layout

_Callback = ctypes.CFUNCTYPE(
    ctypes.c_int64, ctypes.c_int64, ctypes.c_double, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p
)


class AskPython:
    """An agent as a compiled choice among candidates; the `Outside` of its rules.

    An exception cannot pass through compiled code, so the first one is kept; from then on the lowest legal action is
    taken, without asking, until the failure has been heard. One question is asked at a time, from whichever thread.
    """

    def __init__(self, agent: Agent, layout: Layout, name: str, file: str = "") -> None:
        """Stand between an agent and compiled code.

        Args:
            agent: Who is asked.
            layout: The layout of its observation.
            name: What errors call it.
            file: Its file, for errors.
        """
        self._agent, self._name, self._file = agent, name, file
        self._rows = layout.num_actions
        self._shape = (layout.num_actions, len(layout.spec.row_columns))
        self._length = len(layout.spec.context_columns)
        self._lock = threading.RLock()
        self._last_s: dict[int, float] = {}
        self._failure: BaseException | None = None
        self._illegal = 0
        self._callback: Any = _Callback(self._answer)

    def choice(self) -> Choice:
        """The compiled choice; this object must outlive it."""
        ask = self._callback

        def choose(e: int, now_s: float, candidates: np.ndarray, context: np.ndarray, mask: np.ndarray) -> int:
            return ask(e, now_s, candidates.ctypes.data, context.ctypes.data, mask.ctypes.data)

        return compile_fresh(choose)

    def end_episode(self) -> None:
        """Hear that an episode is over: the next question begins another."""
        self._last_s.clear()

    def take_failure(self) -> BaseException | None:
        """The first failure since the last call, as an error for the user."""
        failure, self._failure = self._failure, None
        if failure is None or isinstance(failure, KeyboardInterrupt | MaestroError):
            return failure
        error = MaestroError(
            f"Agent {self._name} fails when it is asked: {_place(failure, self._file)}. Mend the agent; its act "
            "(observation, mask) returns the row of a legal candidate."
        )
        error.__cause__ = failure
        return error

    def take_illegal(self) -> int:
        """The number of illegal answers since the last call."""
        count, self._illegal = self._illegal, 0
        return count

    def _answer(self, e: int, now_s: float, candidates: int, context: int, mask: int) -> int:
        with self._lock:
            legal = _copied(mask, np.bool_, self._rows)
            if self._failure is None:
                observation = {
                    "candidates": _copied(candidates, np.float32, math.prod(self._shape)).reshape(self._shape),
                    "context": _copied(context, np.float32, self._length),
                }
                try:
                    self._begin(e, now_s)
                    row = _row_of(self._agent.act(observation, legal.copy()))
                except BaseException as failure:  # Ctrl-C too: whoever ran the episode raises it
                    self._failure = failure
                else:
                    if 0 <= row < self._rows and legal[row]:
                        return row
                    self._illegal += 1
            return int(np.argmax(legal))

    def _begin(self, e: int, now_s: float) -> None:
        """Call the agent's ``reset`` where an episode begins: it was told so, or time went back."""
        if now_s < self._last_s.get(e, math.inf):
            reset = getattr(self._agent, "reset", None)
            if reset is not None:
                reset()
        self._last_s[e] = now_s


def _copied(address: int, kind: type[np.generic], size: int) -> np.ndarray:
    buffer = ctypes.string_at(address, size * np.dtype(kind).itemsize)
    return np.frombuffer(bytearray(buffer), kind)


def _row_of(answer: Any) -> int:  # noqa: ANN401 - whatever the agent returned
    """An answer as an integer; ``predict`` of Stable-Baselines3 answers with a pair whose second part is its state."""
    if isinstance(answer, tuple) and len(answer) == 2:
        answer = answer[0]
    row = np.asarray(answer)
    if row.size != 1 or row.dtype.kind not in "iub":
        raise TypeError(f"act returned {answer!r}, which is no row of a candidate")
    return int(row.item())


def _place(failure: BaseException, file: str) -> str:
    """Where an exception comes from, in words: the last line of the agent's own file that it passed through."""
    reason = " ".join(f"{type(failure).__name__}: {failure}".split())[:300]
    frames = traceback.extract_tb(failure.__traceback__)
    own = [frame for frame in frames if file and frame.filename == file]
    # Frames of this module say nothing to a user.
    others = [frame for frame in frames if frame.filename != __file__]
    if not own and not others:
        return reason
    frame = (own or others)[-1]
    line = linecache.getline(frame.filename, frame.lineno or 0).strip()
    return f"{frame.filename}, line {frame.lineno}, `{line}`: {reason}"

"""Types of the state in compiled code, made from the field table."""

from __future__ import annotations

import string
from typing import Any

import numba
import numpy as np

from maestro_gym.core.boxed import Handle
from maestro_gym.state.allocate import Part, allocate
from maestro_gym.state.core import Core, State
from maestro_gym.state.episode import Hidden
from maestro_gym.state.view import View
from maestro_gym.state.world import World

_ONE = dict.fromkeys(string.ascii_letters, 1)


def _smallest() -> State:
    """The smallest state: plain arrays, for their types are those of compiled code also when it is interpreted."""
    view = allocate(View, _ONE, world=_plain(allocate(World, _ONE)))
    return State(_plain(view), _plain(allocate(Hidden, _ONE)), _plain(allocate(Core, _ONE)))


def _plain(part: Part) -> Part:
    return type(part)(*(field.view(np.ndarray) if isinstance(field, np.ndarray) else field for field in part))


STATE: Any = numba.typeof(_smallest())
"""Type of a whole state."""

VIEW, HIDDEN = Handle(STATE.types[0]), Handle(STATE.types[1])
"""Types of what a compiled rule reads."""

BOXED_STATE = Handle(STATE)
"""Type of a boxed state."""


def blank_hidden() -> Hidden:
    """What a rule of class N or P gets in place of the truth: nothing."""
    return allocate(Hidden, dict.fromkeys(string.ascii_letters, 0))

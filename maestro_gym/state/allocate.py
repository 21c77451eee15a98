"""Arrays of the state, made from the field table: how they are allocated and how an episode finds them."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any, TypeVar

import numpy as np

from maestro_gym.core.bits import num_words
from maestro_gym.core.calendar import num_leaves
from maestro_gym.core.compile import INTERPRETED
from maestro_gym.state.fields import Array, arrays_of
from maestro_gym.state.names import CPU, NUM_NODE_STATES, NUM_SIGNALS
from maestro_gym.state.view import MEMORY, NUMBERS, PERCENTILES, TENANT_MEMORY
from maestro_gym.state.world import World

Part = TypeVar("Part", bound=tuple)


def by_name(array: np.ndarray) -> np.ndarray:
    """Let ``array[i].field`` work where the compiler is switched off.

    Args:
        array: A structured array, or any other.

    Returns:
        The same memory; a recarray when interpreted and structured, the array itself otherwise.
    """
    return array.view(np.recarray) if INTERPRETED and array.dtype.names is not None else array


def records(shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """Zeroed array whose fields read as attributes, compiled or interpreted."""
    return by_name(np.zeros(shape, dtype))


def allocate(part: type[Part], sizes: Mapping[str, int], **given: Any) -> Part:  # noqa: ANN401 - other parts
    """Allocate the arrays of a part of the state, zeroed.

    Args:
        part: ``World``, ``View``, ``Hidden`` or ``Core``.
        sizes: Extent of every axis letter.
        **given: Fields that are made elsewhere, such as the ``world`` of a view.

    Returns:
        The part.
    """
    made = {
        name: records(tuple(sizes[axis] for axis in array.axes), array.dtype) for name, array in arrays_of(part).items()
    }
    return part(**made, **given)


def sizes_of(world: World) -> dict[str, int]:
    """Extents of the axes that a fleet and its models fix, by letter."""
    nodes, models = len(world.nodes), len(world.models)
    return {
        "N": nodes,
        "H": len(world.hosts),
        "M": models,
        "C": len(world.latency_s),
        "A": world.perf.shape[1],
        "F": CPU + 1,
        "g": int(world.params[0]["routers"]),
        "k": NUM_SIGNALS,
        "s": NUM_NODE_STATES,
        "V": 1 + models,
        "Y": 2 * num_leaves(nodes),
        "Z": num_words(nodes),
        "P": MEMORY,
        "U": NUMBERS + PERCENTILES,
        "O": len(world.tenants),
        "I": TENANT_MEMORY,
        "t": len(world.tools),
        "b": len(world.boards),
        "r": len(world.tool_of),
    }


@cache
def blank_cell(array: Array) -> np.ndarray:
    """A cell of an array as it is at the beginning of an episode, shape ()."""
    cell = np.zeros((), array.dtype)
    for field in array.fields:
        if field.name:
            cell[field.name] = field.blank
        else:
            cell[()] = field.blank
    return cell


def set_blank(part: tuple, e: int) -> None:
    """Set environment ``e`` of a part to the beginning of an episode, as the field table says."""
    for name, array in arrays_of(type(part)).items():
        getattr(part, name)[e] = blank_cell(array)

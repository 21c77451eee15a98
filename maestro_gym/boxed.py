"""Compiled code's way to a tuple of many arrays by one address.

Handing sixty arrays from Python to compiled code costs more than a decision, and numba's own boxes
count references at every look. Here a NamedTuple is written once, as compiled code lays it out, into
a buffer that Python keeps; a kernel takes the address and reads what it needs.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numba import types
from numba.extending import intrinsic

from maestro_gym.jit import INTERPRETED

ADDRESS = types.uintp
"""Type of the address of a box."""


def box_reader(layout: types.NamedTuple) -> Callable[[Any], Any]:
    """Make the function by which compiled code opens a box.

    Args:
        layout: numba type of the tuple in it.

    Returns:
        ``read(address) -> tuple``; interpreted, a box is the tuple itself.
    """
    if INTERPRETED:
        return lambda box: box

    make: Any = intrinsic

    @make
    def read(typing_context: Any, address: Any) -> Any:  # noqa: ANN401 - numba's own objects
        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:  # noqa: ANN401
            pointer = context.get_value_type(layout).as_pointer()
            return builder.load(builder.inttoptr(args[0], pointer))

        return layout(ADDRESS), generate

    return read


def box_writer(layout: types.NamedTuple) -> Callable[[Any, Any], None]:
    """Make the function by which compiled code fills a box.

    Args:
        layout: numba type of the tuple.

    Returns:
        ``write(tuple, address)``.
    """
    make: Any = intrinsic

    @make
    def write(typing_context: Any, value: Any, address: Any) -> Any:  # noqa: ANN401 - numba's own objects
        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:  # noqa: ANN401
            pointer = context.get_value_type(layout).as_pointer()
            builder.store(args[0], builder.inttoptr(args[1], pointer))
            return context.get_dummy_value()

        return types.void(layout, ADDRESS), generate

    return write


def box_buffer(layout: types.NamedTuple) -> np.ndarray:
    """Make room for a box.

    Args:
        layout: numba type of the tuple.

    Returns:
        uint64 buffer, large enough; whoever holds the address must keep it and the tuple's arrays.
    """
    from numba.core.registry import cpu_target

    context: Any = cpu_target.target_context
    size = context.get_abi_sizeof(context.get_value_type(layout))
    return np.zeros(size // 8 + 8, np.uint64)

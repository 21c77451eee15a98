"""One pointer in place of many arrays: how the state passes between Python and compiled code, and inside it.

The state is some sixty arrays. Handed over as a tuple they are five hundred machine words at every
call that the compiler does not inline; that cost more than what the calls did, and most of the time
of compiling. So a NamedTuple is written once into a *box*, in the order in which numba keeps such a
tuple, and compiled code takes the pointer to it: ``view.stages`` reads the words of that one array.

What a box says never changes while compiled code reads it (the arrays do, their addresses do not),
and the reads are marked so. Interpreted, a box is the tuple itself.
"""

from __future__ import annotations

from itertools import accumulate
from typing import Any

import numba
import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.datamodel import PrimitiveModel
from numba.core.typing.templates import AttributeTemplate
from numba.extending import (
    NativeValue,
    infer_getattr,
    intrinsic,
    lower_getattr_generic,
    register_model,
    typeof_impl,
    unbox,
)

from maestro_gym.core.compile import INTERPRETED, njit_as
from maestro_gym.core.dispatcher import Dispatcher

_POINTER = ir.IntType(8).as_pointer()
_WORD_BYTES = 8


class Handle(types.Type):
    """Numba type of a pointer to a boxed NamedTuple; its fields are read like the tuple's own."""

    def __init__(self, layout: types.NamedTuple) -> None:
        """Make the type.

        Args:
            layout: Of the tuple in the box. A field that is a NamedTuple lies in the same box.
        """
        self.layout = layout
        self._places: dict[str, int] = {}
        super().__init__(name=f"Handle({layout.instance_class.__name__})")

    def inner(self, name: str) -> types.Type:
        """Type of a field as it lies in the box."""
        return self.layout.types[self.layout.fields.index(name)]

    def words_before(self, name: str) -> int:
        """Words of the box before a field."""
        if not self._places:
            sizes = [_num_words(kind) for kind in self.layout.types]
            self._places = dict(zip(self.layout.fields, accumulate(sizes, initial=0), strict=False))
        return self._places[name]


@register_model(Handle)
class _HandleModel(PrimitiveModel):
    def __init__(self, manager: Any, kind: Handle) -> None:  # noqa: ANN401 - numba's own objects
        super().__init__(manager, kind, _POINTER)


@infer_getattr
class _HandleFields(AttributeTemplate):
    key = Handle

    def generic_resolve(self, typ: Handle, attr: str) -> types.Type | None:
        if attr not in typ.layout.fields:
            return None
        inner = typ.inner(attr)
        return Handle(inner) if isinstance(inner, types.NamedTuple) else inner


def _constant_load(builder: Any, pointer: Any, kind: Any) -> Any:  # noqa: ANN401 - LLVM's own objects
    """Load a value of an LLVM type from a box, word by word, each marked as never changing."""
    if isinstance(kind, (ir.LiteralStructType, ir.ArrayType)):
        value = ir.Constant(kind, ir.Undefined)
        for i in range(len(kind.elements) if isinstance(kind, ir.LiteralStructType) else kind.count):
            element = kind.elements[i] if isinstance(kind, ir.LiteralStructType) else kind.element
            at = cgutils.gep_inbounds(builder, pointer, 0, i)
            value = builder.insert_value(value, _constant_load(builder, at, element), i)
        return value
    loaded = builder.load(pointer)
    loaded.set_metadata("invariant.load", builder.module.add_metadata([]))
    return loaded


@lower_getattr_generic(Handle)
def _read_field(context: Any, builder: Any, typ: Handle, value: Any, attr: str) -> Any:  # noqa: ANN401 - numba's own
    # By its place in bytes: LLVM's text of the whole tuple's type, a page for each look, took a fifth of the compiler.
    at = builder.gep(value, [ir.IntType(32)(_WORD_BYTES * typ.words_before(attr))], inbounds=True)
    inner = typ.inner(attr)
    if isinstance(inner, types.NamedTuple):
        return at
    kind = context.get_value_type(inner)
    loaded = _constant_load(builder, builder.bitcast(at, kind.as_pointer()), kind)
    if isinstance(inner, types.Array):
        # Nobody counts references to what lies in a box: its owner keeps it.
        for i in (0, 1):
            loaded = builder.insert_value(loaded, ir.Constant(kind.elements[i], None), i)
    return loaded


class Box:
    """Python's end of a handle.

    Attributes:
        kind: Type of the handle that compiled code gets.
        address: Of the words.
    """

    __slots__ = ("_kept", "address", "kind")

    def __init__(self, kind: Handle, words: np.ndarray, kept: object) -> None:
        """Keep the words and whatever they point to."""
        self.kind = kind
        self.address = words.ctypes.data
        self._kept = (words, kept)


@typeof_impl.register(Box)
def _type_of_box(value: Box, _context: object) -> Handle:
    return value.kind


@unbox(Handle)
def _open_box(typ: Handle, value: Any, c: Any) -> Any:  # noqa: ANN401 - numba's own objects
    address = c.pyapi.object_getattr_string(value, "address")
    pointer = c.pyapi.long_as_voidptr(address)
    c.pyapi.decref(address)
    return NativeValue(pointer)


def _words(value: Any, kind: types.Type, where: str) -> list[int]:  # noqa: ANN401 - whatever a tuple holds
    """A value as compiled code keeps it."""
    if isinstance(kind, types.NamedTuple):
        words: list[int] = []
        for name, inner, part in zip(kind.fields, kind.types, value, strict=True):
            words += _words(part, inner, f"{where}.{name}")
        return words
    if isinstance(kind, types.Array):
        plain = value.view(np.ndarray)
        if numba.typeof(plain) != kind:
            raise TypeError(f"{where} is an array of type {numba.typeof(plain)}, compiled code takes {kind}")
        return [0, 0, plain.size, plain.itemsize, plain.ctypes.data, *plain.shape, *plain.strides]
    if isinstance(kind, Handle):
        return [value.address]
    if isinstance(kind, types.FunctionType):
        return _function_words(value, kind)
    return [int(value)]


_intrinsic: Any = intrinsic  # untyped: it takes the first argument of what it decorates away


@_intrinsic
def _store(typing_context: Any, value: Any, address: Any) -> Any:  # noqa: ANN401 - numba's own objects
    """Write a value to an address."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:  # noqa: ANN401
        pointer = context.get_value_type(value).as_pointer()
        builder.store(args[0], builder.inttoptr(args[1], pointer))
        return context.get_dummy_value()

    return types.void(value, address), generate


_writers: dict[types.FunctionType, Any] = {}


def _function_words(function: Any, kind: types.FunctionType) -> list[int]:  # noqa: ANN401 - a dispatcher
    """The pointers of a first-class function, which only compiled code can tell."""
    if kind not in _writers:

        @njit_as(types.void(kind, types.uintp))
        def write(function: Any, address: int) -> None:  # noqa: ANN401 - a function
            _store(function, address)

        _writers[kind] = write
    words = np.zeros(_num_words(kind), np.uint64)
    _writers[kind](function, words.ctypes.data)
    return [int(word) for word in words]


def _num_words(kind: types.Type) -> int:
    from numba.core.registry import cpu_target

    context: Any = cpu_target.target_context
    return context.get_abi_sizeof(context.get_value_type(kind)) // _WORD_BYTES


def box(value: Any, kind: Handle) -> Any:  # noqa: ANN401 - a Box; interpreted, the tuple itself
    """Box a NamedTuple for compiled code.

    Args:
        value: A NamedTuple of arrays, integers, compiled functions, boxes and such NamedTuples.
        kind: The handle's type.

    Returns:
        What functions compiled for ``kind`` take; it keeps alive all that it leads to.

    Raises:
        TypeError: An array is not of the layout's type.
    """
    if INTERPRETED:
        return value
    words = np.array(_words(value, kind.layout, kind.layout.instance_class.__name__), np.uint64)
    if len(words) != _num_words(kind.layout):
        raise TypeError(f"numba lays out {kind.layout.instance_class.__name__} in another way than boxed.py knows")
    return Box(kind, words, value)


def first_class(kind: types.FunctionType) -> Any:  # noqa: ANN401 - an intrinsic; interpreted, a plain function
    """Make what hands a compiled function over as a value of one type.

    ``best(view, as_cost(cost))`` compiles ``best`` once for every cost. numba's own conversion would write the address
    of the Python object into the code, which then could not be cached.

    Args:
        kind: Type of the function.

    Returns:
        Takes a compiled function, in compiled code; the identity when interpreted.
    """
    if INTERPRETED:
        return _same

    @_intrinsic
    def hand_over(typing_context: Any, function: Any) -> Any:  # noqa: ANN401 - numba's own objects
        """The function as a value."""

        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:  # noqa: ANN401
            made = cgutils.create_struct_proxy(kind)(context, builder)
            pointer = context.get_value_type(types.voidptr)
            dispatcher, wanted = function.dispatcher, kind.signature
            if isinstance(dispatcher, Dispatcher):
                result = dispatcher.part(wanted.args, wanted.return_type)
            else:
                result = dispatcher.get_compile_result(wanted)
            # The other addresses stay null: compiled code asks this one first.
            code = context.declare_function(builder.module, result.fndesc)
            made.jit_addr = builder.bitcast(code, pointer)
            context.active_code_library.add_linking_library(result.library)
            return made._getvalue()

        return kind(function), generate

    return hand_over


def _same(function: Any) -> Any:  # noqa: ANN401 - a plain function
    return function

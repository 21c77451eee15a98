"""The field table: every field says its unit, its source and what it is, and everything is made from it."""

from __future__ import annotations

from string import ascii_letters

import numba
import numpy as np
import pytest

from maestro_gym.state import Core, Hidden, View, World
from maestro_gym.state.allocate import allocate, set_blank
from maestro_gym.state.fields import BOOKS, ESTIMATE, METRIC, Field, arrays_of, record
from maestro_gym.state.types import STATE

PARTS = (World, View, Hidden, Core)
ENDINGS = {
    "_s": "s",
    "_bytes": "bytes",
    "_tokens": "tokens",
    "_bytes_per_s": "bytes/s",
    "_tokens_per_s": "tokens/s",
    "_byte_s": "byte s",
}
FIELDS = [
    (f"{part.__name__}.{name}.{field.name}".rstrip("."), part, field)
    for part in PARTS
    for name, array in arrays_of(part).items()
    for field in array.fields
]
SIZES = {letter: size for size, letter in enumerate(ascii_letters, 1)}


@pytest.mark.parametrize(("part", "field"), [(p, f) for _, p, f in FIELDS], ids=[name for name, _, _ in FIELDS])
def test_a_field_says_its_unit_what_it_is_and_where_a_live_controller_has_it_from(part: type, field: Field) -> None:
    assert field.unit
    assert field.meaning
    ending = max((e for e in ENDINGS if field.name.endswith(e)), key=len, default=None)
    if ending is not None:
        assert field.unit == ENDINGS[ending]
    assert field.source in ((BOOKS, METRIC, ESTIMATE) if part is View else ("",))
    if field.predicted:
        assert field.source == ESTIMATE, "a prediction is an estimate"


@pytest.mark.parametrize("part", PARTS)
def test_an_array_has_the_axes_that_the_table_gives_it(part: type) -> None:
    given = {"world": allocate(World, SIZES)} if part is View else {}
    made = allocate(part, SIZES, **given)
    for name, array in arrays_of(part).items():
        assert getattr(made, name).shape == tuple(SIZES[axis] for axis in array.axes)
        assert getattr(made, name).dtype == array.dtype


def test_an_episode_begins_with_the_blank_values_of_the_table_in_its_environment_only() -> None:
    view = allocate(View, SIZES, world=allocate(World, SIZES))
    view.stages["ready_s"] = 5.0
    view.waiting[:] = 7
    set_blank(view, 1)
    assert np.isinf(view.stages["ready_s"][1]).all()
    assert (view.stages["workflow"][1] == -1).all()
    assert (view.slot_of[1] == -1).all()
    assert (view.waiting[1] == 0).all()
    assert (view.stages["ready_s"][0] == 5.0).all()
    assert (view.waiting[0] == 7).all()


def test_compiled_types_are_those_of_allocated_arrays() -> None:
    for part, kind in zip((View, Hidden, Core), STATE.types, strict=True):
        given = {"world": allocate(World, SIZES)} if part is View else {}
        made = allocate(part, SIZES, **given)
        for name, field_type in zip(kind.fields, kind.types, strict=True):
            if name != "world":
                assert numba.typeof(getattr(made, name).view(np.ndarray)) == field_type, name


def test_two_records_of_the_same_fields_cannot_be_told_apart_and_are_refused() -> None:
    record(Field("only_here_s", "f8", "s", "a test"))
    with pytest.raises(ValueError, match="two records"):
        record(Field("only_here_s", "f8", "s", "another test"))

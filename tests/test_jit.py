"""The compiler's decorator: what it caches must not be taken for something else."""

from collections.abc import Callable

from maestro_gym.core.compile import njit


def _add(amount: int) -> Callable[[int], int]:
    @njit
    def add(value: int) -> int:
        return value + amount

    return add


def test_closures_of_one_factory_differ_in_name_and_repeat_from_process_to_process() -> None:
    # Cached code is linked by name: equal names would let one rule answer for another.
    assert _add(1).__qualname__ != _add(2).__qualname__
    assert _add(1).__qualname__ == _add(1).__qualname__


def test_closures_of_one_factory_keep_their_own_constants() -> None:
    assert (_add(1)(10), _add(2)(10)) == (11, 12)

"""The compiler's decorator: what it caches is found again, and not taken for something else."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

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


RULES = """
from maestro_gym.baselines import load_policy
from maestro_gym.scheduling.policy import RULE_TYPE
rules = load_policy("edf+maestro").rules
for rule in rules:
    rule.function.compile(RULE_TYPE.signature.args)
print([sum(rule.function.stats.cache_hits.values()) for rule in rules])
"""


@pytest.mark.slow
def test_rules_made_of_other_compiled_functions_are_found_in_the_cache_by_the_next_process(tmp_path: Path) -> None:
    environment = {**os.environ, "MAESTRO_CACHE_DIR": str(tmp_path), "PYTHONPATH": str(Path(__file__).parents[2])}
    told = [
        subprocess.run(
            [sys.executable, "-c", RULES], env=environment, capture_output=True, text=True, check=True
        ).stdout
        for _ in range(2)
    ]
    assert told == ["[0, 0, 0, 0]\n", "[1, 1, 1, 1]\n"]

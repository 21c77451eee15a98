"""The compiler's decorator: what it caches is found again, and not taken for something else."""

import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from maestro_gym.core import code_cache
from maestro_gym.core.code_cache import CodeCache
from maestro_gym.core.compile import njit

ROOT = Path(__file__).parents[2]


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
def test_rules_made_of_other_compiled_functions_are_found_by_the_next_process_and_by_a_second_checkout(
    tmp_path: Path,
) -> None:
    second = tmp_path / "second"
    for folder in ("maestro_gym", "configs"):
        shutil.copytree(ROOT / folder, second / folder, ignore=shutil.ignore_patterns("__pycache__"))
    told = [
        subprocess.run(
            [sys.executable, "-c", RULES],
            env={**os.environ, "MAESTRO_CACHE_DIR": str(tmp_path / "code"), "PYTHONPATH": str(checkout)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for checkout in (ROOT, ROOT, second)
    ]
    assert told == ["[0, 0, 0, 0]\n", "[1, 1, 1, 1]\n", "[1, 1, 1, 1]\n"]


def _holding(function: Callable[..., Any]) -> Callable[[int], int]:
    def closure(value: int) -> int:
        return function(value)

    return closure


def test_a_closure_is_compiled_again_when_what_it_holds_has_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def key_beside(source: str) -> tuple[Any, ...]:
        (tmp_path / "held.py").write_text(source)
        spec = importlib.util.spec_from_file_location("tests.held", tmp_path / "held.py")
        assert spec is not None
        assert spec.loader is not None
        held = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(held)
        code_cache._content.cache_clear()
        code_cache._digest.cache_clear()
        codegen = SimpleNamespace(magic_tuple=lambda: ())
        return CodeCache(_holding(held.function))._index_key((), codegen)

    monkeypatch.setenv("MAESTRO_CACHE_DIR", str(tmp_path / "code"))
    first = "def function(value):\n    return value + 1\n"
    assert key_beside(first) == key_beside(first)
    assert key_beside(first) != key_beside(first.replace("1", "2"))

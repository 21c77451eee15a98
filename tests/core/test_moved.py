"""Names that the docs taught before the parts were moved."""

import importlib
import sys

import pytest

from maestro_gym.core.moved import MOVED


@pytest.mark.parametrize("old", MOVED)
def test_an_old_module_still_imports_and_names_its_new_place(old: str) -> None:
    sys.modules.pop(old, None)
    with pytest.warns(DeprecationWarning, match=f"{old} is now {MOVED[old]}"):
        module = importlib.import_module(old)
    new = importlib.import_module(MOVED[old])
    public = [name for name in vars(new) if not name.startswith("_")]
    assert public
    assert all(getattr(module, name) is getattr(new, name) for name in public)


@pytest.mark.parametrize(
    ("old", "name"), [("maestro_gym.schema", "TIER_NODE"), ("maestro_gym.sim.estimates", "load_bytes")]
)
def test_what_was_split_off_an_old_module_is_found_under_its_old_name(old: str, name: str) -> None:
    sys.modules.pop(old, None)
    with pytest.warns(DeprecationWarning, match="is now"):
        module = importlib.import_module(old)
    assert hasattr(module, name)


def test_the_warning_points_at_the_import_of_the_user() -> None:
    sys.modules.pop("maestro_gym.policy", None)
    with pytest.warns(DeprecationWarning, match="is now") as caught:
        import maestro_gym.policy  # noqa: F401  # pyright: ignore[reportMissingImports]
    assert caught[0].filename == __file__

"""What a package promises in ``__all__`` is there, and is all that the examples need."""

import ast
import importlib
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("envs", "agents", "evaluation", "episodes", "baselines")
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))
CONTRACT_OF_RULES = ("maestro_gym.scheduling.", "maestro_gym.state", "maestro_gym.core.compile")


def documented_packages() -> set[str]:
    """The packages that docs/learners.md calls public."""
    page = (ROOT / "docs" / "learners.md").read_text(encoding="utf-8")
    section = page.partition("## Public names")[2].partition("\n## ")[0]
    return set(re.findall(r"`(maestro_gym[\w.]*)`", section))


def _imports(path: Path) -> list[tuple[str, str]]:
    """Module and name of every import of the project in a file; the name is empty where the module is imported."""
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found += [(alias.name, "") for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            found += [(node.module, alias.name) for alias in node.names]
    return [(module, name) for module, name in found if module.partition(".")[0] == "maestro_gym"]


@pytest.mark.parametrize("part", PACKAGES)
def test_every_public_name_is_there(part: str) -> None:
    package = importlib.import_module(f"maestro_gym.{part}")
    assert package.__all__ == sorted(package.__all__, key=lambda name: (not name.isupper(), name))
    for name in package.__all__:
        assert getattr(package, name) is not None


def test_a_name_that_a_package_does_not_hand_on_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match=r"module 'maestro_gym.envs' has no attribute 'Cluster'"):
        importlib.import_module("maestro_gym.envs").Cluster  # noqa: B018


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_an_example_imports_public_names_only(path: Path) -> None:
    for module, name in _imports(path):
        if module.startswith(CONTRACT_OF_RULES):
            assert not name.startswith("_"), name
            continue
        assert module in documented_packages(), f"{path.name} imports {module}"
        listed = getattr(importlib.import_module(module), "__all__", ())
        is_module = f"{module}.{name}" in documented_packages()
        assert not name or name in listed or is_module, f"{path.name} imports {name} from {module}"


def test_importing_environments_episodes_and_evaluation_loads_no_learning_library() -> None:
    heavy = "{'torch', 'stable_baselines3', 'matplotlib'}"
    code = (
        f"import sys, maestro_gym.envs, maestro_gym.episodes, maestro_gym.evaluation; print({heavy} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"

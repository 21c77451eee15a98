"""The order of imports: each part of the package knows only the parts before it."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "maestro_gym"
LAYERS = (
    ("core",),
    ("state",),
    ("config",),
    ("scheduling",),
    ("performance",),
    ("workloads",),
    ("predictors",),
    ("sim",),
    ("episodes",),
    ("baselines",),
    ("envs", "registration", "v1"),
    ("evaluation",),
    ("serving",),
    ("fidelity",),
    ("agents",),
    ("real_backend",),
    ("cli", "__main__"),
)
RANK = {name: rank for rank, layer in enumerate(LAYERS) for name in layer}
FOREIGN_TO_SIM = {"gymnasium", "torch", "pandas", "requests", "httpx", "aiohttp", "urllib", "http", "stable_baselines3"}
MODULES = sorted(path for path in PACKAGE.rglob("*.py") if path != PACKAGE / "__init__.py")


def _imports(path: Path) -> list[tuple[int, str]]:
    """Absolute names that a module imports anywhere in it, lazily or not, with their lines."""
    here = ("maestro_gym", *path.relative_to(PACKAGE).with_suffix("").parts)
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found += [(node.lineno, alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = list(here[: len(here) - node.level]) if node.level else []
            base += node.module.split(".") if node.module else []
            # `from maestro_gym import sim` names a part only with its alias.
            found += [(node.lineno, ".".join([*base, alias.name])) for alias in node.names]
    return found


def _layer(name: str) -> str | None:
    parts = name.split(".")
    return parts[1] if parts[0] == "maestro_gym" and len(parts) > 1 else None


def _layer_of(path: Path) -> str:
    return path.relative_to(PACKAGE).with_suffix("").parts[0]


def test_every_part_of_the_package_has_its_place_in_the_order() -> None:
    parts = {_layer_of(path) for path in MODULES}
    assert parts <= set(RANK), f"give {sorted(parts - set(RANK))} a layer in this test"


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_module_imports_only_parts_before_its_own(path: Path) -> None:
    own = _layer_of(path)
    wrong = [
        f"line {line}: {own} imports {name}"
        for line, name in _imports(path)
        if (layer := _layer(name)) in RANK and layer != own and RANK[layer] > RANK[own]
    ]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("path", sorted((PACKAGE / "sim").rglob("*.py")), ids=lambda path: path.name)
def test_the_simulator_knows_no_learning_library_no_tables_and_no_network(path: Path) -> None:
    foreign = [f"line {line}: {name}" for line, name in _imports(path) if name.split(".")[0] in FOREIGN_TO_SIM]
    assert not foreign, "\n".join(foreign)


def _parts_imported(folder: Path) -> set[str]:
    """Parts of the package that the modules of a folder import, their own among them."""
    names = (name for path in folder.rglob("*.py") for _, name in _imports(path))
    return {layer for name in names if (layer := _layer(name)) is not None}


def test_the_simulator_imports_three_parts_and_no_configuration() -> None:
    assert _parts_imported(PACKAGE / "sim") - {"sim"} == {"core", "state", "scheduling"}


def test_the_contract_rests_on_the_state_alone() -> None:
    assert _parts_imported(PACKAGE / "scheduling") - {"scheduling"} <= {"core", "state"}


RULE_FOLDERS = ("orders", "cluster", "node", "reclaim")
RULE_FILES = [path for folder in RULE_FOLDERS for path in sorted((PACKAGE / "baselines" / folder).glob("*.py"))]


@pytest.mark.parametrize("path", RULE_FILES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_a_rule_imports_the_contract_and_what_rules_share(path: Path) -> None:
    shared = ("late_binding", "maestro", "shaped", *RULE_FOLDERS)
    for line, name in _imports(path):
        if name.startswith("maestro_gym.baselines."):
            assert name.split(".")[2] in shared, f"line {line}: {name}"
        elif name.startswith("maestro_gym."):
            assert _layer(name) in ("core", "state", "scheduling"), f"line {line}: {name}"


def test_the_root_of_the_package_registers_environments_and_opens_the_command_line() -> None:
    assert {path.name for path in PACKAGE.glob("*.py")} == {"__init__.py", "__main__.py", "registration.py", "v1.py"}

"""The docstring of a package is where its reader begins: it names the files to start with."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
TOP = ROOT / "maestro_gym"
PACKAGES = sorted({path.parent for path in TOP.glob("*/**/__init__.py")})
ENOUGH = 3


def _body(package: Path) -> list[ast.stmt]:
    return ast.parse((package / "__init__.py").read_text(encoding="utf-8")).body


def _named(package: Path) -> list[str]:
    """What the docstring of a package writes as code, such as ``engine.py``."""
    doc = ast.get_docstring(ast.Module(_body(package), [])) or ""
    return re.findall(r"``([^`\s]+)``", doc)


@pytest.mark.parametrize("package", PACKAGES, ids=lambda path: str(path.relative_to(TOP)))
def test_a_package_names_the_files_to_start_with(package: Path) -> None:
    parts = [path for path in package.glob("*.py") if path.name != "__init__.py"] + list(package.glob("*/__init__.py"))
    named = {name.rstrip("/") for name in _named(package) if (package / name).exists()}
    assert len(named) >= min(ENOUGH, len(parts)), f"names {sorted(named)} alone"


@pytest.mark.parametrize("package", PACKAGES, ids=lambda path: str(path.relative_to(TOP)))
def test_a_guide_names_no_file_that_does_not_exist(package: Path) -> None:
    # A file of another package is written from the nearest package that holds both, a configuration from the root.
    places = [place for place in (package, *package.parents) if place.is_relative_to(ROOT)]
    files = [name for name in _named(package) if re.search(r"\.(py|yaml|md)$", name)]
    missing = [name for name in files if not any((place / name).is_file() for place in places)]
    assert not missing, missing


@pytest.mark.parametrize("package", PACKAGES, ids=lambda path: str(path.relative_to(TOP)))
def test_a_package_only_hands_names_on(package: Path) -> None:
    def hands_on(statement: ast.stmt) -> bool:
        if isinstance(statement, ast.If) and ast.unparse(statement.test) == "TYPE_CHECKING":
            return all(map(hands_on, statement.body))
        # What is heavy to import is handed on by `core.handed_on` when it is asked for.
        names = isinstance(statement, ast.Assign) and ast.unparse(statement.targets[0]) in ("__all__", "__getattr__")
        return names or isinstance(statement, ast.Import | ast.ImportFrom)

    _, *rest = _body(package)
    assert all(hands_on(statement) for statement in rest)

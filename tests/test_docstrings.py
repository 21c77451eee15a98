"""One dialect of docstrings: the description of an entry begins with a capital letter, unless it is a word of code."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "maestro_gym"
MODULES = sorted(PACKAGE.rglob("*.py"))
SECTION = re.compile(r"( *)(Args|Attributes|Raises|Returns|Yields):$")
ENTRY = re.compile(r" *\*{0,2}\w[\w.]*(?:, \*{0,2}\w[\w.]*)*(?: \(.*?\))?: +(?=\S)")
CODE_WORDS = {"bool", "float", "inf", "int", "ms", "nan", "numba", "numpy", "str", "torch"}
"""Types, units, values and libraries, which keep their lower case; so does what holds a digit or a sign of code."""


def _is_code(description: str) -> bool:
    word = re.split(r"['\s]", description)[0].rstrip(".,;:")
    return word in CODE_WORDS or (len(word) == 1 and word != "a") or bool(re.search(r"[\d_A-Z(\[=.*]", word))


def descriptions(source: str) -> Iterator[tuple[int, int]]:
    """Line, from 0, and column of the description of every entry of every docstring; of Returns, where it begins."""
    lines = source.splitlines()
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, documented) or ast.get_docstring(node) is None:
            continue
        name, indent, text = "", 0, node.body[0]
        for at in range(text.lineno - 1, text.end_lineno or text.lineno):
            line = lines[at]
            if heading := SECTION.fullmatch(line):
                indent, name, begins = len(heading[1]), heading[2], at + 1
            elif not name or not line.strip() or (depth := len(line) - len(line.lstrip())) > indent + 4:
                continue
            elif depth <= indent:
                name = ""
            elif name in ("Returns", "Yields"):
                if at == begins:
                    yield at, depth
            elif entry := ENTRY.match(line):
                yield at, entry.end()


def lower_case(source: str) -> list[tuple[int, int]]:
    """The descriptions that ought to begin with a capital letter and do not."""
    lines = source.splitlines()
    return [
        (at, column)
        for at, column in descriptions(source)
        if lines[at][column].islower() and not _is_code(lines[at][column:])
    ]


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_entries_of_docstrings_begin_with_a_capital_letter(path: Path) -> None:
    source = path.read_text(encoding="utf-8")
    lines = source.splitlines()
    wrong = [f"line {at + 1}: {lines[at].strip()}" for at, _ in lower_case(source)]
    assert not wrong, "\n".join(wrong)

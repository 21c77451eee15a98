"""Random edits of a program: of the expression that its function returns, and of the numbers in it.

The grammar is small: sums, products, minima, maxima and choices over the names that the function has made before it
returns, and constants. Whatever the edits do, the text stays a program whose last line is one ``return``.
"""

from __future__ import annotations

import ast
import copy
import math
import random
from collections.abc import Callable, Sequence

from maestro_gym.core.errors import MaestroError

BEGIN, END = "# EVOLVE-BLOCK-START", "# EVOLVE-BLOCK-END"
"""What stands around the part of a program that may be changed, as OpenEvolve and ShinkaEvolve look for it."""

MOST_NODES = 60
"""An expression that is larger is not made larger still: it would say more of its episodes than of scheduling."""

_SCALE = 0.7
"""Spread of the logarithm by which a constant is multiplied."""

_FIRST_WEIGHTS = (0.01, 0.1, 0.5, 1.0, 2.0, 10.0)


def mutated(program: str, generator: random.Random) -> str:
    """Change a program a little.

    Args:
        program: Its text, with one function in the block that may be changed.
        generator: Draws the edits.

    Returns:
        The text with another returned expression, always a different one.

    Raises:
        MaestroError: The block or its function is missing.
    """
    before, block, after = _parted(program)
    tree = ast.parse(block)
    returned, names = _returned(tree)
    old = ast.dump(returned.value) if returned.value is not None else ""
    edits: Sequence[Callable[[ast.expr, Sequence[str], random.Random], ast.expr]] = (
        _scale_number,
        _scale_number,
        _add_term,
        _add_term,
        _replace_part,
        _drop_part,
        _wrap,
    )
    for _ in range(100):
        value = copy.deepcopy(returned.value)
        assert value is not None
        for _ in range(generator.choice((1, 1, 2))):
            value = generator.choice(edits)(value, names, generator)
        if ast.dump(value) != old and _size(value) <= max(MOST_NODES, _size(returned.value)):
            returned.value = value
            break
    return before + ast.unparse(ast.fix_missing_locations(tree)) + "\n" + after


def expression(program: str) -> str:
    """What the function of a program returns, as text.

    Args:
        program: Its text.
    """
    returned, _ = _returned(ast.parse(_parted(program)[1]))
    return "" if returned.value is None else ast.unparse(returned.value)


def _parted(program: str) -> tuple[str, str, str]:
    """A program before, in and after its block; the marks stay outside."""
    if program.count(BEGIN) != 1 or program.count(END) != 1:
        raise MaestroError(
            f"The program needs one block between `{BEGIN}` and `{END}`; write it as in initial_program.py."
        )
    before, _, rest = program.partition(BEGIN)
    block, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n", block.strip("\n") + "\n", f"{END}{after}"


def _returned(tree: ast.Module) -> tuple[ast.Return, list[str]]:
    """The last statement of the block's last function, and the names of numbers that stand before it."""
    functions = [node for node in tree.body if isinstance(node, ast.FunctionDef)]
    last = functions[-1].body[-1] if functions else None
    if not isinstance(last, ast.Return) or last.value is None:
        raise MaestroError("The block needs a function whose last line returns an expression.")
    made = [node.targets[0] for node in functions[-1].body if isinstance(node, ast.Assign)]
    names = [target.id for target in made if isinstance(target, ast.Name)]
    if not names:
        raise MaestroError(
            "The function gives no name to a number before it returns; write `wait_s = ...` lines first."
        )
    return last, names


def _size(value: ast.expr | None) -> int:
    return 0 if value is None else sum(isinstance(node, ast.expr) for node in ast.walk(value))


def _number(value: float) -> ast.expr:
    return ast.Constant(float(f"{value:.4g}"))


def _name(names: Sequence[str], generator: random.Random) -> ast.expr:
    return ast.Name(generator.choice(names), ast.Load())


def _parts(value: ast.expr) -> list[ast.expr]:
    """Sub-expressions that stand for a number: not the name of a function and not a comparison."""
    apart = {id(node.func) for node in ast.walk(value) if isinstance(node, ast.Call)}
    kinds = (ast.BinOp, ast.UnaryOp, ast.Call, ast.Name, ast.Constant, ast.IfExp)
    return [node for node in ast.walk(value) if isinstance(node, kinds) and id(node) not in apart]


class _Swap(ast.NodeTransformer):
    """Puts an expression in the place of another."""

    def __init__(self, old: ast.expr, new: ast.expr) -> None:
        self._old, self._new = old, new

    def visit(self, node: ast.AST) -> ast.AST:
        """Replace the node, or look inside."""
        return self._new if node is self._old else self.generic_visit(node)


def _swapped(value: ast.expr, old: ast.expr, new: ast.expr) -> ast.expr:
    return _Swap(old, new).visit(value)  # pyright: ignore[reportReturnType] - an expression for an expression


def _scale_number(value: ast.expr, names: Sequence[str], generator: random.Random) -> ast.expr:
    numbers = [node for node in _parts(value) if isinstance(node, ast.Constant)]
    if not numbers:
        return _add_term(value, names, generator)
    old = generator.choice(numbers)
    assert isinstance(old.value, int | float)
    factor = math.exp(generator.gauss(0.0, _SCALE)) * (-1.0 if generator.random() < 0.1 else 1.0)
    return _swapped(value, old, _number(factor * old.value if old.value else generator.choice(_FIRST_WEIGHTS)))


def _add_term(value: ast.expr, names: Sequence[str], generator: random.Random) -> ast.expr:
    term = ast.BinOp(_number(generator.choice(_FIRST_WEIGHTS)), ast.Mult(), _name(names, generator))
    return ast.BinOp(value, generator.choice((ast.Add(), ast.Sub())), term)


def _replace_part(value: ast.expr, names: Sequence[str], generator: random.Random) -> ast.expr:
    return _swapped(value, generator.choice(_parts(value)), _name(names, generator))


def _drop_part(value: ast.expr, names: Sequence[str], generator: random.Random) -> ast.expr:
    sums = [node for node in _parts(value) if isinstance(node, ast.BinOp)]
    if not sums:
        return _replace_part(value, names, generator)
    old = generator.choice(sums)
    return _swapped(value, old, generator.choice((old.left, old.right)))


def _wrap(value: ast.expr, names: Sequence[str], generator: random.Random) -> ast.expr:
    old = generator.choice(_parts(value))
    inner = copy.deepcopy(old)
    if generator.random() < 0.5:
        limit = generator.choice((_number(0.0), _name(names, generator)))
        new: ast.expr = ast.Call(ast.Name(generator.choice(("min", "max")), ast.Load()), [inner, limit], [])
    else:
        test = ast.Compare(
            _name(names, generator), [ast.Lt()], [generator.choice((_number(0.0), _name(names, generator)))]
        )
        moved = ast.BinOp(
            copy.deepcopy(inner), ast.Add(), _number(generator.choice((-100.0, -10.0, 10.0, 100.0, 1000.0)))
        )
        new = ast.IfExp(test, moved, inner)
    return _swapped(value, old, new)

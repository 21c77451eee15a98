"""How a column of an observation is declared: beside the code that computes it, in the file of its block.

A block is a run of columns about one thing, such as a stage. Each column is a small compiled function that returns
the column's value; the decorator `Block.column` gives it its name and its meaning. `Block.writer` then makes the one
compiled function that writes the whole block, so the order of the functions in the file is the order of the columns:

    STAGE = Block("stage", __name__)

    @STAGE.column("stage_prompt", "tokens", "prompt length")
    def _prompt(view: View, e: int, stage: int) -> float:
        return of_tokens(float(view.stages[e, stage].prompt_tokens))

    write_stage = STAGE.writer()
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from maestro_gym.core.compile import njit, njit_inline

Value = Callable[..., float]


@dataclass(frozen=True)
class Column:
    """One column of an observation.

    Attributes:
        name: Unique within an observation's rows, or within its context.
        scale: How the quantity was scaled (see ``scales``).
        meaning: What it is.
        low: The least value; the greatest is 1.
        predicted: Whether it rests on a prediction, so that it is 0 for agents of information class N.
    """

    name: str
    scale: str
    meaning: str
    low: float = 0.0
    predicted: bool = False


class Block:
    """A run of columns about one thing, and what computes them.

    Attributes:
        name: As in ``layout.BLOCKS``.
        columns: In the order in which they are written.
    """

    def __init__(self, name: str, module: str) -> None:
        """Begin a block without columns.

        Args:
            name: As in ``layout.BLOCKS``.
            module: The ``__name__`` of the module that declares the columns.
        """
        self.name = name
        self.columns: list[Column] = []
        self._module = module
        self._values: list[Value] = []
        self._arguments: tuple[str, ...] = ()

    def column(
        self, name: str, scale: str, meaning: str, *, low: float = 0.0, predicted: bool = False
    ) -> Callable[[Value], Value]:
        """Declare the decorated function as the next column.

        Args:
            name: See `Column`.
            scale: See `Column`.
            meaning: See `Column`.
            low: See `Column`.
            predicted: See `Column`; without predictions the function is not called.

        Returns:
            A decorator that compiles the function. All functions of a block take the same arguments.

        Raises:
            TypeError: The function takes other arguments than the block's first one.
        """

        def declare(value: Value) -> Value:
            arguments = tuple(inspect.signature(value).parameters)
            if self.columns and arguments != self._arguments:
                raise TypeError(
                    f"Column {name!r} takes ({', '.join(arguments)}), but the columns of block {self.name!r} take "
                    f"({', '.join(self._arguments)}); give it the same arguments."
                )
            self._arguments = arguments
            self.columns.append(Column(name, scale, meaning, low, predicted))
            self._values.append(njit_inline(value))
            return self._values[-1]

        return declare

    def writer(self) -> Callable[..., None]:
        """Make the compiled function that writes all columns declared so far.

        Its source is generated: one line a column, which calls the column's function. The compiler sees the same
        as if somebody had written the lines by hand, and nothing is looked up while it runs.

        Returns:
            A function of the columns' own arguments and then of ``row`` (float32, shape (columns,)), ``at`` (the
            place of the block's first column in the row) and ``predictions`` (whether predicted columns are written;
            they stay as they are otherwise).
        """
        name = f"write_{self.name}"
        arguments = ", ".join(self._arguments)
        lines = [f"def {name}({', '.join((*self._arguments, 'row', 'at', 'predictions'))}):"]
        for i, column in enumerate(self.columns):
            indent = "    if predictions: " if column.predicted else "    "
            lines.append(f"{indent}row[at + {i}] = value_{i}({arguments})")
        scope: dict[str, Any] = {f"value_{i}": value for i, value in enumerate(self._values)}
        scope["__name__"] = self._module
        # The block's own file stands for the source, for the compiler's cache needs one that exists.
        source = sys.modules[self._module].__file__ or ""
        exec(compile("\n".join(lines), source, "exec"), scope)
        return njit(scope[name])

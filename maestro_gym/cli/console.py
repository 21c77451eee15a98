"""What the verbs of the command line share: tables on the terminal, the same rows as JSON, and dotted overrides."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from maestro_gym.core.errors import MaestroError
from maestro_gym.core.whole_file import write_whole
from maestro_gym.core.whole_number import whole_number

if TYPE_CHECKING:
    import typer
    from rich.console import Console

PIPE_COLUMNS = 160


def output() -> Console:
    """Make a console on standard output.

    Returns:
        A console as wide as the terminal, and wider in a pipe or a log file: eighty columns would fold every cell.
    """
    from rich.console import Console

    console = Console()
    return console if console.is_terminal else Console(width=PIPE_COLUMNS)


_NAME_WIDTH = 30
"""Characters up to which the first column of a table is not folded."""


def show_table(title: str, rows: Sequence[Mapping[str, Any]], caption: str | None = None) -> None:
    """Print rows as a table on standard output.

    Args:
        title: The line above the table.
        rows: Mappings with the same keys in the same order; the keys are the column names.
        caption: The line below the table.
    """
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(title=title, caption=caption, title_justify="left", caption_justify="left", box=box.SIMPLE_HEAD)
    columns = list(rows[0]) if rows else []
    for column in columns:
        numeric = all(isinstance(row[column], int | float) for row in rows)
        table.add_column(column, justify="right" if numeric else "left", overflow="fold")
    if rows:
        # The first column names its row: other columns give way before a name is folded.
        table.columns[0].min_width = min(max(len(_cell(row[columns[0]])) for row in rows), _NAME_WIDTH)
    for row in rows:
        table.add_row(*(Text(_cell(row[column])) for column in columns))
    output().print(table)


def write_json(path: Path | None, document: Mapping[str, Any]) -> None:
    """Write a document to a file as JSON; numbers that JSON lacks become null.

    Args:
        path: The file to write, whose folder is made if it is missing; None writes nothing.
        document: Mappings, sequences, strings, numbers and None.

    Raises:
        MaestroError: The file cannot be written.
    """
    if path is None:
        return
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, json.dumps(_plain(document), indent=2, allow_nan=False) + "\n")
    except OSError as error:
        raise MaestroError(f"--json {path}: cannot write the file ({error.strerror}); name a writable path.") from error


def dotted_overrides(words: Sequence[str] | None) -> list[str]:
    """Check the positional words of a command: each must read ``dotted.place=value``.

    Args:
        words: The words that the user typed after the options.

    Returns:
        The words, unchanged.

    Raises:
        MaestroError: A word has no ``=``, or nothing before it.
    """
    for word in words or ():
        if not word.partition("=")[0].strip() or "=" not in word:
            raise MaestroError(
                f"{word!r} is not an override. Write dotted.place=value, for example workload.load=0.9; "
                "scenarios are chosen with --scenario, contention with --contention and policies with --policy."
            )
    return list(words or ())


def split_words(words: Sequence[str] | None) -> list[str]:
    """Take apart the values of an option that were repeated or separated by commas.

    Args:
        words: The values of an option that may be given several times.

    Returns:
        The single words, in their order.

    Raises:
        MaestroError: The option was given, and no word with it.
    """
    parts = [part.strip() for word in words or () for part in word.split(",") if part.strip()]
    if words and not parts:
        raise MaestroError(f"{', '.join(map(repr, words))}: an option is given without a value; {_NO_VALUE}.")
    return parts


_NO_VALUE = "write one, or leave the option out"


def refuse_empty_words(words: Sequence[str]) -> None:
    """Refuse options that are given and empty, as an unset variable of a shell makes them.

    Args:
        words: Of the command line.

    Raises:
        MaestroError: A word is empty, or ends with the equals sign of its option.
    """
    for before, word in zip(["", *words], words, strict=False):
        if not word.strip():
            where = f"{before}: " if before.startswith("-") else f"after {before!r}: " if before else ""
            raise MaestroError(f"{where}the value is empty; {_NO_VALUE}.")
        if word.startswith("--") and word.endswith("="):
            raise MaestroError(f"{word.rstrip('=')}: the value is empty; {_NO_VALUE}.")


def refuse_beside(ctx: typer.Context, option: str, names: Sequence[str]) -> None:
    """Refuse options that would be ignored beside another.

    Args:
        ctx: Of the verb.
        option: What makes them useless, as the user wrote it.
        names: Parameters of the verb.

    Raises:
        MaestroError: One of them was given.
    """
    for parameter in ctx.command.params:
        source = ctx.get_parameter_source(parameter.name or "")
        if parameter.name in names and source is not None and source.name == "COMMANDLINE":
            raise MaestroError(f"{parameter.opts[0]}: has no meaning beside {option}; leave one of the two out.")


def seed_numbers(text: str | None) -> list[int] | None:
    """Read seeds: numbers and ranges, separated by commas.

    Args:
        text: A text such as ``0,1,2`` or ``0-9``; None leaves the choice to the scenario.

    Returns:
        The seeds, or None.

    Raises:
        MaestroError: The text is neither a number nor a range.
    """
    if text is None:
        return None
    from maestro_gym.config.bounds import MOST_SEEDS

    seeds: list[int] = []
    for part in split_words([text]):
        first, dash, last = part.partition("-")
        begin = whole_number(first)
        end = whole_number(last) if dash else begin
        if begin is None or end is None:
            raise MaestroError(f"--seeds {text}: {part!r} is no seed. Write numbers and ranges, such as 0,1,2 or 0-9.")
        if len(seeds) + end - begin >= MOST_SEEDS:
            raise MaestroError(f"--seeds {text}: these are more than {MOST_SEEDS:,} seeds; give fewer.")
        seeds += range(begin, end + 1)
    return seeds


def _cell(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:,.4g}" if abs(value) < 1e4 else f"{value:,.0f}"
    return "" if value is None else str(value)


def _plain(value: Any) -> Any:  # noqa: ANN401 - any JSON document
    """Turn numpy scalars, paths and non-finite floats into what JSON can hold."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, str | bool | int) or value is None:
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Path):
        return str(value)
    if hasattr(value, "tolist"):
        return _plain(value.tolist())
    return [_plain(item) for item in value]

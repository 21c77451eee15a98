"""Dotted overrides of the command line: ``limits.max_num_seqs=64``."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

import yaml

from maestro_gym.config.base import shortened
from maestro_gym.core.bounded_text import parse_yaml
from maestro_gym.core.errors import MaestroError
from maestro_gym.core.whole_number import whole_number

_PART = re.compile(r'"([^"]+)"|([^."=\s]+)')


class Override(NamedTuple):
    """One override.

    Attributes:
        text: As the user wrote it, cut short, for messages.
        path: Its keys, outermost first.
        value: Parsed as YAML.
    """

    text: str
    path: tuple[str, ...]
    value: Any


def parse_override(text: str) -> Override:
    """Read one override.

    Args:
        text: ``a.b.c=value``; a key that holds a dot stands in double quotes.

    Returns:
        Its path and value.

    Raises:
        MaestroError: The text is no override.
    """
    path: list[str] = []
    position, shown = 0, shortened(text)
    while True:
        match = _PART.match(text, position)
        if match is None:
            raise MaestroError(
                f"Override `{shown}` cannot be read. Write a dotted key, an equals sign and a YAML value, "
                "as in `limits.max_num_seqs=64`; a key that holds a dot stands in double quotes."
            )
        path.append(match.group(1) or match.group(2))
        position = match.end()
        if text[position : position + 1] == "=":
            break
        if text[position : position + 1] != ".":
            raise MaestroError(f"Override `{shown}` lacks an equals sign: write `{shown}=VALUE`.")
        position += 1
    try:
        value = parse_yaml(text[position + 1 :])
    except (yaml.YAMLError, ValueError) as error:
        raise MaestroError(f"Override `{shown}`: the value is not valid YAML ({_first_line(error)}).") from None
    return Override(shown, tuple(path), value)


def assign(tree: dict[str, Any], override: Override) -> None:
    """Set one value in a tree of dictionaries and lists, in place.

    Args:
        tree: The raw configuration.
        override: What to set; missing dictionaries on the way are made.

    Raises:
        MaestroError: The path leads through a value that has no keys, or past the end of a list.
    """
    place: Any = tree
    for depth, key in enumerate(override.path):
        last = depth == len(override.path) - 1
        if isinstance(place, list):
            place = _assign_item(place, key, override, last)
        elif isinstance(place, dict):
            if last:
                place[key] = override.value
            elif place.get(key) is None:
                place[key] = {}
                place = place[key]
            else:
                place = place[key]
        else:
            here = ".".join(override.path[:depth])
            raise MaestroError(
                f"Override `{override.text}`: `{here}` is the value {shortened(repr(place))} and has no keys."
            )


def _assign_item(items: list[Any], key: str, override: Override, last: bool) -> Any:  # noqa: ANN401 (raw YAML)
    named = [index for index, item in enumerate(items) if isinstance(item, dict) and item.get("name") == key]
    index = named[0] if named else whole_number(key)
    if index is None or index >= len(items):
        raise MaestroError(
            f"Override `{override.text}`: `{key}` is neither a name nor an index (0 to {len(items) - 1}) of the list."
        )
    if last:
        items[index] = override.value
    return items[index]


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0]

"""Text that somebody else wrote, as plain values: its size and depth are known before anything is built of it.

A few lines of YAML can stand for a billion values (aliases of aliases), and a hundred thousand brackets exhaust the
stack; both are refused in milliseconds. YAML tags never make objects, a key may stand once, and ``1e9`` is a number, as
in YAML 1.2.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import yaml

MAX_BYTES = 2**23
"""Largest file that is read whole [bytes]; the largest that comes with the project has 2**16."""

MAX_VALUES = 200_000
"""Most values of a YAML text, aliases written out."""

MAX_DEPTH = 64
"""Deepest nesting of a YAML text."""

_SAFE: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the safe one, in C where it is there


class _Loader(_SAFE):
    """The safe loader, to which a repeated key is a mistake and ``1e9`` a number."""

    def construct_mapping(self, node: Any, deep: bool = False) -> Any:  # noqa: ANN401 - PyYAML's own objects
        seen: set[str] = set()
        for key, _ in node.value if isinstance(node, yaml.MappingNode) else ():
            if isinstance(key, yaml.ScalarNode) and key.value != "<<":
                if key.value in seen:
                    raise yaml.constructor.ConstructorError(
                        None, None, f"the key {key.value!r} repeats", key.start_mark
                    )
                seen.add(key.value)
        return super().construct_mapping(node, deep)


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"[-+]?[0-9]+(?:\.[0-9]*)?[eE][-+]?[0-9]+$"), list("-+0123456789")
)


def read_bounded(path: Path, max_bytes: int = MAX_BYTES) -> str:
    """Read a text file of a bounded size.

    Args:
        path: The file.
        max_bytes: Most that it may hold [bytes].

    Raises:
        OSError: It cannot be read.
        ValueError: It is too large, or not UTF-8.
    """
    with path.open("rb") as file:
        content = file.read(max_bytes + 1)
    if len(content) > max_bytes:
        raise ValueError(f"it is larger than {max_bytes / 2**20:g} MiB")
    return content.decode("utf-8")


def parse_yaml(text: str) -> Any:  # noqa: ANN401 - whatever the text holds
    """Read YAML as mappings, lists and plain values.

    Args:
        text: The text.

    Raises:
        yaml.YAMLError: It is not YAML, holds a tag that would build an object, or a key repeats.
        ValueError: Written out it would be too large or too deep.
    """
    _check_extent(text)
    # Not `yaml.load` of unsafe fame: the loader is the safe one.
    return yaml.load(text, Loader=_Loader)


def parse_json(text: str | bytes) -> Any:  # noqa: ANN401 - whatever the text holds
    """Read JSON.

    Args:
        text: The text.

    Raises:
        ValueError: It is not JSON, or nested too deeply.
    """
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("its brackets are nested too deeply") from None


def _check_extent(text: str) -> None:
    """Refuse what would be too large or too deep, by a look at its events: nothing is built."""
    sizes: dict[str, int] = {}  # values below each anchor, written out
    open_sizes = [0]
    anchors: list[str | None] = []
    for event in yaml.parse(text, Loader=_SAFE):
        if isinstance(event, yaml.CollectionStartEvent):
            anchors.append(event.anchor)
            open_sizes.append(1)
            if len(anchors) > MAX_DEPTH:
                raise ValueError(f"it is nested more than {MAX_DEPTH} levels deep")
            continue
        if isinstance(event, yaml.CollectionEndEvent):
            size, anchor = open_sizes.pop(), anchors.pop()
        elif isinstance(event, yaml.AliasEvent):
            if event.anchor in anchors:
                raise ValueError(f"the alias *{event.anchor} stands inside what it stands for")
            size, anchor = sizes.get(event.anchor, 1), None
        elif isinstance(event, yaml.ScalarEvent):
            size, anchor = 1, event.anchor
        else:
            continue
        if anchor is not None:
            sizes[anchor] = size
        open_sizes[-1] += size
        if open_sizes[-1] > MAX_VALUES:
            raise ValueError(f"it stands for more than {MAX_VALUES:,} values, its aliases written out")

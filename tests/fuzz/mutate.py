"""Mutations of a document: of its tree, where a field gets what it should not have, and of its text."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Callable, Iterator
from typing import Any

import yaml

Place = tuple[Any, Any]
"""A container and a key of it."""

BOMB = "a0: &a0 [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"a{n}: &a{n} [{','.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 12)
)
NASTY: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 1.5, -0.0, 1e-300, 1e300, -1e300, float("inf"), float("nan"), 2**31, 2**53 + 1, 2**63,
    -(2**63), 10**40, "", "x", "5", "1e999", "inf", "../../../x", "/dev/zero", "a\nb", "\x00", "=1+1", "{}", "%s%n",
    "${HOME}", "n" * 100_000, [], {}, [None], {"x": 1}, [[[[[[]]]]]], list(range(1000)), {"": ""}, "file.py:RULE",
)  # fmt: skip
"""What somebody may write in place of a value."""


def places(tree: Any) -> Iterator[Place]:  # noqa: ANN401 - a document
    """Every value of a document, as the container that holds it and its key."""
    items = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    for key, value in list(items):
        yield tree, key
        yield from places(value)


def _replace(draw: random.Random, held: Any, key: Any) -> None:  # noqa: ANN401
    held[key] = copy.deepcopy(draw.choice(NASTY))


def _scale(draw: random.Random, held: Any, key: Any) -> None:  # noqa: ANN401
    value = held[key]
    if isinstance(value, bool) or not isinstance(value, int | float):
        _replace(draw, held, key)
        return
    held[key] = value * draw.choice((-1, 0, 10, 1000, 10**9, 1e-3, 1e-9, 1e200, -0.5))


def _as_word(draw: random.Random, held: Any, key: Any) -> None:  # noqa: ANN401
    held[key] = str(held[key]) if not isinstance(held[key], str) else draw.choice((len(held[key]), [held[key]]))


def _drop(draw: random.Random, held: Any, key: Any) -> None:  # noqa: ANN401
    del held[key]


def _double(draw: random.Random, held: Any, key: Any) -> None:  # noqa: ANN401
    if isinstance(held, list):
        held += [copy.deepcopy(held[key]) for _ in range(draw.choice((1, 2, 300)))]
    else:
        held[f"{key}{draw.choice(('s', '_', '2', ' '))}"] = copy.deepcopy(held[key])


def _swap(draw: random.Random, held: Any, key: Any) -> None:  # noqa: ANN401
    other = draw.choice(list(held) if isinstance(held, dict) else range(len(held)))
    held[key], held[other] = held[other], held[key]


_TREE: tuple[Callable[[random.Random, Any, Any], None], ...] = (
    _replace, _replace, _replace, _scale, _scale, _as_word, _drop, _double, _swap,
)  # fmt: skip


def mutated_tree(document: Any, draw: random.Random) -> Any:  # noqa: ANN401
    """A document with one to three of its values changed.

    Args:
        document: Mappings, lists and values; it stays as it is.
        draw: Where chance comes from.
    """
    tree = copy.deepcopy(document)
    for _ in range(draw.choice((1, 1, 1, 2, 3))):
        found = list(places(tree))
        if not found:
            break
        held, key = draw.choice(found)
        draw.choice(_TREE)(draw, held, key)
    return tree


def mutated_text(text: str, draw: random.Random) -> str:
    """A text cut short, with signs exchanged, lines doubled or something put into it."""
    at = draw.randrange(len(text) + 1)
    lines = text.splitlines(keepends=True)
    row = draw.randrange(len(lines))
    way = draw.randrange(7)
    if way == 0:
        return text[:at]
    if way == 1:
        return (
            text[:at] + chr(draw.choice((0, 9, 10, 35, 42, 58, 91, 123, 125, 0x2028, 0xFEFF, 0x1F600))) + text[at + 1 :]
        )
    if way == 2:
        return "".join([*lines[:row], lines[row], *lines[row:]])
    if way == 3:
        return text + draw.choice((BOMB, "[" * 100_000, "a: &a [*a]\n", "{" * 5000, "!!python/name:os.system x\n"))
    if way == 4:
        return text[:at] + draw.choice(("[" * 50_000, "&a [*a]", "1e999", "!!python/object:x {}", "\t")) + text[at:]
    if way == 5:
        other = draw.randrange(len(lines))
        lines[row], lines[other] = lines[other], lines[row]
        return "".join(lines)
    return "".join(draw.sample(text[:2000], min(len(text), 2000))) + text[2000:]


def as_yaml(tree: Any) -> str:  # noqa: ANN401
    """A document as YAML."""
    return yaml.safe_dump(tree, sort_keys=False, allow_unicode=True)


def as_json(tree: Any) -> str:  # noqa: ANN401
    """A document as JSON, infinities and all."""
    return json.dumps(tree)

"""The page of the shaped family: every number, by what it is about."""

from __future__ import annotations

from maestro_gym.baselines.shaped.numbers import NUMBERS, PARTS

_HEAD = """\
A policy of the shaped family is a list of numbers. With the defaults every decision is Maestro's; a number that is 0 by
default adds or binds nothing. `maestro-gym search` finds numbers inside the ranges, `maestro-gym explain` says what
each is worth, and a file of them is a policy wherever one is named:

```yaml
family: shaped
format: 1
about: {found_by: hand}
numbers: {stages_cap: 48, engines_cap: 2, keep: 5}  # the others keep Maestro's value
```

The order of stages is the sum of its terms, smaller first; the node with the least cost is taken.
"""


def shaped_markdown() -> str:
    """Markdown with a table for each part of the family, headings from the second level on."""
    parts = [_HEAD]
    for title, places in PARTS.items():
        rows = ["| number | unit | range of a search | default | meaning |", "| --- | --- | --- | --- | --- |"]
        for place in places:
            number = NUMBERS[place]
            span = f"{number.low:g} to {number.high:g}"
            rows.append(f"| `{number.name}` | {number.unit} | {span} | {number.default:g} | {number.meaning} |")
        parts.append(f"## {title.capitalize()}\n\n" + "\n".join(rows) + "\n")
    return "\n".join(parts)

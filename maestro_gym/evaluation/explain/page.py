"""The page of an explanation: findings to quote, one picture, every number as a table, how it was measured."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from maestro_gym.core.whole_file import write_whole
from maestro_gym.evaluation.explain.explanation import Explanation
from maestro_gym.evaluation.explain.sentences import paragraphs, seed_words
from maestro_gym.evaluation.explain.tables import (
    Row,
    fate_rows,
    kind_rows,
    measured_rows,
    place_rows,
    worth_rows,
)

_METHOD = """\
Both policies meet the same episodes: arrivals, lengths and gaps depend on the seed alone, so differences are paired.
Intervals are 95 % bootstrap intervals over episodes.

- Numbers: each number is taken back to its default, alone, on the same episodes; its worth is what that loses. Numbers
  that stand in for each other are worth little one by one; the rows of parts take back all of a part at once.
- Decisions: the episode runs under the policy, and at each of its decisions the reference is asked what it would do in
  the same state; what it answers is not carried out. A stage that is held is asked about again whenever something
  changes, so decisions are not stages: the column `stages` counts different ones in an episode. `order only` is the
  share after which the stage that the reference would have moved is moved at the same instant, by the same tier.
- Workflows: saved ones are in time under the policy and late or unfinished under the reference; given up ones are the
  reverse. Slack is the time to the deadline at arrival, less the nominal time of the longest path. Popular models are
  the fewest that get half of all calls; rare ones are beyond those that get nine tenths.
"""


def write_page(found: Explanation, picture: Path, path: Path) -> None:
    """Write the page as Markdown.

    Args:
        found: What was found out.
        picture: The PNG file, in the same folder.
        path: Markdown file to write.
    """
    write_whole(path, markdown(found, picture.name))


def markdown(found: Explanation, picture: str) -> str:
    """The page.

    Args:
        found: What was found out.
        picture: Name of the PNG file beside the page.
    """
    parts = [
        f"# {found.policy} explained against {found.reference}",
        *paragraphs(found),
        f"![What the numbers are worth, which decisions differ, which workflows are saved and given up]({picture})",
        "## How both do",
        _table(measured_rows(found.measured, found.policy, found.reference)),
    ]
    if found.worths:
        parts += ["## What the numbers are worth", "With it minus without it.", _table(worth_rows(found.worths))]
    parts += [
        "## How decisions differ",
        "Decisions and stages are means of an episode; shares are of the tier's decisions.",
        _table(kind_rows(found.differences)),
        "## Where decisions differ",
        "Share of the tier's decisions in the group that differ.",
        _table(place_rows(found.differences)),
        "## Workflows saved and given up",
        _table(fate_rows(found.fates)),
        "## How this was measured",
        _METHOD.strip(),
        f"```sh\n{found.command}\n```",
        f"Scenario {found.scenario}, {found.contention} contention, offered load {found.load:.3f}, {found.split} "
        f"episodes, seeds {seed_words(found.seeds)}; {found.machine}; {found.created}; "
        + ", ".join(f"{name} {version}" for name, version in found.versions.items())
        + ".",
    ]
    return "\n\n".join(parts) + "\n"


def _table(rows: Sequence[Row]) -> str:
    if not rows:
        return "Nothing."
    lines = ["| " + " | ".join(rows[0]) + " |", "|" + " --- |" * len(rows[0])]
    lines += ["| " + " | ".join(row.values()) + " |" for row in rows]
    return "\n".join(lines)

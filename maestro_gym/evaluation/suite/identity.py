"""What a policy consists of: its rules, its numbers and its files, so that a changed one is recognised."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from pydantic import Field

from maestro_gym.baselines.parts import split_binding
from maestro_gym.baselines.registry import TABLE, numbers_file
from maestro_gym.config import StrictModel, config_names, find_config, read_yaml, validated
from maestro_gym.core.bounded_text import parse_json, read_bounded
from maestro_gym.core.errors import MaestroError
from maestro_gym.evaluation.comparison import PolicyLabel
from maestro_gym.evaluation.suite.fingerprint import digest, file_sha256
from maestro_gym.scheduling.policy import Policy

_POLICY_FILES = "policy.*"
"""What a run folder of ``search`` or ``train`` calls the files of its policy."""

_CARD_FILE = "policy.json"
_TAIL = re.compile(r"[:+@][^:+@/\\]*$")


class PolicyIdentity(StrictModel):
    """A policy as a record names it."""

    spec: str = Field(description="what named it")
    name: str = Field(description="as in tables")
    rules: list[str] = Field(min_length=4, max_length=4, description="global, cluster, node and reclaim rule")
    information: Literal["N", "P", "O"] = Field(description="most that any of its rules reads")
    learned: bool = Field(description="whether it was trained")
    numbers: str | None = Field(description="hash of the numbers that its rules read; None: they read none")
    files: dict[str, str] = Field(description="SHA-256 of each of its files, by name; named policies have none")


class Training(StrictModel):
    """What a policy has cost before it was run, as its file or its maker says."""

    episodes: int | None = Field(default=None, ge=0, le=10**12, description="training episodes that were simulated")
    decisions: int | None = Field(default=None, ge=0, le=10**15, description="decisions that a learner learned from")
    wall_s: float | None = Field(default=None, ge=0, le=1e10, description="real time [s]")

    @property
    def stated(self) -> bool:
        """Whether anything is said."""
        return any(value is not None for value in (self.episodes, self.decisions, self.wall_s))


def identity_of(policy: Policy, label: PolicyLabel, spec: str) -> PolicyIdentity:
    """Describe a loaded policy.

    Args:
        policy: The policy.
        label: What tables say of it.
        spec: What named it.

    Returns:
        Its identity; of Python files only the named one is hashed, not what it imports.
    """
    return PolicyIdentity(
        spec=spec,
        name=label.name,
        rules=list(label.rules),
        information=policy.information,  # pyright: ignore[reportArgumentType] - one of INFORMATION_CLASSES
        learned=label.learned,
        numbers=digest(_without_later(policy.numbers)) if policy.numbers else None,
        files={file.name: file_sha256(file) for file in _files_of(spec)},
    )


def _without_later(numbers: Sequence[float]) -> list[float]:
    """Numbers without zeros at the end: a family that gets another, off at 0, leaves its policies what they are."""
    last = max((place for place, number in enumerate(numbers) if number != 0.0), default=-1)
    return list(numbers[: last + 1])


def training_of(spec: str, stated: Training | None = None) -> Training:
    """What the training of a policy has cost.

    Args:
        spec: What names the policy.
        stated: What its maker says, where its own files do not tell.

    Returns:
        Nothing spent for a named policy whose numbers were set by hand; the episodes of a search and the decisions of
        a training where their files tell them; otherwise what is stated.
    """
    told = _told(spec).model_dump(exclude_none=True)
    return (stated or Training()).model_copy(update=told)


def _told(spec: str) -> Training:
    spec, _ = split_binding(spec)
    if spec in TABLE and spec not in config_names("policies"):
        return Training(episodes=0, decisions=0, wall_s=0)
    numbers = find_config("policies", spec, "policy") if spec in TABLE else numbers_file(spec)
    if numbers is not None:
        about = read_yaml(numbers).get("about")
        return _read("episodes", about, "episodes", f"{numbers}: about")
    card = Path(spec) / _CARD_FILE
    if not card.is_file():
        return Training()
    try:
        return _read("decisions", parse_json(read_bounded(card)), "steps", str(card))
    except ValueError as error:
        raise MaestroError(f"{card}: is no card of a policy ({error}). Restore the file.") from None


def _read(field: str, content: object, key: str, place: str) -> Training:
    """What a key of a file says of the training, checked."""
    value = content.get(key) if isinstance(content, dict) else None
    return validated(Training, {field: value}, lambda _: place)


def _files_of(spec: str) -> list[Path]:
    """The files behind a spec, whose path may be followed by words: ``file.py:Name+maestro@early``."""
    if split_binding(spec)[0] in TABLE:
        return []
    while not Path(spec).exists() and _TAIL.search(spec):
        spec = _TAIL.sub("", spec)
    path = Path(spec)
    return sorted(path.glob(_POLICY_FILES)) if path.is_dir() else [path]

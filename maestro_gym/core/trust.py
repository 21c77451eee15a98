"""Files that could run code when they are loaded, and the user's word that they may."""

from __future__ import annotations

from pathlib import Path

from maestro_gym.core.errors import MaestroError


def demand_trust(place: str | Path, kind: str, *, trust: bool, advice: str = "") -> None:
    """Refuse what could run code, unless the user trusts where it comes from.

    Args:
        place: The file, and the field of it that names what would run.
        kind: What would run, in words.
        trust: Whether the user said so.
        advice: A sentence about a way without trust.

    Raises:
        MaestroError: The user did not.
    """
    if not trust:
        raise MaestroError(
            f"{place}: {kind} can run code of whoever wrote it when it is loaded. If you trust where it comes from, "
            f"say so with --trust (trust=True in Python). {advice}".rstrip()
        )

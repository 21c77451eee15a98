"""Reading a JSON object of measurements, with errors that name the file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from maestro_gym.core.errors import MaestroError


def read_object(path: Path, holds: str) -> dict[str, Any]:
    """Read a file that holds one JSON object.

    Args:
        path: The file.
        holds: What the object has, for the error.

    Returns:
        The object.

    Raises:
        MaestroError: The file cannot be read, or holds something else.
    """
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, TypeError, ValueError) as error:
        raise MaestroError(f"{path}: must be a JSON object {holds} ({error}).") from None

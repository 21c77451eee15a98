"""Writes fitted files: YAML that people can read, with the command that makes it again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel

from maestro_gym.core.errors import MaestroError
from maestro_gym.core.whole_file import write_whole


def write_fitted(spec: BaseModel, path: Path) -> None:
    """Write a fitted configuration.

    Args:
        spec: What was fitted.
        path: A .yaml file; its folder is made.

    Raises:
        MaestroError: The file cannot be written.
    """
    if path.suffix not in (".yaml", ".yml"):
        raise MaestroError(f"--out {path}: a fitted file is YAML; let its name end in .yaml.")
    content = _plain(spec.model_dump(by_alias=True, exclude_defaults=True))
    text = yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=118, default_flow_style=None)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, "# Written by the command below; run it again rather than edit.\n" + text)
    except OSError as error:
        raise MaestroError(f"--out {path}: cannot write the file ({error.strerror}); name a writable path.") from None


def _plain(value: Any) -> Any:  # noqa: ANN401 - any YAML
    """Write whole numbers without a point."""
    if isinstance(value, dict):
        return {_plain(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return int(value)
    return value

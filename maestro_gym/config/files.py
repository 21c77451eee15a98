"""Where configuration files lie, and how one is read."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from maestro_gym.config.base import hint, shortened
from maestro_gym.core.bounded_text import parse_yaml, read_bounded
from maestro_gym.core.errors import MaestroError


@cache
def config_dir() -> Path:
    """Find the folder of configurations.

    Returns:
        ``configs/`` of a source checkout, or the copy inside the installed package.

    Raises:
        MaestroError: Neither exists.
    """
    package = Path(__file__).resolve().parents[1]
    for folder in (package / "configs", package.parent / "configs"):
        if (folder / "scenarios").is_dir():
            return folder
    raise MaestroError(
        f"The folder `configs` was found neither in {package} nor beside it; install the package again, "
        "or run from a complete checkout."
    )


def config_names(section: str) -> list[str]:
    """List what a section of the configurations holds.

    Args:
        section: A folder of ``configs/``: ``models``, ``hardware/gpus``, ``fleets``, ``scenarios``...

    Returns:
        Names, sorted.
    """
    return sorted(path.stem for path in (config_dir() / section).glob("*.yaml"))


def find_config(section: str, name: str, place: str, base: Path | None = None) -> Path:
    """Find a configuration by name, or by path if the name looks like one.

    Args:
        section: A folder of ``configs/``.
        name: ``quick``, or ``my/fleet.yaml``.
        place: Where the name was written, for the error.
        base: Folder of the file that wrote it; relative paths are tried there first.

    Returns:
        The file.

    Raises:
        MaestroError: There is none.
    """
    shown = shortened(name)
    if name.endswith((".yaml", ".yml")) or "/" in name:
        for path in ([base / name] if base is not None else []) + [Path(name)]:
            if os.path.isfile(path):  # false, and no error, for a name that no system has
                return path
        raise MaestroError(f"{place}: the file `{shown}` does not exist. Check the path; the current folder is read.")
    path = config_dir() / section / f"{name}.yaml"
    if not os.path.isfile(path):
        raise MaestroError(f"{place}: there is no `{shown}` in configs/{section}. {hint(name, config_names(section))}")
    return path


def read_yaml(path: Path) -> dict[str, Any]:
    """Read a YAML file that holds a mapping, without ever building objects from it.

    Args:
        path: The file.

    Returns:
        A fresh mapping.

    Raises:
        MaestroError: It cannot be read, is not YAML, or holds something else.
    """
    try:
        content = parse_yaml(read_bounded(path))
    except OSError as error:
        raise MaestroError(f"{path}: cannot be read ({error.strerror}).") from None
    except UnicodeDecodeError:
        raise MaestroError(f"{path}: is not a text file in UTF-8; give a YAML file.") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f" in line {mark.line + 1}" if mark is not None else ""
        problem = getattr(error, "problem", None) or "it cannot be parsed"
        raise MaestroError(f"{path}: not valid YAML{line}: {problem}. Mend that line.") from None
    except ValueError as error:
        raise MaestroError(f"{path}: is refused: {error}.") from None
    if not isinstance(content, dict):
        raise MaestroError(f"{path}: holds no mapping of keys to values; a configuration starts with `key: value`.")
    return content

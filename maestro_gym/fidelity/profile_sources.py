"""The kinds of profile that can be read, in the order of the report."""

from __future__ import annotations

from pathlib import Path

from maestro_gym.core.errors import MaestroError
from maestro_gym.fidelity import aiconfigurator, batches, distserve, frontier, served_requests, starts, vidur
from maestro_gym.fidelity.points import Source

SOURCES: tuple[Source, ...] = (
    vidur.SOURCE,
    starts.STARTUP,
    batches.ARGONNE,
    frontier.SOURCE,
    aiconfigurator.SOURCE,
    starts.SLEEP,
    batches.SPLITWISE,
    distserve.SOURCE,
    starts.LOADING,
    served_requests.SOURCE,
)


def find_folders(profiles: Path) -> tuple[list[tuple[Source, Path]], list[str]]:
    """Match the folders of a profile set with the sources: a folder is named as its source, or that and a suffix.

    Args:
        profiles: Holds one folder a source.

    Returns:
        Sources with their folders, and what is missing or unknown, in words.

    Raises:
        MaestroError: There is no such folder.
    """
    if not profiles.is_dir():
        raise MaestroError(
            f"--profiles {profiles}: there is no such folder. It holds one folder a source, such as `vidur` with "
            "`a100/MODEL/mlp.csv` in it."
        )
    folders = sorted(path for path in profiles.iterdir() if path.is_dir() and not path.name.startswith("."))
    found = [(source, path) for source in SOURCES for path in folders if _belongs(path.name, source.name)]
    notes = [f"{source.name}: absent" for source in SOURCES if all(one is not source for one, _ in found)]
    known = {path for _, path in found}
    notes += [f"{path.name}: no reader for this folder" for path in folders if path not in known]
    return found, notes


def _belongs(folder: str, source: str) -> bool:
    return folder == source or folder.startswith(source + "_")

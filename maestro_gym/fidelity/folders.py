"""Which GPU a file was measured on, from the folder or the file's name."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from maestro_gym.config import ArchitectureConfig
from maestro_gym.config.catalogue import Catalogue
from maestro_gym.fidelity.points import Reading

NO_GPU = "no hardware of this name; give --gpu NAME=FILE.yaml"
NO_MODEL = "no model of this name; describe it in --models FILE.yaml"


def by_gpu(folder: Path, pattern: str, catalogue: Catalogue, reading: Reading) -> Iterator[tuple[Path, str]]:
    """Find the files whose first folder names a GPU.

    Args:
        folder: Of the source.
        pattern: Glob below it, such as ``*/*/mlp.csv``.
        catalogue: Knows the GPUs.
        reading: Where files of unknown GPUs are counted as skipped.

    Yields:
        File and name of its hardware in the catalogue.
    """
    for path in sorted(folder.glob(pattern)):
        name = path.relative_to(folder).parts[0]
        gpu = catalogue.gpu(name)
        if gpu is None:
            reading.skip(f"GPU {name}: {path.relative_to(folder)}", len(pd.read_csv(path)), NO_GPU)
        else:
            yield path, gpu


def gpu_of_prefix(path: Path, rows: int, catalogue: Catalogue, reading: Reading) -> str | None:
    """Find the GPU that the first word of a file or folder names: ``a100_vllm_0.10.csv``.

    Args:
        path: File or folder.
        rows: Rows that it holds, for the count of what is skipped.
        catalogue: Knows the GPUs.
        reading: Where the skipped are counted.

    Returns:
        Name in the catalogue, or None.
    """
    word = path.name.split("_")[0]
    gpu = catalogue.gpu(word)
    if gpu is None:
        reading.skip(f"GPU {word}: {path.name}", rows, NO_GPU)
    return gpu


def gpu_and_model(
    gpu: str, model: str, rows: int, catalogue: Catalogue, reading: Reading
) -> tuple[str, ArchitectureConfig] | None:
    """Find what a table calls its GPU and its model.

    Args:
        gpu: As the table has it.
        model: As the table has it.
        rows: How many rows are about them, for the count of what is skipped.
        catalogue: Knows both.
        reading: Where the skipped are counted.

    Returns:
        Name of the GPU in the catalogue, and the architecture; None if one is not known.
    """
    name, architecture = catalogue.gpu(gpu), catalogue.model(model)
    if name is None:
        reading.skip(f"GPU {gpu}", rows, NO_GPU)
    elif architecture is None:
        reading.skip(f"model {model}", rows, NO_MODEL)
    else:
        return name, architecture
    return None

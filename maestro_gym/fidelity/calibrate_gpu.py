"""Fitting a GPU's constants to a profile set, and writing them as a hardware file."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

from maestro_gym import __version__
from maestro_gym.config import GpuConfig
from maestro_gym.config.catalogue import Catalogue, Machine
from maestro_gym.config.hardware import BORROWED, Calibration, Fitted
from maestro_gym.core.errors import MaestroError
from maestro_gym.core.whole_file import write_whole
from maestro_gym.fidelity.model_errors import errors_of
from maestro_gym.fidelity.points import Batch
from maestro_gym.fidelity.profile_sources import find_folders
from maestro_gym.fidelity.refit import fit, told_by

_MIN_POINTS_PER_CONSTANT = 3
"""Fewer points than this for each constant tell more of their noise than of it; what ships stays as it was."""
_DIGITS = 4
"""Significant digits that a fitted constant is written with."""
_NOTHING = 1e-12
"""Below this a fit has left a constant at its bound of 0."""


def calibrate(
    profiles: Path,
    catalogue: Catalogue,
    gpu_name: str,
    like: str | None = None,
    only: Sequence[str] = (),
    progress: Callable[[str], None] = lambda _: None,
) -> GpuConfig:
    """Fit a GPU's constants to all the kinds of measurement that a profile set has for it.

    Constants that several kinds of measurement tell are fitted to all of them together, each kind weighing the same.

    Args:
        profiles: Holds one folder a source.
        catalogue: Models and hardware.
        gpu_name: Name or alias of the GPU; its file is where the search starts.
        like: Another GPU whose efficiencies and load times the search starts from, and which stay where the set has
            no measurement of this one.
        only: Constants to fit, dotted as in the file (``step.step_const_s``); the others stay. Empty: all that the
            set tells.
        progress: Told what is being fitted.

    Returns:
        The GPU with fitted constants and the record of the fit.

    Raises:
        MaestroError: The GPU is unknown, or the set has no measurement of it or of a constant of `only`.
    """
    gpu = _known(catalogue, gpu_name, "--gpu")
    found, notes = find_folders(profiles)
    groups: dict[tuple[str, ...], dict[str, list[Batch]]] = {}
    record = catalogue.gpus[_known(catalogue, like, "--like") if like is not None else gpu].calibration
    validity = record.validity if record is not None else None
    for source, folder in found:
        reading = source.read(folder, catalogue)
        for batch in reading.batches:
            if batch.gpu == gpu and batch.quantity in source.calibrates:
                validity = source.validity or validity
                kinds = groups.setdefault(source.free[batch.quantity], {})
                kinds.setdefault(f"{source.name}: {batch.quantity}", []).append(batch)
    machine, inherited = catalogue.machine(gpu), []
    if like is not None:
        machine, inherited = _inherit(machine, catalogue.gpus[_known(catalogue, like, "--like")], like)
    newest = catalogue.newest(gpu)
    if not groups and like is None and newest != gpu:
        raise MaestroError(
            f"--gpu {gpu_name}: {newest} supersedes it, and measurements of the board are of that; give --gpu {newest}."
        )
    if not groups and like is None:
        raise MaestroError(
            f"--profiles {profiles}: no measurement of {gpu} to fit to ({'; '.join(notes) or 'other GPUs only'}). "
            "If the files call it otherwise, give --gpu NAME=FILE.yaml with their name."
        )
    told = {
        name
        for names, kinds in groups.items()
        for name in told_by([batch for batches in kinds.values() for batch in batches], machine, names)
    }
    wanted = [f"gpu.{name}" for name in only] or sorted(told)
    for name in wanted:
        if name not in told:
            known = ", ".join(sorted(item.removeprefix("gpu.") for item in told))
            raise MaestroError(f"--only {name.removeprefix('gpu.')}: no measurement here tells it; known are {known}.")
    fitted: dict[str, tuple[list[Batch], list[str]]] = {}
    # Twice, because a constant of one kind of measurement also stands in the formula of another.
    for names, kinds in [*groups.items(), *groups.items()]:
        free = [name for name in names if name in told]
        chosen = [name for name in free if name in wanted]
        if not chosen:
            continue
        points = sum(len(batch.measured) for batches in kinds.values() for batch in batches)
        if points < _MIN_POINTS_PER_CONSTANT * len(free):
            progress(f"{', '.join(kinds)}: {points} points are too few for {len(free)} constants")
            continue
        progress(f"{', '.join(kinds)}: {len(chosen)} constants, {points} points")
        machine = fit(list(kinds.values()), machine, chosen)
        fitted |= {name: (batches, list(free)) for name, batches in kinds.items()}
    machine = machine._replace(gpu=_rounded(machine.gpu))
    fits: list[Fitted] = list(inherited)
    if only and like is None and record is not None:
        fits = [item for item in record.fits if item.source not in fitted]
    for name, (batches, free) in fitted.items():
        errors = errors_of(batches, [batch.predict(machine) for batch in batches])
        fits.append(
            Fitted(
                source=name,
                points=errors.points,
                median_error=round(errors.median, _DIGITS),
                p90_error=round(errors.p90, _DIGITS),
                signed_error=round(errors.signed, _DIGITS),
                free=free,
            )
        )
    today = datetime.now(UTC).date().isoformat()
    return machine.gpu.model_copy(
        update={"calibration": Calibration(date=today, version=__version__, validity=validity, fits=fits)}, deep=True
    )


def write_gpu(gpu: GpuConfig, path: Path, command: str) -> None:
    """Write a GPU as a file of ``configs/hardware/gpus``.

    Args:
        gpu: What to write.
        path: The file.
        command: That made it, for the comment on top.

    Raises:
        MaestroError: The file cannot be written.
    """
    text = yaml.dump(gpu.model_dump(mode="json", exclude_none=True), Dumper=_Plain, sort_keys=False, width=110)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, f"# Written by `{command}`: `calibration` says how well.\n{text}")
    except OSError as error:
        raise MaestroError(f"--out {path}: cannot be written ({error.strerror}); name a writable file.") from None


class _Plain(yaml.SafeDumper):
    """Writes large and small numbers as 2.039e+12."""


def _number(dumper: yaml.SafeDumper, value: float) -> yaml.ScalarNode:
    text = f"{value:.6g}"
    if "e" in text and "." not in text:
        # YAML 1.1 takes 3e+12 for a word.
        text = text.replace("e", ".0e")
    return dumper.represent_scalar("tag:yaml.org,2002:float", text if "." in text else text + ".0")


def _sequence(dumper: yaml.SafeDumper, items: list[Any]) -> yaml.SequenceNode:
    """Write numbers beside one another, and anything else below."""
    flow = all(isinstance(item, float) for item in items) and len(items) > 0
    return dumper.represent_sequence("tag:yaml.org,2002:seq", items, flow_style=flow)


_Plain.add_representer(float, _number)
_Plain.add_representer(list, _sequence)


def _known(catalogue: Catalogue, name: str, option: str) -> str:
    gpu = catalogue.gpu(name)
    if gpu is None:
        known = ", ".join(sorted(catalogue.gpus))
        raise MaestroError(f"{option} {name}: not in the catalogue ({known}); give --gpu NAME=FILE.yaml to start from.")
    return gpu


def _inherit(machine: Machine, like: GpuConfig, name: str) -> tuple[Machine, list[Fitted]]:
    """Take over what does not depend on the board: efficiencies, launches, starts; links are the GPU's own."""
    own = machine.gpu.step
    links = {"allreduce": own.allreduce, "allreduce_bus_bytes_per_s": own.allreduce_bus_bytes_per_s}
    gpu = machine.gpu.model_copy(
        update={"step": like.step.model_copy(update=links), "residency": like.residency}, deep=True
    )
    record = like.calibration
    fits = [
        item.model_copy(update={"source": f"{item.source}{BORROWED}{name}"})
        for item in (record.fits if record is not None else [])
    ]
    return machine._replace(gpu=gpu), fits


def _rounded(gpu: GpuConfig) -> GpuConfig:
    def trim(value: Any) -> Any:  # noqa: ANN401 - a tree of numbers
        if isinstance(value, dict):
            return {key: trim(item) for key, item in value.items()}
        if isinstance(value, list):
            return [trim(item) for item in value]
        if isinstance(value, float):
            return 0.0 if 0.0 < value < _NOTHING else float(f"{value:.{_DIGITS}g}")
        return value

    parts = gpu.model_dump()
    # Prices and data sheets stand as they were given.
    return GpuConfig.model_validate(
        parts | {key: trim(parts[key]) for key in ("step", "residency", "pcie_bytes_per_s")}
    )

"""Fits whole families: several traces, their origin and the command that made the file."""

from __future__ import annotations

import datetime
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from maestro_gym.core.errors import MaestroError
from maestro_gym.workloads.fitting.fit import FitOptions, fit_machines
from maestro_gym.workloads.machines.machine_spec import FittedSpec, FittedTraceSpec, MachineFamilySpec, MachineSpec
from maestro_gym.workloads.traces.files import FORMATS, find_trace, import_trace
from maestro_gym.workloads.traces.format import Trace
from maestro_gym.workloads.traces.tables import SUFFIXES, suffix_of


class ReadTrace(NamedTuple):
    """A trace and where it came from."""

    path: Path
    format: str
    trace: Trace


def trace_paths(given: Sequence[Path]) -> list[Path]:
    """List trace files.

    Args:
        given: Files, and folders, of which every file that may be a trace is taken.

    Returns:
        Files.

    Raises:
        MaestroError: A path does not exist, or a folder holds no such file.
    """
    found: list[Path] = []
    for path in given:
        if path.is_dir():
            inside = sorted(file for file in path.iterdir() if suffix_of(file) in SUFFIXES)
            if not inside:
                raise MaestroError(f"--trace {path}: the folder holds no {', '.join(SUFFIXES)} file.")
            found += inside
        elif (file := find_trace(path)).is_file():
            found.append(file)
        else:
            raise MaestroError(f"--trace {path}: there is no such file or folder; check the path.")
    if not found:
        raise MaestroError("--trace: give at least one trace file, or a folder that holds some.")
    return found


def read_traces(given: Sequence[Path], format_name: str = "auto") -> list[ReadTrace]:
    """Read trace files.

    Args:
        given: Files and folders.
        format_name: A name of ``FORMATS``, or auto.

    Returns:
        The traces.

    Raises:
        MaestroError: A file is bad.
    """
    traces = []
    for path in trace_paths(given):
        read = import_trace(path, format_name)
        traces.append(ReadTrace(path, read.format, read.trace))
    return traces


def command_line(words: Sequence[str]) -> str:
    """Write a command so that it can be run again, files by their name alone: folders differ between machines."""
    return "maestro-gym " + shlex.join(words)


def today() -> str:
    """Return today's date."""
    return datetime.datetime.now(tz=datetime.UTC).date().isoformat()


def fit_family(
    name: str,
    traces: Sequence[ReadTrace],
    options: FitOptions,
    *,
    command: str,
    description: str | None = None,
    origin: str | None = None,
) -> MachineFamilySpec:
    """Fit a family to traces.

    Args:
        name: The family's name.
        traces: What to fit to; every application becomes a machine.
        options: Choices that traces do not make.
        command: What was run.
        description: For the file; None: one is made.
        origin: Where the traces were published, in place of what is known of their formats.

    Returns:
        The family.

    Raises:
        MaestroError: Nothing can be fitted.
    """
    machines: dict[str, MachineSpec] = {}
    records = []
    known = {application for read in traces for application in read.trace.application_names}
    for wanted in options.applications:
        if wanted not in known:
            raise MaestroError(
                f"--application {wanted}: none of the traces has it; they have {', '.join(sorted(known))}."
            )
    for path, format_name, trace in traces:
        mine = [app for app in trace.application_names if not options.applications or app in options.applications]
        if not mine:
            continue
        fitted, num_workflows, num_calls = fit_machines(trace, options._replace(applications=mine))
        for application, machine in fitted.items():
            if application in machines:
                raise MaestroError(
                    f"{path}: application `{application}` was fitted to another file already. Join the files, or fit "
                    "them apart."
                )
            machines[application] = machine
        records.append(
            FittedTraceSpec(
                file=path.name,
                format=format_name,
                source=origin or FORMATS[format_name].origin,
                workflows=num_workflows,
                rows=num_calls,
            )
        )
    files = ", ".join(record.file for record in records)
    return MachineFamilySpec(
        description=description or f"{name}: state machines fitted to {files}",
        fitted=FittedSpec(date=today(), command=command, traces=records),
        machines=machines,
    )

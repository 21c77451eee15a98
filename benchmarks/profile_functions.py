"""Which compiled functions the time of whole episodes goes to, by Linux `perf`.

    python benchmarks/profile_functions.py --policy searched contention=high

`perf` sees addresses only. A second process runs episodes and writes, as it ends, the map of numba's machine code that
`perf report` looks for: every function that was not inlined, by its place in the object that it was loaded from. Shares
are of the samples in compiled code; what Python and the loading of episodes take is left out.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from machine import machine, machine_line

from maestro_gym.cli.console import show_table
from maestro_gym.core.errors import MaestroError

_SHOWN = 20
_DECISIONS = 400
"""Of the agent in every environment, as in `speed.py`."""
_SAMPLES_PER_S = 1999
_NUMBER = re.compile(r"(\d+)")


def _note_objects() -> dict[int, tuple[Any, str, int]]:
    """Let numba's libraries keep their objects, and note which of them were loaded, under which name, and where."""
    from numba.core import codegen

    loaded: dict[int, tuple[Any, str, int]] = {}
    address_of = codegen.JITCodeLibrary.get_pointer_to_function
    keep = codegen.CodeLibrary._set_compiled_object

    def noted(library: Any, name: str) -> int:  # noqa: ANN401 - numba's own object
        address = address_of(library, name)
        loaded[id(library)] = library, name, address
        return address

    def kept(library: Any, value: bytes) -> None:  # noqa: ANN401 - numba's own object
        library.object_code = value
        keep(library, value)

    setattr(codegen.JITCodeLibrary, "get_pointer_to_function", noted)  # noqa: B010 - pyright knows numba's own names
    setattr(codegen.CodeLibrary, "_set_compiled_object", kept)  # noqa: B010
    return loaded


def _write_map(loaded: dict[int, tuple[Any, str, int]]) -> Path:
    """Write where every function of the loaded objects lies, where `perf` looks for it."""
    lines = []
    for library, entry, address in loaded.values():
        code = getattr(library, "object_code", None) or getattr(library, "_compiled_object", None)
        if not code:
            continue
        with tempfile.NamedTemporaryFile(suffix=".o") as file:
            file.write(code)
            file.flush()
            told = subprocess.run(["nm", "-S", "--defined-only", file.name], capture_output=True, text=True, check=True)
        symbols = [words for words in map(str.split, told.stdout.splitlines()) if len(words) == 4]
        places = {name: (int(at, 16), size) for at, size, kind, name in symbols if kind in "tTwW"}
        if entry in places:
            base = address - places[entry][0]
            lines += [f"{base + at:x} {size} {name}" for name, (at, size) in places.items()]
    path = Path("/", "tmp", f"perf-{os.getpid()}.map")
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def _run(asked: argparse.Namespace) -> None:
    """The second process: episodes, or stretches of them under a random agent, then the map."""
    loaded = _note_objects()
    import cells

    overrides = tuple(asked.overrides)
    cell: cells.EpisodeCell | cells.VectorCell
    if asked.environments:
        cell = cells.VectorCell(overrides, asked.environments, 1, _DECISIONS)
    else:
        cell = cells.EpisodeCell(overrides, asked.policy)
    for _ in range(asked.episodes):
        cell.measure()
    print(_write_map(loaded))


def _words(symbol: str) -> str:
    """A mangled name as ``module.function``, empty for what is not of this package."""
    if "maestro_gym" not in symbol:
        return ""
    words, rest = [], symbol.removeprefix("_ZN")
    while (found := _NUMBER.match(rest)) is not None:
        length, rest = int(found[1]), rest[found.end() :]
        words.append(rest[:length])
        rest = rest[length:]
    return ".".join(words[1:])


def _shares(report: str) -> list[dict[str, object]]:
    """What `perf report` prints as rows, of compiled functions alone, as shares of their sum."""
    found: dict[str, float] = {}
    for line in report.splitlines():
        words = line.split()
        if len(words) > 2 and words[0].endswith("%") and (name := _words(words[2])):
            found[name] = found.get(name, 0.0) + float(words[0].removesuffix("%"))
    whole = sum(found.values())
    ranked = sorted(found.items(), key=lambda item: -item[1])
    return [{"function": name, "share_percent": 100.0 * share / whole} for name, share in ranked]


def main() -> None:
    """Run episodes under `perf` and print the functions that take most."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--policy", default="maestro")
    parser.add_argument("--episodes", type=int, default=60, help="how often the same is run (default 60)")
    parser.add_argument(
        "--environments", type=int, default=0, help="a random agent in a batch of so many, 400 decisions each"
    )
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("overrides", nargs="*", default=["contention=high"])
    asked = parser.parse_args()
    if asked.inside:
        _run(asked)
        return
    missing = [tool for tool in ("perf", "nm") if shutil.which(tool) is None]
    if missing:
        raise MaestroError(f"{' and '.join(missing)} not found: install linux-perf and binutils.")
    about = machine()
    with tempfile.TemporaryDirectory() as folder:
        data = str(Path(folder) / "perf.data")
        own = [sys.executable, __file__, "--inside", *sys.argv[1:]]
        record = ["perf", "record", "-q", "-e", "cpu-clock", "-F", str(_SAMPLES_PER_S), "-o", data, *own]
        ran = subprocess.run(record, stdout=subprocess.PIPE, text=True, check=True)
        report = ["perf", "report", "-i", data, "--no-children", "--sort", "symbol"]
        told = subprocess.run(report, capture_output=True, text=True, check=True)
    Path(ran.stdout.splitlines()[-1]).unlink()
    rows = _shares(told.stdout)[:_SHOWN]
    whose = f"a random agent in {asked.environments} environments" if asked.environments else asked.policy
    title = f"{whose}, {' '.join(asked.overrides)}: share of the time in compiled code"
    show_table(title, rows, machine_line(about, os.getloadavg()[0]))


if __name__ == "__main__":
    try:
        main()
    except MaestroError as error:
        sys.exit(str(error))

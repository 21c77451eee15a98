"""What an installation costs: seconds, megabytes, and how long the program takes to say anything.

    python benchmarks/install.py                    # builds a wheel, and installs it into an empty environment
    python benchmarks/install.py --python python3.12 --extras live,export
    python benchmarks/install.py --into .venv       # of an installation that is there: times and sizes alone
    python benchmarks/install.py --by-extra         # what each extra adds, of the environment that runs this

On a machine that others use, seconds of the processor say more than those of the clock; both are printed. Torch comes
from wherever pip finds the version of constraints.txt; its default build brings CUDA libraries of several gigabytes.
"""

import argparse
import os
import statistics
import subprocess
import tempfile
import time
import tomllib
from collections.abc import Iterable, Sequence
from functools import cache
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
REPEATS = 5
LARGEST = 10
BUILT_ON = ("gymnasium", "stable-baselines3", "torch", "numpy", "pandas", "wandb", "tensorboard")
"""The seven packages that the project is built on."""


class Took(NamedTuple):
    """What a command took.

    Attributes:
        wall_s: By the clock [s].
        cpu_s: Of the processor, with that of its children [s].
    """

    wall_s: float
    cpu_s: float


def run(words: Sequence[object], cwd: Path = ROOT) -> Took:
    """Run a command to its end; a failure ends this program with its words."""
    before, began_s = os.times(), time.perf_counter()
    ended = subprocess.run([str(word) for word in words], cwd=cwd, capture_output=True, text=True, check=False)
    if ended.returncode:
        raise SystemExit(f"{' '.join(map(str, words))}: {ended.stdout[-2000:]}{ended.stderr[-2000:]}")
    after = os.times()
    cpu_s = after.children_user + after.children_system - before.children_user - before.children_system
    return Took(time.perf_counter() - began_s, cpu_s)


def median(words: Sequence[object], cwd: Path) -> Took:
    """The medians of `REPEATS` runs, after one that is not counted."""
    run(words, cwd)
    took = [run(words, cwd) for _ in range(REPEATS)]
    return Took(statistics.median(t.wall_s for t in took), statistics.median(t.cpu_s for t in took))


def size_mb(folder: Path) -> float:
    """What the files of a folder take [MB]."""
    return sum(path.lstat().st_size for path in folder.rglob("*") if not path.is_dir()) / 1e6


def install(python: str, extras: str, place: Path) -> list[str]:
    """Build the wheel, make an environment and install the wheel into it; return rows of the table."""
    run([python, "-m", "venv", place / "venv"])
    pip = place / "venv" / "bin" / "pip"
    empty_mb = size_mb(place / "venv")
    built = run([pip, "wheel", "-q", "--no-deps", "-w", place, ROOT])
    (wheel,) = place.glob("maestro_gym-*.whl")
    spec = f"{wheel}[{extras}]" if extras else wheel
    installed = run([pip, "install", "-q", spec, "-c", ROOT / "constraints.txt"])
    return [
        f"| wheel, {wheel.stat().st_size / 1e6:.1f} MB | {built.wall_s:.0f} | {built.cpu_s:.0f} |",
        f"| install, {size_mb(place / 'venv') - empty_mb:,.0f} MB | {installed.wall_s:.0f} | {installed.cpu_s:.0f} |",
    ]


def start_times(venv: Path, cwd: Path) -> list[str]:
    """How long the package takes to be imported, and the program to print its help; rows of the table."""
    python, program = venv / "bin" / "python", venv / "bin" / "maestro-gym"
    rows = []
    for name, words in {
        "`python -c pass`": [python, "-c", "pass"],
        "`import maestro_gym`": [python, "-c", "import maestro_gym"],
        "`maestro-gym --help`": [program, "--help"],
        "`maestro-gym compare --help`": [program, "compare", "--help"],
    }.items():
        took = median(words, cwd)
        rows.append(f"| {name}, median of {REPEATS} | {took.wall_s:.2f} | {took.cpu_s:.2f} |")
    return rows


def largest(venv: Path) -> str:
    """The largest packages of an environment, in a sentence."""
    (packages,) = (venv / "lib").glob("python3*/site-packages")
    sizes = sorted(((size_mb(path), path.name) for path in packages.iterdir() if path.is_dir()), reverse=True)
    return ", ".join(f"{name} {size:,.0f} MB" for size, name in sizes[:LARGEST])


def needed(words: Iterable[str]) -> set[str]:
    """The packages of this environment that requirements bring, directly or not, but for the project itself."""
    from packaging.requirements import Requirement  # a bare interpreter lacks it, and installs alone
    from packaging.utils import canonicalize_name

    found: set[str] = set()
    waiting = [Requirement(word) for word in words]
    asked: set[tuple[str, frozenset[str]]] = set()
    while waiting:
        asking = waiting.pop()
        key = canonicalize_name(asking.name), frozenset(asking.extras)
        if key in asked or key[0] == "maestro-gym":
            continue
        asked.add(key)
        try:
            there = distribution(key[0])
        except PackageNotFoundError:
            raise SystemExit(f"{asking} is not installed; run this in an environment with all extras.") from None
        found.add(key[0])
        for word in there.requires or ():
            other = Requirement(word)
            extras = [*asking.extras, ""]
            if other.marker is None or any(other.marker.evaluate({"extra": extra}) for extra in extras):
                waiting.append(other)
    return found


@cache
def package_mb(name: str) -> float:
    """What the files of an installed package take, without its bytecode [MB]."""
    files = [Path(str(file.locate())) for file in distribution(name).files or () if file.suffix != ".pyc"]
    return sum(file.stat().st_size for file in files if file.is_file()) / 1e6


def by_extra() -> list[str]:
    """What the seven packages, a plain installation and each extra take, rows of a table."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    plain = needed(project["dependencies"])
    extras = {
        name: needed(words) for name, words in project["optional-dependencies"].items() if name not in ("all", "dev")
    }
    kinds = {"the seven packages": needed(BUILT_ON), "without an extra": plain}
    kinds |= {f"`{name}`": plain | found for name, found in sorted(extras.items())}
    kinds["`all`"] = plain.union(*extras.values())
    plain_mb = sum(map(package_mb, plain))
    rows = []
    for name, packages in kinds.items():
        size = sum(map(package_mb, packages))
        more = f"{size - plain_mb:,.0f}" if name.startswith("`") else ""
        rows.append(f"| {name} | {len(packages)} | {size:,.0f} | {more} |")
    return rows


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--python", default="python3", help="the interpreter of the new environment")
    parser.add_argument("--extras", default="", help="extras to install, separated by commas")
    parser.add_argument("--into", type=Path, help="an environment that is there; nothing is installed")
    parser.add_argument("--by-extra", action="store_true", help="what each extra adds to this environment")
    given = parser.parse_args()
    if given.by_extra:
        print("| what | packages | MB without bytecode | more than without an extra |\n| --- | --- | --- | --- |")
        print("\n".join(by_extra()))
        return
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        venv = given.into.absolute() if given.into is not None else place / "venv"
        rows = [] if given.into is not None else install(given.python, given.extras, place)
        rows += [] if given.into is None else [f"| environment, {size_mb(venv):,.0f} MB | | |"]
        rows += start_times(venv, place)
        print("| what | seconds | of the processor |\n| --- | --- | --- |")
        print("\n".join(rows))
        print(f"\nLargest: {largest(venv)}.")


if __name__ == "__main__":
    main()

"""Write into benchmarks what their scenarios are now: ``python benchmarks/freeze.py [NAME ...] [--traces FOLDER]``.

A record of a benchmark is good only for what was frozen, so this is for new benchmarks, and for a change of a scenario
that is meant. All benchmarks without names; those whose public trace is not in the folder keep what they have.
"""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path

import yaml

from maestro_gym.core.errors import MaestroError
from maestro_gym.evaluation.suite.definition import FrozenConfig, benchmark_names, load_benchmark
from maestro_gym.evaluation.suite.run import place_of

_FROZEN = re.compile(r"^frozen:\n(?:[ \t].*\n)*", re.M)


def freeze(name: str, traces: Path | None) -> bool:
    """Write what a benchmark's scenario is now; comments of its file stay.

    Args:
        name: Name or file of the benchmark.
        traces: Folder of public traces.

    Returns:
        Whether anything has changed.
    """
    benchmark = load_benchmark(name)
    place = place_of(benchmark, traces)
    frozen = FrozenConfig(parts=dict(sorted(place.parts.items())), rate_rps=place.rate_rps)
    if frozen == benchmark.config.frozen:
        return False
    text = _FROZEN.sub("", benchmark.path.read_text(encoding="utf-8")).rstrip() + "\n"
    block = yaml.safe_dump({"frozen": frozen.model_dump()}, sort_keys=False)
    benchmark.path.write_text(text + block, encoding="utf-8")
    return True


def main() -> int:
    """Freeze what the command line names.

    Returns:
        The exit code: 2 where a benchmark that was named cannot be frozen.
    """
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.add_argument("--traces", type=Path)
    asked = parser.parse_args()
    for name in asked.names or benchmark_names():
        try:
            print(f"{name}: {'frozen anew' if freeze(name, asked.traces) else 'as it was'}")
        except MaestroError as error:
            print(f"{name}: left as it was. {error}", file=sys.stderr)
            if asked.names:
                return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())

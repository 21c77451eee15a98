"""What the numbers were measured on, and how repeats become one row."""

from __future__ import annotations

import os
import platform
import statistics
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any


def machine() -> dict[str, Any]:
    """Processor, cores, load average over the last minute, and the commit that was measured."""
    cpu = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        names = [
            line.split(":", 1)[1].strip() for line in info.read_text().splitlines() if line.startswith("model name")
        ]
        cpu = names[0] if names else cpu
    git = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=Path(__file__).parent, capture_output=True, text=True, check=False
    )
    return {
        "cpu": cpu,
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "load_1min": round(os.getloadavg()[0], 1),
        "python": platform.python_version(),
        "commit": git.stdout.strip() or "unknown",
    }


def machine_line(before: dict[str, Any], load_after: float) -> str:
    """One line for a table's caption."""
    return (
        f"{before['cpu']}, {before['cores']} cores, load average {before['load_1min']:.1f} before and "
        f"{load_after:.1f} after, Python {before['python']}, commit {before['commit']}"
    )


def summary(samples: Sequence[float]) -> dict[str, float]:
    """Median and range of repeats."""
    return {"median": statistics.median(samples), "min": min(samples), "max": max(samples)}

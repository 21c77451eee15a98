"""Steps a second of the environments alone, with torch imported before them, and after them, side by side.

    python benchmarks/beside_torch.py [--against OTHER_CHECKOUT] [--rounds 3]

Every cell is a fresh process. torch runs one matrix product first, so that its threads exist. With ``--against``, the
same cells of another checkout take turns with this one's, and the last column is the ratio of the medians.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
ORDERS = ("alone", "torch first", "torch last")
SIZES = (1, 8, 64)

CELL = """
import sys, time
order, num_envs, decisions = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
def load_torch():
    import torch
    a = torch.rand(512, 512)
    (a @ a).sum()
if order == "torch first":
    load_torch()
import gymnasium, numpy as np, maestro_gym
if num_envs == 1:
    env = gymnasium.make("Maestro/Cluster-v0", overrides=("contention=high",), disable_env_checker=True)
else:
    env = gymnasium.make_vec("Maestro/Cluster-v0", num_envs=num_envs, overrides=("contention=high",))
_, info = env.reset(seed=0)
if order == "torch last":
    load_torch()
steps, spent_s = max(50, decisions // num_envs), 0.0
for step in range(steps + 20):
    action = info["action_mask"].argmax(axis=-1)
    begin = time.perf_counter()
    _, _, terminated, truncated, info = env.step(action)
    if step >= 20:
        spent_s += time.perf_counter() - begin
    if num_envs == 1 and (terminated or truncated):
        _, info = env.reset()
print(steps * num_envs / spent_s)
"""


def steps_per_s(checkout: Path, order: str, num_envs: int, decisions: int) -> float:
    """Steps of all environments a second, in a fresh process.

    Args:
        checkout: Whose sources are measured.
        order: One of `ORDERS`.
        num_envs: Environments of the batch.
        decisions: Steps of all environments together.
    """
    words = [sys.executable, "-c", CELL, order, str(num_envs), str(decisions)]
    where = os.environ | {"PYTHONPATH": str(checkout), "MAESTRO_QUIET": "1"}
    done = subprocess.run(words, env=where, capture_output=True, text=True, check=True)
    return float(done.stdout.split()[-1])


def main() -> None:
    """Measure every cell in turns and print a table of medians."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--against", type=Path, help="another checkout, measured in turns with this one")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--decisions", type=int, default=20_000)
    given = parser.parse_args()
    checkouts = [ROOT, *([given.against.resolve()] if given.against else [])]
    heads = ["this", *(["other", "this / other"] if given.against else [])]
    print(f"{'steps/s, median of ' + str(given.rounds):<34}" + "".join(f"{head:>14}" for head in heads))
    for num_envs in SIZES:
        for order in ORDERS:
            rates: list[list[float]] = [[] for _ in checkouts]
            for _ in range(given.rounds):
                for rate, checkout in zip(rates, checkouts, strict=True):
                    rate.append(steps_per_s(checkout, order, num_envs, given.decisions))
            medians = [statistics.median(rate) for rate in rates]
            cells = "".join(f"{median:>14,.0f}" for median in medians)
            ratio = f"{medians[0] / medians[1]:>14.2f}" if given.against else ""
            print(f"{f'{num_envs} environments, {order}':<34}{cells}{ratio}", flush=True)


if __name__ == "__main__":
    main()

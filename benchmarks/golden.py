"""What must not change when code only moves: ``python benchmarks/golden.py take FOLDER``, later ``check FOLDER``.

A golden run is every policy on two scenarios at two contentions and two seeds, one short training, and
two thousand steps of a native vector of each tier, driven through nothing but the public commands
and environment ids. ``check`` runs the same again and compares to the last bit.
"""

from __future__ import annotations

import argparse
import hashlib
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd

SCENARIOS = ("toy", "quick")
CONTENTIONS = ("low", "high")
SEEDS = "0,1"
TIERS = ("Node", "Cluster", "Global", "Joint")
STEPS = 2000
ENVIRONMENTS = 4
STATE = "env/"
"""Arrays of a checkpoint that hold the state of the batch: its layout may change, and what it does shows elsewhere."""

LOOSE_COLUMNS = ("wall_s", "node_rule")
"""Columns that may differ: real time, and the node rule's name, which once held that of the reclaim rule too."""


def _maestro_gym(*words: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", "from maestro_gym.cli import main; main()", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode:
        sys.exit(f"maestro-gym {' '.join(words)} ended with {done.returncode}:\n{done.stdout[-3000:]}")


def compare_rows(folder: Path) -> pd.DataFrame:
    """Every policy of the table on the golden scenarios, an episode a row."""
    from maestro_gym.baselines import policy_names

    words = ["compare", "--policy", ",".join(policy_names()), "--seeds", SEEDS, "--out", str(folder / "compare")]
    for scenario in SCENARIOS:
        words += ["--scenario", scenario]
    for contention in CONTENTIONS:
        words += ["--contention", contention]
    _maestro_gym(*words)
    rows = pd.read_parquet(folder / "compare" / "results.parquet")
    return rows.sort_values(["scenario", "contention", "policy", "seed"], ignore_index=True)


def trained_digest(folder: Path) -> str:
    """SHA-256 of the numbers of a policy after a short training of the cluster tier, imitation included."""
    import torch

    run = folder / "train"
    settings = ("num_envs=16", "rollout_steps=32", "batch_size=256", "total_steps=4096", "imitation_steps=1024")
    settings += (
        "eval_every_steps=2048",
        "eval_episodes=2",
        "checkpoint_every_steps=4096",
        "horizon_s=60",
        "torch_threads=1",
    )
    words = [f"train.{setting}" for setting in settings]
    _maestro_gym("train", "--scenario", "toy", "--seed", "3", "--out", str(run), *words)
    digest = hashlib.sha256()
    for file in sorted(run.rglob("policy*.pt")) + sorted(run.rglob("*.safetensors")) + sorted(run.rglob("*.npz")):
        digest.update(file.relative_to(run).as_posix().encode())
        if file.suffix == ".npz":
            with np.load(file, allow_pickle=False) as arrays:
                for name in sorted(name for name in arrays.files if not name.startswith(STATE)):
                    digest.update(name.encode() + arrays[name].tobytes())
        elif file.suffix == ".pt":
            for name, value in sorted(torch.load(file, map_location="cpu", weights_only=True).items()):
                digest.update(name.encode() + (value.numpy().tobytes() if hasattr(value, "numpy") else b""))
        else:
            digest.update(file.read_bytes())
    return digest.hexdigest()


def walk_digest(tier: str) -> str:
    """SHA-256 of all that a native vector of one tier shows in a seeded walk over legal actions."""
    import gymnasium as gym

    env = gym.make_vec(f"maestro_gym:Maestro/{tier}-v0", num_envs=ENVIRONMENTS, overrides=["contention=high"])
    digest = hashlib.sha256()
    draw = np.random.default_rng(11)
    observation, info = env.reset(seed=5)
    for _ in range(STEPS):
        masks = np.asarray(info["action_mask"], bool)
        actions = np.array([draw.choice(np.flatnonzero(mask)) for mask in masks])
        observation, reward, terminated, truncated, info = env.step(actions)
        for name in sorted(observation):
            digest.update(name.encode() + np.ascontiguousarray(observation[name]).tobytes())
        for array in (reward, terminated, truncated, info["action_mask"]):
            digest.update(np.ascontiguousarray(array).tobytes())
    env.close()
    return digest.hexdigest()


def digests(work: Path) -> dict[str, str]:
    """One digest a training and tier."""
    found = {f"walk {tier}": walk_digest(tier) for tier in TIERS}
    found["train"] = trained_digest(work)
    return found


def take(folder: Path) -> None:
    """Write a golden run."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as work:
        pd.Series(digests(Path(work))).to_json(folder / "digests.json", indent=1)
        compare_rows(Path(work)).to_parquet(folder / "compare.parquet", index=False)
    print(f"golden run written to {folder}")


def check(folder: Path) -> int:
    """Run again and compare; the number of things that differ."""
    wanted = pd.read_json(folder / "digests.json", typ="series")
    differing = []
    with tempfile.TemporaryDirectory() as work:
        found = digests(Path(work))
        differing += [name for name in wanted.index if found.get(name) != wanted[name]]
        before, after = pd.read_parquet(folder / "compare.parquet"), compare_rows(Path(work))
        # Policies that are new since then have nothing to be equal to.
        after = after[after["policy"].isin(before["policy"])].reset_index(drop=True)
    if len(before) != len(after):
        differing.append(f"compare: {len(before)} rows before, {len(after)} after")
    else:
        before = before.sort_values(["scenario", "contention", "policy", "seed"], ignore_index=True)
        for column in before.columns.difference(LOOSE_COLUMNS):
            if column not in after or not before[column].equals(after[column]):
                differing.append(f"compare: column {column}")
    rows = f"{len(before)} episodes of {before['policy'].nunique()} policies, {len(wanted)} digests"
    print(f"{rows}: " + ("; ".join(differing) if differing else "equal to the last bit"))
    return len(differing)


def main() -> None:
    """Take or check a golden run."""
    parser = argparse.ArgumentParser(description="Take a golden run, or hold the present code against one.")
    parser.add_argument("what", choices=("take", "check"))
    parser.add_argument("folder", type=Path, help="where the golden run lies")
    arguments = parser.parse_args()
    if arguments.what == "take":
        take(arguments.folder)
    else:
        sys.exit(1 if check(arguments.folder) else 0)


if __name__ == "__main__":
    main()

"""What a fleet file may start without a further word: vLLM by its usual name, with settings that load no other code."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from maestro_gym.config.base import shortened
from maestro_gym.config.live import LaunchConfig, LiveFleetConfig
from maestro_gym.core.trust import demand_trust

_PACKAGE = re.compile(r"vllm(-cpu)?==[0-9][0-9A-Za-z.+]*")
_PLAIN_WORD = re.compile(r"[A-Za-z0-9_.:,-]{0,64}")
_EXECUTORS = ("uni", "mp", "ray")

_PLAIN_FLAGS = frozenset(
    [
        "--async-scheduling",
        "--block-size",
        "--disable-log-requests",
        "--distributed-executor-backend",
        "--dtype",
        "--enable-chunked-prefill",
        "--enable-expert-parallel",
        "--enable-per-request-metrics",
        "--enable-prefix-caching",
        "--enable-prompt-tokens-details",
        "--enable-request-id-headers",
        "--enable-server-load-tracking",
        "--enable-sleep-mode",
        "--enforce-eager",
        "--gpu-memory-utilization",
        "--kv-cache-dtype",
        "--max-model-len",
        "--max-num-batched-tokens",
        "--max-num-queued-reqs",
        "--max-num-seqs",
        "--no-async-scheduling",
        "--no-enable-prefix-caching",
        "--quantization",
        "--scheduling-policy",
        "--seed",
        "--swap-space",
        "--tensor-parallel-size",
    ]
)
"""Flags of vLLM that name no file and no class."""

_PLAIN_VARIABLES = frozenset(
    [
        "CUDA_VISIBLE_DEVICES",
        "DO_NOT_TRACK",
        "HF_HUB_OFFLINE",
        "MKL_NUM_THREADS",
        "OMP_NUM_THREADS",
        "TOKENIZERS_PARALLELISM",
        "TRANSFORMERS_OFFLINE",
        "VLLM_CPU_KVCACHE_SPACE",
        "VLLM_ENABLE_V1_MULTIPROCESSING",
        "VLLM_LOGGING_LEVEL",
        "VLLM_NO_USAGE_STATS",
        "VLLM_SERVER_DEV_MODE",
    ]
)
"""Variables that say how vLLM runs, and not which code."""


def demand_launch_trust(fleet: LiveFleetConfig, place: str | Path, *, trust: bool) -> None:
    """Refuse a fleet file that would start something of its author's, unless the user trusts it.

    Args:
        fleet: The fleet whose servers shall be started.
        place: Its file, for the error.
        trust: Whether the user said so.

    Raises:
        MaestroError: The user did not.
    """
    for field, value in _unusual(fleet):
        demand_trust(f"{place}: {field}", f"what it would start or load, `{shortened(value)}`,", trust=trust)


def starts_processes(fleet: LiveFleetConfig) -> bool:
    """Whether a run on a fleet starts servers itself, because an engine is promoted by starting its process."""
    return any(engine.residency == "process" for node in fleet.nodes for engine in node.engines)


def _unusual(fleet: LiveFleetConfig) -> Iterator[tuple[str, str]]:
    launch, usual = fleet.launch, LaunchConfig()
    if launch.command != usual.command:
        yield "launch.command", " ".join(launch.command)
    if launch.venv != usual.venv:
        yield "launch.venv", launch.venv
    if not _PACKAGE.fullmatch(launch.package):
        yield "launch.package", launch.package
    for name, value in launch.env.items():
        if name not in _PLAIN_VARIABLES:
            yield "launch.env", f"{name}={value}"
    engines = [engine.args for node in fleet.nodes for engine in node.engines]
    for place, args in (("launch.args", launch.args), *(("args of an engine", args) for args in engines)):
        for flag, word in _flags(args):
            is_plain = flag in _PLAIN_FLAGS and _PLAIN_WORD.fullmatch(word)
            if not is_plain or (flag == "--distributed-executor-backend" and word not in _EXECUTORS):
                yield place, f"{flag} {word}".strip()


def _flags(args: list[str]) -> Iterator[tuple[str, str]]:
    """Flags with the words that follow them."""
    flag, words = "", []
    for arg in args:
        if arg.startswith("-"):
            if flag:
                yield flag, " ".join(words)
            flag, _, word = arg.partition("=")
            words = [word] if word else []
        elif flag:
            words.append(arg)
        else:
            yield "", arg
    if flag:
        yield flag, " ".join(words)

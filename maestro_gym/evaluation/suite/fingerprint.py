"""What a scenario consists of, as hashes: a change of any file or default that an episode depends on shows in one."""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from maestro_gym.config import ScenarioConfig, find_config, read_yaml
from maestro_gym.config.failures import FailuresConfig
from maestro_gym.core.code_cache import cache_dir
from maestro_gym.core.errors import MaestroError
from maestro_gym.core.seal import file_sha256 as bytes_sha256
from maestro_gym.performance.operators import experts_s
from maestro_gym.workloads.traces.files import find_trace

_DIGITS = 16
"""Hexadecimal digits of a part's hash: 64 bits, enough against accidents."""

_BOOKKEEPING = {"description", "contention", "seeds", "train"}
"""Parts of a scenario that no episode depends on: words, and settings that a benchmark or a training has itself."""

_SOURCES = ("episodes", "baselines")
"""Packages whose sources, and those of all that they import, make up the simulator and the named policies."""


_LATER_SWITCHES = ("schedule_ahead", "sleep_base_s", "admission", "context_hold_max_s")
"""Limits that came after the first benchmarks were frozen, and leave everything as it was while they are off."""


_LATER_EXPERT_LAWS = {
    "tuned": [],
    "tuned_flops_speedup": 1.0,
    "uneven_slowdown": 1.0,
    "spill_tokens": 4096,
    "spill_exponent": 0.0,
}
"""Constants of experts that came later, and leave everything as it was with these values."""


def digest(content: Any) -> str:  # noqa: ANN401 - any JSON document
    """Hash what JSON can hold, whatever the order of its keys.

    Args:
        content: Mappings, lists, strings and numbers.

    Returns:
        Hexadecimal digits.
    """
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:_DIGITS]


def file_sha256(path: Path) -> str:
    """SHA-256 of a file's bytes.

    Args:
        path: The file.

    Raises:
        MaestroError: It cannot be read.
    """
    try:
        return bytes_sha256(path)
    except OSError as error:
        raise MaestroError(f"{path}: cannot be read ({error.strerror}); give an existing file.") from None


def scenario_parts(config: ScenarioConfig) -> dict[str, str]:
    """Hash every part of a resolved scenario, and every file that it names.

    Where a trace lies is no part of the scenario; its bytes are. Of YAML files the content counts, not the comments.

    Args:
        config: From ``load_scenario``.

    Returns:
        Hashes by part, such as ``limits`` or ``family maestro``.
    """
    parts = config.model_dump(mode="json", exclude_none=True, exclude=_BOOKKEEPING)
    parts["workload"].pop("trace", None)
    parts["workload"].pop("knee", None)  # what labels of contention mean; the rate is frozen beside the parts
    parts["workload"]["arrivals"].pop("trace", None)
    for switch in _LATER_SWITCHES:
        if not parts["limits"].get(switch):
            parts["limits"].pop(switch, None)
    _drop_defaults(parts["limits"].get("signals"), routers=1, own_sends=False)
    _drop_defaults(parts["fleet"].get("failures"), link_mttr_s=FailuresConfig().link_mttr_s)
    _drop_unused_expert_laws(config, parts["gpus"])
    for gpu in parts["gpus"].values():
        gpu.pop("calibration", None)  # a record of how the constants were found
        gpu.pop("price", None)  # what an episode costs, and nothing that happens in it
        gpu.pop("power", None)
    for cluster in parts["fleet"]["clusters"]:
        for group in cluster["hosts"]:
            group.pop("usd_per_gpu_h", None)
    for host in parts["hosts"].values():
        host.pop("gpus", None)  # a bound that every scenario has kept before an episode begins
    hashes = {name: digest(part) for name, part in parts.items()}
    return hashes | {name: digest(read_yaml(file)) for name, file in _yaml_files(config)} | _trace_hashes(config)


def _drop_defaults(part: dict[str, Any] | None, **later: Any) -> None:  # noqa: ANN401 - any JSON value
    """Take out of a part what came after the first benchmarks were frozen, where it has the value of before."""
    for name, before in later.items():
        if part is not None and part.get(name) == before:
            del part[name]


def _drop_unused_expert_laws(config: ScenarioConfig, gpus: dict[str, Any]) -> None:
    """Take out of GPUs what came later about experts, where the experts of every model take as long without it."""
    sparse = [item for item in config.architectures.values() if item.experts]
    degrees = {layout.tp for group in config.host_groups for layout in config.layouts(group)}
    tokens = np.arange(config.limits.max_num_batched_tokens + 1.0)
    for name, part in gpus.items():
        gpu, kernel = config.gpus[name], config.limits.moe_kernel
        plain = gpu.step.experts.of(kernel).model_copy(update=_LATER_EXPERT_LAWS)
        kernels = gpu.step.experts.model_copy(update={kernel: plain})
        before = gpu.model_copy(update={"step": gpu.step.model_copy(update={"experts": kernels})})
        for item, tp in itertools.product(sparse, degrees):
            now, then = (experts_s(item, card, tp, tokens, kernel) for card in (gpu, before))
            if np.any(now != then):
                break
        else:
            for coefficients in part["step"]["experts"].values():
                for key in _LATER_EXPERT_LAWS:
                    coefficients.pop(key)


def changed_parts(frozen: dict[str, str], found: dict[str, str]) -> list[str]:
    """Names of the parts that differ, come new or are gone, sorted."""
    return sorted(name for name in frozen.keys() | found.keys() if frozen.get(name) != found.get(name))


def source_hashes() -> dict[str, str]:
    """Hash the sources of the simulator and of the named policies.

    Returns:
        Hashes by package. A changed comment changes them too, so that they explain a difference and are none.
    """
    return {name: cache_dir(name).name.rpartition("-")[2] for name in _SOURCES}


def _yaml_files(config: ScenarioConfig) -> Iterator[tuple[str, Path]]:
    workload = config.workload
    named = [("family", "workloads", workload.family), ("popularity", "popularity", workload.popularity)]
    processes = [workload.arrivals]
    for part in workload.mixture or ():
        named.append(("family", "workloads", part.family))
        processes += [part.arrivals] if part.arrivals is not None else []
    for arrivals in processes:
        if arrivals.process == "clients":
            named.append(("arrivals", "arrivals", arrivals.clients))
        if arrivals.process == "diurnal" and isinstance(arrivals.profile, str):
            named.append(("arrivals", "arrivals", arrivals.profile))
    for kind, section, name in named:
        if name is not None:
            yield f"{kind} {Path(name).stem}", find_config(section, name, f"workload: {kind}")


def _trace_hashes(config: ScenarioConfig) -> dict[str, str]:
    named = {"trace": config.workload.trace, "arrivals trace": config.workload.arrivals.trace}
    files = {kind: find_trace(name) for kind, name in named.items() if name is not None}
    return {f"{kind} {file.name}": file_sha256(file)[:_DIGITS] for kind, file in files.items()}

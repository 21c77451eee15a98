"""Whether a scenario asks a GPU's constants for more than was measured: one line where it does."""

from __future__ import annotations

from maestro_gym.config import GpuConfig, ScenarioConfig
from maestro_gym.config.hardware import BORROWED, Calibration, Validity


def beyond_measured(config: ScenarioConfig, longest_tokens: int | None = None) -> list[str]:
    """Say where a scenario leaves the ranges in which the constants of its GPUs were fitted.

    Args:
        config: The scenario.
        longest_tokens: Longest prompt and answer together, where it is known.

    Returns:
        A sentence for each kind of GPU that is asked for more; a GPU without a record of its fit is asked nothing.
    """
    found: dict[str, list[str]] = {}
    for group in config.host_groups:
        gpu = config.gpus[group.gpu]
        record = gpu.calibration
        words = _degree(gpu, group.tp)
        if record is not None and record.validity is not None:
            words = [*_own(record), *_sizes(record.validity, config, longest_tokens), *words]
        kept = found.setdefault(group.gpu, [])
        kept += [text for text in words if text not in kept]
    return [f"{name}: beyond what was measured: {'; '.join(words)}." for name, words in found.items() if words]


def _own(record: Calibration) -> list[str]:
    others = [item.source.partition(BORROWED)[2] for item in record.fits]
    if not others or not all(others):
        return []
    return [f"its constants are those of the {' and the '.join(sorted(set(others)))}"]


def _sizes(valid: Validity, config: ScenarioConfig, longest_tokens: int | None) -> list[str]:
    asked = (
        ("steps", "tokens", config.limits.max_num_batched_tokens, valid.step_tokens),
        ("batches", "sequences", config.limits.max_num_seqs, valid.sequences),
        ("contexts", "tokens", longest_tokens or 0, valid.context_tokens),
    )
    return [f"{what} of {size:,} {unit} (up to {most:,})" for what, unit, size, most in asked if size > most]


def _degree(gpu: GpuConfig, tp: int) -> list[str]:
    degrees = [table.tp for table in gpu.step.allreduce]
    if tp == 1 or tp in degrees:
        return []
    if not degrees:
        return [f"all-reduces of {tp} GPUs (none was timed)"]
    if degrees[0] < tp < degrees[-1]:
        return [f"all-reduces of {tp} GPUs (between those of {', '.join(map(str, degrees))})"]
    return [f"all-reduces of {tp} GPUs (timed: {', '.join(map(str, degrees))})"]

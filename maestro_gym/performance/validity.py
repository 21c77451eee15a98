"""Whether a scenario asks a GPU's constants for more than was measured: one line where it does."""

from __future__ import annotations

from maestro_gym.config import GpuConfig, ScenarioConfig


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
        words = [
            *_own(gpu),
            *_batches(gpu, config.limits.max_num_batched_tokens, config.limits.max_num_seqs),
            *_length(gpu, longest_tokens),
            *_degree(gpu, group.tp),
        ]
        kept = found.setdefault(group.gpu, [])
        kept += [text for text in words if text not in kept]
    return [f"{name}: beyond what was measured: {'; '.join(words)}." for name, words in found.items() if words]


def _own(gpu: GpuConfig) -> list[str]:
    record = gpu.calibration
    if record is None or not record.fits or record.validity is None:
        return []
    others = {item.source.partition(", measured on ")[2] for item in record.fits if ", measured on " in item.source}
    own = any(", measured on " not in item.source for item in record.fits)
    return [] if own or not others else [f"its constants are those of the {' and the '.join(sorted(others))}"]


def _batches(gpu: GpuConfig, step_tokens: int, sequences: int) -> list[str]:
    valid = gpu.calibration.validity if gpu.calibration is not None else None
    if valid is None:
        return []
    words = []
    if step_tokens > valid.step_tokens:
        words.append(f"steps of {step_tokens:,} tokens (up to {valid.step_tokens:,})")
    if sequences > valid.sequences:
        words.append(f"batches of {sequences:,} sequences (up to {valid.sequences:,})")
    return words


def _length(gpu: GpuConfig, tokens: int | None) -> list[str]:
    valid = gpu.calibration.validity if gpu.calibration is not None else None
    if valid is None or tokens is None or tokens <= valid.context_tokens:
        return []
    return [f"contexts of {tokens:,} tokens (up to {valid.context_tokens:,})"]


def _degree(gpu: GpuConfig, tp: int) -> list[str]:
    degrees = [table.tp for table in gpu.step.allreduce]
    if tp == 1 or tp in degrees:
        return []
    if not degrees:
        return [f"all-reduces of {tp} GPUs (none was timed)"]
    if degrees[0] < tp < degrees[-1]:
        return [f"all-reduces of {tp} GPUs (between those of {', '.join(map(str, degrees))})"]
    return [f"all-reduces of {tp} GPUs (timed: {', '.join(map(str, degrees))})"]

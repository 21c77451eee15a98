"""What a fleet costs by the hour, and of which GPUs that is not known."""

from __future__ import annotations

import math

from maestro_gym.config import ScenarioConfig


def fleet_usd_per_h(config: ScenarioConfig) -> float:
    """Add up the prices of all GPUs of a fleet, busy or idle.

    Args:
        config: The scenario.

    Returns:
        USD/h; nan where the price of any of them is not known.
    """
    total = 0.0
    for group in config.host_groups:
        usd_per_gpu_h = config.usd_per_gpu_h(group)
        total += group.count * group.nodes * group.tp * (math.nan if usd_per_gpu_h is None else usd_per_gpu_h)
    return total


def without_price(config: ScenarioConfig) -> list[str]:
    """Say of which GPUs of a fleet no price is known.

    Args:
        config: The scenario.

    Returns:
        A sentence where there are any.
    """
    unknown = dict.fromkeys(group.gpu for group in config.host_groups if config.usd_per_gpu_h(group) is None)
    if not unknown:
        return []
    return [
        f"No price is known of {' and '.join(unknown)}, so what runs on this fleet has no cost; `usd_per_gpu_h` of its "
        "hosts gives one."
    ]

"""From the configuration of arrivals to a process."""

from __future__ import annotations

from maestro_gym.config import ArrivalsConfig
from maestro_gym.workloads.arrivals import ArrivalProcess, Renewal


def build_arrivals(config: ArrivalsConfig) -> ArrivalProcess:
    return Renewal(config.cv)

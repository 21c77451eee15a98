"""From the configuration of arrivals to a process."""

from __future__ import annotations

import numpy as np

from maestro_gym.config import ArrivalsConfig
from maestro_gym.core.errors import MaestroError
from maestro_gym.workloads.arrivals.client_files import load_arrivals
from maestro_gym.workloads.arrivals.processes import (
    ArrivalProcess,
    Client,
    Clients,
    Diurnal,
    MarkovModulated,
    Renewal,
    Replay,
)
from maestro_gym.workloads.traces.files import read_trace

_PLACE = "workload.arrivals"


def build_arrivals(config: ArrivalsConfig) -> ArrivalProcess:
    """Build the process that a configuration asks for.

    Args:
        config: The section ``arrivals``.

    Returns:
        The process.

    Raises:
        MaestroError: A file it names cannot be read, or a trace has no times to replay.
    """
    if config.process == "mmpp":
        return MarkovModulated(config.burst_rate, config.burst_share, config.burst_s)
    if config.process == "diurnal":
        profile = config.profile
        if isinstance(profile, str):
            profile = load_arrivals(profile, f"{_PLACE}.profile").profile
        return Diurnal(tuple(profile), config.period_s, config.phase_s, config.cv)
    if config.process == "clients":
        spec = load_arrivals(config.clients, f"{_PLACE}.clients")
        return Clients(tuple(Client(client.share, client.cv, client.gaps) for client in spec.clients))
    if config.process == "replay":
        times_s = np.asarray(read_trace(str(config.trace)).workflows["arrival_s"], np.float64)
        if len(times_s) < 2 or times_s[-1] <= times_s[0]:
            raise MaestroError(
                f"{_PLACE}.trace: {config.trace} has no two workflows that arrive at different times; replay another."
            )
        return Replay(times_s)
    return Renewal(config.cv)

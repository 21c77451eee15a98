"""Arrival processes: times at which workflows arrive, as a function of the episode's key.

Renewal processes are drawn gap by gap; a rate that changes with time is a renewal process on a clock that
runs faster where the rate is higher (time change), so every process keeps the mean rate asked for.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, NamedTuple, Protocol

import numpy as np

from maestro_gym.core import hashing
from maestro_gym.core.compile import njit

_CLIENT_ENTITIES = 1 << 32
"""Gaps that a client may draw."""
_WARM_UP_GAPS = 20
"""A client's process begins so many mean gaps, times 1 + CV^2, before the episode, so that it starts anywhere in
a gap and not with an arrival: a bursty client would otherwise arrive too often in a short episode."""


class ArrivalProcess(Protocol):
    """When workflows arrive."""

    def times_s(self, key: int, rate_rps: float, horizon_s: float) -> np.ndarray:
        """Draw arrival times.

        Args:
            key: The episode's key.
            rate_rps: Mean arrivals a second over a long time, above 0.
            horizon_s: Arrivals come before this time [s].

        Returns:
            float64, shape (arrivals,), ascending, from 0.
        """
        ...


@njit
def _fill(
    key: int,
    first: int,
    rate_rps: float,
    shape: float,
    weibull: bool,
    from_s: float,
    horizon_s: float,
    times_s: np.ndarray,
) -> int:
    """Write arrival times in [0, horizon) of a process begun at from_s; return their number, -1 if there is no room."""
    now_s = from_s
    index = 0
    count = 0
    scale = math.gamma(1.0 + 1.0 / shape) if weibull else shape
    while True:
        if shape == 1.0:
            gap = hashing.exponential(key, hashing.ARRIVAL, first + index)
        elif weibull:
            gap = hashing.exponential(key, hashing.ARRIVAL, first + index) ** (1.0 / shape) / scale
        else:
            gap = hashing.gamma(key, hashing.ARRIVAL, first + index, shape) / scale
        now_s += gap / rate_rps
        if now_s >= horizon_s:
            return count
        index += 1
        if now_s < 0.0:
            continue
        if count >= len(times_s):
            return -1
        times_s[count] = now_s
        count += 1


def _renewal(
    key: int,
    rate_rps: float,
    horizon_s: float,
    shape: float,
    cv: float,
    first: int = 0,
    weibull: bool = False,
    from_s: float = 0.0,
) -> np.ndarray:
    expected = rate_rps * horizon_s
    capacity = int(expected + 8.0 * (1.0 + cv) * expected**0.5) + 64
    while True:
        times_s = np.empty(capacity)
        count = _fill(key, first, rate_rps, shape, weibull, from_s, horizon_s, times_s)
        if count >= 0:
            return times_s[:count].copy()
        capacity *= 2


def renewal_times_s(key: int, rate_rps: float, horizon_s: float, cv: float = 1.0) -> np.ndarray:
    """Draw the arrival times of a renewal process with gamma gaps; ``cv`` 1 is Poisson.

    Gap i depends on (key, i) alone, so a longer horizon only adds arrivals.

    Args:
        key: The episode's key.
        rate_rps: Mean arrivals a second, above 0.
        horizon_s: Arrivals come before this time [s].
        cv: Coefficient of variation of the gaps; the gamma shape is 1 / cv^2.

    Returns:
        float64, shape (arrivals,), ascending.
    """
    return _renewal(key, rate_rps, horizon_s, 1.0 if cv == 1.0 else 1.0 / (cv * cv), cv)


@dataclass(frozen=True)
class Renewal:
    """A renewal process with gamma gaps.

    Attributes:
        cv: Coefficient of variation of the gaps; 1 is Poisson.
    """

    cv: float = 1.0

    def times_s(self, key: int, rate_rps: float, horizon_s: float) -> np.ndarray:
        """Draw arrival times; see ``ArrivalProcess.times_s``."""
        return renewal_times_s(key, rate_rps, horizon_s, self.cv)


POISSON = Renewal()
"""What arrives unless a process is named."""


def _on_changing_clock(
    key: int, edges_s: np.ndarray, pace: np.ndarray, rate_rps: float, horizon_s: float, cv: float
) -> np.ndarray:
    """Draw a renewal process on a clock that runs ``pace[i]`` times as fast between edges i and i + 1."""
    clock_s = np.concatenate([[0.0], np.cumsum(np.diff(edges_s) * pace)])
    ticks_s = renewal_times_s(key, rate_rps, float(np.interp(horizon_s, edges_s, clock_s)), cv)
    # Where the clock stands still nothing arrives.
    moving = np.flatnonzero(np.diff(clock_s) > 0)
    segment = moving[np.searchsorted(clock_s[moving], ticks_s, side="right") - 1]
    return edges_s[segment] + (ticks_s - clock_s[segment]) / pace[segment]


@dataclass(frozen=True)
class MarkovModulated:
    """A Poisson process whose rate jumps between quiet and burst (MMPP with two states).

    Attributes:
        burst_rate: Rate in a burst, relative to the mean.
        burst_share: Share of the time in bursts; burst_rate * burst_share is at most 1.
        burst_s: Mean length of a burst [s], exponentially distributed, as are quiet times.
    """

    burst_rate: float
    burst_share: float
    burst_s: float

    def times_s(self, key: int, rate_rps: float, horizon_s: float) -> np.ndarray:
        """Draw arrival times; see ``ArrivalProcess.times_s``."""
        quiet_rate = max(1.0 - self.burst_rate * self.burst_share, 0.0) / (1.0 - self.burst_share)
        quiet_s = self.burst_s * (1.0 - self.burst_share) / self.burst_share
        burst = hashing.uniform(key, hashing.ARRIVAL_PHASE, 0) < self.burst_share
        edges_s, pace = [0.0], []
        while edges_s[-1] <= horizon_s:
            stay_s = hashing.exponential(key, hashing.ARRIVAL_STATE, len(pace)) * (self.burst_s if burst else quiet_s)
            pace.append(self.burst_rate if burst else quiet_rate)
            edges_s.append(edges_s[-1] + stay_s)
            burst = not burst
        return _on_changing_clock(key, np.array(edges_s), np.array(pace), rate_rps, horizon_s, 1.0)


@dataclass(frozen=True)
class Diurnal:
    """A renewal process whose rate follows a profile of the day.

    Attributes:
        profile: Relative rates of equal parts of the period, not all 0.
        period_s: Length of the day [s].
        phase_s: Time of the day at which an episode begins [s]; None: drawn by the episode's key.
        cv: Coefficient of variation of the gaps on the clock of the profile.
    """

    profile: tuple[float, ...]
    period_s: float
    phase_s: float | None = None
    cv: float = 1.0

    def times_s(self, key: int, rate_rps: float, horizon_s: float) -> np.ndarray:
        """Draw arrival times; see ``ArrivalProcess.times_s``."""
        pace = np.asarray(self.profile, np.float64)
        pace = pace / pace.mean()
        part_s = self.period_s / len(pace)
        phase_s = self.phase_s
        if phase_s is None:
            phase_s = hashing.uniform(key, hashing.ARRIVAL_PHASE, 0) * self.period_s
        first = int(phase_s // part_s)
        parts = np.arange(first, first + int(horizon_s // part_s) + 3)
        edges_s = np.maximum(parts * part_s - phase_s, 0.0)
        return _on_changing_clock(key, edges_s, pace[parts[:-1] % len(pace)], rate_rps, horizon_s, self.cv)


class Client(NamedTuple):
    """One client of a mixture."""

    share: float  # of the arrivals
    cv: float  # of its gaps
    gaps: Literal["gamma", "weibull"]


@dataclass(frozen=True)
class Clients:
    """Clients side by side, each a renewal process with a rate and a burstiness of its own (ServeGen).

    Attributes:
        clients: The clients.
    """

    clients: tuple[Client, ...]

    def times_s(self, key: int, rate_rps: float, horizon_s: float) -> np.ndarray:
        """Draw arrival times; see ``ArrivalProcess.times_s``."""
        total = sum(client.share for client in self.clients)
        times = []
        for index, client in enumerate(self.clients):
            own_rps = rate_rps * client.share / total
            weibull = client.gaps == "weibull" and client.cv != 1.0
            shape = weibull_shape(client.cv) if weibull else 1.0 if client.cv == 1.0 else client.cv**-2
            # A uniform start of the warm-up keeps processes of regular gaps from running in step.
            wait = _WARM_UP_GAPS * (1.0 + client.cv**2) + hashing.uniform(key, hashing.ARRIVAL_CLIENT, index)
            start_s = -wait / own_rps
            first = (index + 1) * _CLIENT_ENTITIES
            times.append(_renewal(key, own_rps, horizon_s, shape, client.cv, first, weibull, start_s))
        return np.sort(np.concatenate(times), kind="stable")


@dataclass(frozen=True, eq=False)
class Replay:
    """The arrival times of a trace, stretched to the rate and gone round from a place that the key draws.

    Attributes:
        recorded_s: float64, shape (n,), n at least 2, ascending, not all equal.
    """

    recorded_s: np.ndarray

    def times_s(self, key: int, rate_rps: float, horizon_s: float) -> np.ndarray:
        """Draw arrival times; see ``ArrivalProcess.times_s``."""
        draw = hashing.uniform(key, hashing.TRACE_WINDOW, 0)
        return stretched(self.recorded_s, draw, rate_rps, horizon_s)[1]


def stretched(recorded_s: np.ndarray, draw: float, rate_rps: float, horizon_s: float) -> tuple[np.ndarray, np.ndarray]:
    """Stretch recorded times to a rate and go round them.

    Args:
        recorded_s: float64, shape (n,), n at least 2, ascending, not all equal.
        draw: In [0, 1): where to begin.
        rate_rps: Mean arrivals a second.
        horizon_s: Arrivals come before this time [s].

    Returns:
        Places, int64 (arrivals,), n more with every round, and times, float64 (arrivals,).
    """
    count = len(recorded_s)
    # One mean gap separates the last arrival from the first of the next round.
    period_s = count / rate_rps
    recorded_s = recorded_s - recorded_s[0]
    scaled_s = recorded_s * (period_s * (count - 1) / count / recorded_s[-1])
    first = int(draw * count)
    places = first + np.arange(int(np.ceil(horizon_s / period_s) + 1) * count)
    when_s = scaled_s[places % count] + (places // count) * period_s - scaled_s[first]
    kept = when_s < horizon_s
    return places[kept], when_s[kept]


def weibull_shape(cv: float) -> float:
    """Find the shape k of the Weibull law with a coefficient of variation, by bisection on ln k.

    CV^2 = Gamma(1 + 2/k) / Gamma(1 + 1/k)^2 - 1, which falls with k.

    Args:
        cv: Above 0.

    Returns:
        The shape, in [0.05, 50].
    """
    low, high = math.log(0.05), math.log(50.0)
    wanted = math.log1p(cv * cv)
    for _ in range(60):
        middle = 0.5 * (low + high)
        k = math.exp(middle)
        if math.lgamma(1 + 2 / k) - 2 * math.lgamma(1 + 1 / k) > wanted:
            low = middle
        else:
            high = middle
    return math.exp(0.5 * (low + high))

"""What comes first: comparison of stages, or of candidates, by band and key."""

from __future__ import annotations

from maestro_gym.core.compile import njit


@njit
def is_sooner(band: int, key: float, best_band: int, best_key: float) -> bool:
    """Whether something goes before the best so far; the earlier in the queue wins a tie."""
    return band < best_band or (band == best_band and key < best_key)

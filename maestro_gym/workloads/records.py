"""Record arrays for compiled code, which also run interpreted."""

from __future__ import annotations

import numpy as np

from maestro_gym.state import SERVICE


def unit_service(num_models: int, max_model_len: int = 1 << 20) -> np.ndarray:
    """Return a SERVICE table for statistics that need no times: every coefficient zero.

    Args:
        num_models: Deployments.
        max_model_len: Their longest context [tokens].

    Returns:
        SERVICE, shape (num_models,).
    """
    service = np.zeros(num_models, SERVICE)
    service["max_model_len"] = max_model_len
    return service

"""Static reservation: as vllm, but the prompt and the whole output limit are reserved."""

from __future__ import annotations

from maestro_gym.baselines.orders import fcfs
from maestro_gym.scheduling.rules import serve_by
from maestro_gym.state import RESERVE_MAX

RULE = serve_by(
    fcfs.RULE,
    RESERVE_MAX,
    head_of_line=True,
    name="static-max",
    information="N",
    description="as vllm, but prompt + max_output_tokens are reserved",
    source="static max-token reservation",
    reclaim="vllm",
)

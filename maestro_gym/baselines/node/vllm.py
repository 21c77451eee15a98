"""vLLM V1: FCFS in every engine, head of line; the prompt and one token are reserved, the rest grows."""

from __future__ import annotations

from maestro_gym.baselines.orders import fcfs
from maestro_gym.scheduling.rules import serve_by
from maestro_gym.state import RESERVE_PROMPT

RULE = serve_by(
    fcfs.RULE,
    RESERVE_PROMPT,
    head_of_line=True,
    name="vllm",
    information="N",
    description="FCFS in every engine, head of line; reserves the prompt and one token, the rest grows page by page",
    source="vLLM V1 scheduler",
    choice="a page is limits.growth_bytes, where vLLM takes one block",
    rival=False,
)

"""Results of vLLM's serving benchmark with details: lists of the requests' lengths, starts and errors in one document.

Source: vllm-project/vllm, vllm/benchmarks/serve.py (``vllm bench serve --save-result --save-detailed``) and the older
benchmarks/benchmark_serving.py, whose form SGLang's bench_serving shares: input_lens, output_lens, ttfts, itls, errors;
start_times [s] in newer ones; model_id, request_rate, duration.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from maestro_gym.core.errors import MaestroError
from maestro_gym.workloads.importers.azure import DEADLINE_S, TTFT_LIMIT_S
from maestro_gym.workloads.importers.constants import client_limit
from maestro_gym.workloads.importers.counts import at_least_one
from maestro_gym.workloads.importers.records import whole, words
from maestro_gym.workloads.traces.checks import MOST, place, shown
from maestro_gym.workloads.traces.format import ROW, SEEN, Converted, Fields

COLUMNS = ("input_lens", "output_lens", "ttfts", "itls")
FIELDS: Fields = {
    "call_id": ("request",),
    "arrival_s": ("start_times", "request_rate"),
    "model": ("model_id",),
    "prompt_tokens": ("input_lens",),
    "output_tokens": ("output_lens",),
}


def convert(frame: pd.DataFrame, source: str) -> Converted:
    """Turn every request of a run into a workflow of one call; failed requests are left out.

    A file without start times says how many requests a second were sent, not when: they are spaced evenly at that rate,
    or all arrive at 0 if it is infinite.

    Args:
        frame: The table, with ``ROW``; one run.
        source: The file.

    Returns:
        Calls in the workflow-trace format.

    Raises:
        MaestroError: There are several runs, lists of different lengths, or no request that was answered.
    """
    if len(frame) != 1:
        raise MaestroError(
            f"{source}: holds {len(frame)} runs, each with a clock of its own; give a file with one of them."
        )
    run: dict[str, Any] = frame.iloc[0].to_dict()
    lists = {name: _listed(run, name, source) for name in ("input_lens", "output_lens", "errors", "start_times")}
    for name in COLUMNS[:2]:
        if lists[name] is None:
            raise MaestroError(f"{place(source, 1, name)}: is empty; export the run again with its details.")
    count = len(lists["input_lens"] or ())
    for name, values in lists.items():
        if values is not None and len(values) != count:
            raise MaestroError(
                f"{place(source, 1, name)}: has {len(values)} entries, input_lens has {count}; the lists belong to the "
                "same requests, so export the run again."
            )
    errors = lists["errors"] or [""] * count
    outputs = [whole(value, f"{source}: output_lens[{i}]") for i, value in enumerate(lists["output_lens"] or ())]
    inputs = [whole(value, f"{source}: input_lens[{i}]") for i, value in enumerate(lists["input_lens"] or ())]
    answered = [i for i in range(count) if not errors[i] and outputs[i] > 0]
    if not answered:
        raise MaestroError(f"{source}: no request was answered; there is nothing to replay.")
    starts_s, told = _starts(run, lists["start_times"], count, source)
    if len(answered) < count:
        told = (*told, f"{count - len(answered)} of {count} requests failed; they are left out")
    prompt, empty_prompts = at_least_one(np.array([inputs[i] for i in answered], np.float64), "prompt")
    output = np.array([outputs[i] for i in answered], np.float64)
    order = np.argsort(starts_s[answered], kind="stable")
    chosen = np.array(answered)[order]
    seen = [
        {"request": int(i), **{name: values[i] for name, values in lists.items() if values is not None}} for i in chosen
    ]
    table = pd.DataFrame(
        {
            ROW: 1,
            SEEN: [
                {**cells, "model_id": run.get("model_id"), "request_rate": run.get("request_rate")} for cells in seen
            ],
            "workflow_id": [str(i) for i in chosen],
            "call_id": "0",
            "parent_ids": "",
            "arrival_s": starts_s[chosen],
            "application": "vllm_bench",
            "role": "request",
            "model": words(run.get("model_id")),
            "prompt_tokens": prompt[order],
            "output_tokens": output[order],
            "max_output_tokens": client_limit(output),
            "tool_gap_s": 0.0,
            "class": "interactive",
            "deadline_s": DEADLINE_S,
            "ttft_limit_s": TTFT_LIMIT_S,
        }
    )
    return Converted(table, (*told, *empty_prompts))


def _listed(run: dict[str, Any], name: str, source: str) -> list[Any] | None:
    values = run.get(name)
    if values is None or (isinstance(values, float) and values != values):
        return None
    if not isinstance(values, list):
        raise MaestroError(
            f"{place(source, 1, name)}: is no list with an entry for every request; export the run again."
        )
    return values


def _starts(
    run: dict[str, Any], given: list[Any] | None, count: int, source: str
) -> tuple[np.ndarray, tuple[str, ...]]:
    """When every request was sent [s], and what was assumed."""
    if given is not None:
        for i, value in enumerate(given):
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= MOST:
                raise MaestroError(f"{source}: start_times[{i}]: the value {shown(value)} is no time [s]; mend it.")
        starts_s = np.array(given, np.float64)
        return starts_s - starts_s.min(), ("start_times are in seconds",)
    try:
        rate_rps = float(run.get("request_rate", "nan"))
    except (TypeError, ValueError):
        rate_rps = float("nan")
    if rate_rps == float("inf"):
        return np.zeros(count), ("the file has no start times and request_rate is inf: all requests arrive at 0",)
    if not 1 / MOST < rate_rps <= MOST:
        raise MaestroError(
            f"{source}: has neither start_times nor a request_rate ({shown(run.get('request_rate'))}), so that nothing "
            "says when requests came; run a newer `vllm bench serve --save-detailed`, or add request_rate."
        )
    told = f"the file has no start times: requests are spaced evenly at its request_rate of {rate_rps:g} a second"
    return np.arange(count) / rate_rps, (told,)

"""Requests a second a core, here and in Vidur, side by side: one node, Llama 3 8B, the same requests.

    python3 -m venv vidur-env && vidur-env/bin/pip install vidur==0.0.26
    python benchmarks/beside_vidur.py --vidur-python vidur-env/bin/python

Vidur's own time predictor is trained on tables that it downloads. Here a formula stands in its place, which costs less
than its forests: what is compared are the event loops and schedulers, each with metrics as it keeps them and without
plots. Both serve in chunks of at most 2,048 tokens with at most 128 sequences, and take turns.
"""

# pyright: reportMissingImports=false, reportAttributeAccessIssue=false

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

RATE_RPS, PROMPT_TOKENS, OUTPUT_TOKENS, CHUNK_TOKENS, BATCH = 6.0, 1000, 200, 2048, 128
STEP_S, TOKEN_S = 0.009, 60e-6
"""Of a step, and of every token in it: an 8B on an A100-80GB (docs/fidelity.md)."""


def in_vidur(count: int, seed: int) -> dict[str, float]:
    """Serve the requests with Vidur, in this process."""
    from vidur.config import config as of
    from vidur.execution_time_predictor.base_execution_time_predictor import BaseExecutionTimePredictor
    from vidur.execution_time_predictor.execution_time_predictor_registry import ExecutionTimePredictorRegistry
    from vidur.simulator import Simulator
    from vidur.types import ExecutionTimePredictorType
    from vidur.utils.random import set_seeds

    def projection(self: object, batch: object) -> float:
        return 1e3 * (STEP_S + TOKEN_S * sum(batch.num_q_tokens)) / self._num_layers_per_pipeline_stage

    def nothing(self: object, batch: object) -> float:
        return 0.0

    names = BaseExecutionTimePredictor.__abstractmethods__
    formulas = {name: projection if "pre_proj" in name else nothing for name in names}
    formula = type("Formula", (BaseExecutionTimePredictor,), formulas)
    registry = ExecutionTimePredictorRegistry
    registry.unregister(ExecutionTimePredictorType.LINEAR_REGRESSION)
    registry.register(ExecutionTimePredictorType.LINEAR_REGRESSION, formula)
    config = of.SimulationConfig(
        seed=seed,
        log_level="error",
        cluster_config=of.ClusterConfig(
            replica_config=of.ReplicaConfig(
                model_name="meta-llama/Llama-3-8B",
                num_pipeline_stages=1,
                tensor_parallel_size=1,
                device="a100",
                network_device="a100_dgx",
            ),
            replica_scheduler_config=of.SarathiSchedulerConfig(chunk_size=CHUNK_TOKENS, batch_size_cap=BATCH),
        ),
        request_generator_config=of.SyntheticRequestGeneratorConfig(
            seed=seed,
            num_requests=count,
            length_generator_config=of.FixedRequestLengthGeneratorConfig(
                prefill_tokens=PROMPT_TOKENS, decode_tokens=OUTPUT_TOKENS
            ),
            interval_generator_config=of.PoissonRequestIntervalGeneratorConfig(seed=seed, qps=RATE_RPS),
        ),
        execution_time_predictor_config=of.LinearRegressionExecutionTimePredictorConfig(
            use_native_execution_time_predictor=False
        ),
        metrics_config=of.MetricsConfig(enable_chrome_trace=False, store_plots=False, output_dir=tempfile.mkdtemp()),
    )
    set_seeds(seed)
    simulator = Simulator(config)
    simulator._write_output = lambda: None  # no plots
    began = time.process_time()
    simulator.run()
    return {"seconds": time.process_time() - began, "requests": float(count)}


def here(count: int, seed: int) -> dict[str, float]:
    """Serve requests of the same laws with this simulator, in this process; its metrics are kept too."""
    from maestro_gym.serving.node_of_words import node_of_words
    from maestro_gym.serving.serve import serve

    config = node_of_words(
        ["Llama-3.1-8B"],
        gpu="A100-80GB",
        host="gpu8-1152",
        tp=1,
        model_files=(),
        limits={"max_num_seqs": BATCH, "max_num_batched_tokens": CHUNK_TOKENS, "memory_mode": "partitioned"},
        rate_rps=RATE_RPS,
        load=None,
        trace=None,
        duration_s=count / RATE_RPS,
        lengths={"prompt_tokens": str(PROMPT_TOKENS), "output_tokens": str(OUTPUT_TOKENS), "prefix_tokens": "0"},
        prefix_groups=1,
        cv=1.0,
        overrides=(),
    )
    began = time.process_time()
    served = serve(config, seed=seed)
    return {"seconds": time.process_time() - began, "requests": float(len(served.result.stages))}


def main() -> None:
    """Print a row for each, and the ratio."""
    parser = argparse.ArgumentParser(description="Requests a second a core, here and in Vidur.")
    parser.add_argument("--vidur-python", type=Path, help="interpreter of an environment with vidur 0.0.26")
    parser.add_argument("--requests", type=int, default=2000, help="requests a round (default 2000)")
    parser.add_argument("--rounds", type=int, default=5, help="rounds in turns (default 5)")
    parser.add_argument("--inside", choices=["vidur", "here"], help=argparse.SUPPRESS)
    parser.add_argument("--seed", type=int, default=0, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.inside:
        if arguments.inside == "here":
            here(200, arguments.seed)  # loads compiled code; Vidur has none, and can run once in a process
        print(json.dumps((in_vidur if arguments.inside == "vidur" else here)(arguments.requests, arguments.seed)))
        return
    if arguments.vidur_python is None:
        sys.exit("give --vidur-python, the interpreter of an environment with vidur 0.0.26; see the head of this file")
    rates: dict[str, list[float]] = {"vidur": [], "here": []}
    for seed in range(arguments.rounds):
        for side, interpreter in (("vidur", str(arguments.vidur_python)), ("here", sys.executable)):
            words = [
                interpreter,
                __file__,
                "--requests",
                str(arguments.requests),
                "--inside",
                side,
                "--seed",
                str(seed),
            ]
            done = subprocess.run(words, stdout=subprocess.PIPE, text=True, check=True)
            answer = json.loads(done.stdout.splitlines()[-1])
            rates[side].append(answer["requests"] / answer["seconds"])
    print("| simulator | requests a second a core, median | least | most |")
    print("| --- | ---: | ---: | ---: |")
    for side, name in (("vidur", "Vidur 0.0.26, its times by a formula"), ("here", "maestro-gym")):
        print(f"| {name} | {median(rates[side]):,.0f} | {min(rates[side]):,.0f} | {max(rates[side]):,.0f} |")
    ratios = [ours / theirs for ours, theirs in zip(rates["here"], rates["vidur"], strict=True)]
    print(f"\nratio {median(ratios):.0f} ({min(ratios):.0f} to {max(ratios):.0f}), {arguments.rounds} rounds in turns")


if __name__ == "__main__":
    main()

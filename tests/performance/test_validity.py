"""One line where a scenario leaves the ranges in which the constants of its GPUs were measured."""

from __future__ import annotations

from maestro_gym.config import load_scenario
from maestro_gym.performance.validity import beyond_measured


def test_the_default_scenario_stays_within_what_was_measured() -> None:
    assert beyond_measured(load_scenario("quick")) == []


def test_a_gpu_with_the_constants_of_another_says_so() -> None:
    (told,) = beyond_measured(load_scenario("paper"))
    assert told.startswith("A100-40GB: beyond what was measured: its constants are those of the A100-80GB")


def test_large_steps_batches_and_contexts_are_named_in_one_line() -> None:
    limits = ["limits.max_num_batched_tokens=32768", "limits.max_num_seqs=512"]
    (told,) = beyond_measured(load_scenario("quick", limits), longest_tokens=100_000)
    assert "steps of 32,768 tokens (up to 16,384)" in told
    assert "batches of 512 sequences (up to 256)" in told
    assert "contexts of 100,000 tokens (up to 32,768)" in told
    assert told.count("beyond what was measured") == 1


def test_a_degree_between_the_timed_ones_is_named() -> None:
    config = load_scenario("quick")
    clusters = [
        cluster.model_copy(update={"hosts": [host.model_copy(update={"tp": 4, "nodes": 1}) for host in cluster.hosts]})
        for cluster in config.fleet.clusters
    ]
    sharded = config.model_copy(update={"fleet": config.fleet.model_copy(update={"clusters": clusters})})
    (told,) = beyond_measured(sharded)
    assert "all-reduces of 4 GPUs (between those of 2, 8)" in told

"""How an episode went: its metrics under the names of ``compare``, beside those of another policy on the same one.

An evaluation episode is measured as a comparison measures it. A training episode stops at its horizon, where the fate
of the last workflows is open; it is measured at the horizon, on the workflows whose deadline had passed by then. The
other policy is measured in the same way.
"""

from __future__ import annotations

from typing import Any

from maestro_gym.envs.batch.agent_batch import AgentBatch
from maestro_gym.envs.scenario_source import companions_of
from maestro_gym.episodes.metrics.outcome import outcome_of
from maestro_gym.episodes.metrics.row import metrics_of
from maestro_gym.episodes.result import EpisodeResult
from maestro_gym.episodes.run import result_of, run_episode


def end_info(batch: AgentBatch, e: int) -> dict[str, Any]:
    """What the info of an episode's last step holds besides the usual.

    Args:
        batch: The batch.
        e: An environment whose episode is over.

    Returns:
        ``episode_metrics``, a float by metric, nan where there is nothing to measure; with `compare_with` also
        ``reference_metrics``, those of that policy on the same episode.
    """
    info: dict[str, Any] = {"episode_metrics": _metrics(batch, _result(batch, e))}
    if batch.options.compare_with is not None:
        info["reference_metrics"] = _metrics(batch, _reference_result(batch, e, batch.options.compare_with))
    return info


def _metrics(batch: AgentBatch, result: EpisodeResult) -> dict[str, float]:
    outcome = outcome_of(result)
    if not batch.options.evaluation:
        outcome = outcome.until(min(outcome.end_s, outcome.horizon_s))
    return metrics_of(outcome)


def _result(batch: AgentBatch, e: int) -> EpisodeResult:
    seed, index = int(batch.seeds[e]), int(batch.episodes[e])
    return result_of(
        batch.state, batch.scenario, batch.policy, batch.episode(e), batch.options.split, seed, index, 0.0, e
    )


def _reference_result(batch: AgentBatch, e: int, spec: str) -> EpisodeResult:
    """The same episode under a policy, from the same draws to the same end."""
    return run_episode(
        batch.scenario,
        companions_of(spec, batch.scenario),
        batch.options.split,
        int(batch.seeds[e]),
        int(batch.episodes[e]),
        samples=0,
        episode=batch.episode(e),
        key=batch.policy_key(e),
        drain=batch.options.evaluation,
    )

"""What there is to choose from, as rows of tables: the scenarios and what one of them holds, policies, and metrics."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from maestro_gym.config import load_scenario, scenario_names

if TYPE_CHECKING:
    from maestro_gym.episodes.scenario import Scenario

Row = dict[str, Any]


def scenario_rows() -> list[Row]:
    """List the scenarios that come with the package.

    Returns:
        One row per scenario: name, description, clusters, nodes, models, horizon_s, seeds.
    """
    rows = []
    for name in scenario_names():
        config = load_scenario(name)
        rows.append(
            {
                "scenario": name,
                "description": config.description,
                "clusters": len(config.fleet.clusters),
                "nodes": config.fleet.num_nodes,
                "models": len(config.models),
                "horizon_s": config.horizon_s,
                "seeds": len(config.seeds),
            }
        )
    return rows


def scenario_tables(name: str, overrides: Sequence[str]) -> dict[str, list[Row]]:
    """Say what a scenario holds.

    Args:
        name: The name or the file of a scenario.
        overrides: The words ``dotted.place=value``.

    Returns:
        The tables by title: ``scenario`` (facts of the whole), ``fleet`` (one row per host group) and ``models``.

    Raises:
        MaestroError: The scenario or an override is wrong.
    """
    from maestro_gym.episodes.prices import fleet_usd_per_h, without_price
    from maestro_gym.episodes.scenario import Scenario
    from maestro_gym.performance.validity import beyond_measured

    scenario = Scenario.load(name, overrides)
    config = scenario.config
    weight_bytes = [config.architectures[model.architecture].weight_bytes_per_gpu(1) for model in config.models]
    pool_bytes = sum(
        group.count * group.nodes * group.tp * config.node_pool_bytes(group) for group in config.host_groups
    )
    facts: Row = {
        "name": config.name,
        "description": config.description,
        "workload": scenario.workload.name,
        "contention": config.contention,
        "offered_load": config.workload.load,
        "capacity_rps": scenario.capacity_rps,
        **_knee_facts(scenario),
        "rate_rps": scenario.rate_rps,
        "predictor": config.predictor.kind,
        "beyond_measured": " ".join(beyond_measured(config)) or "nothing",
        "horizon_s": config.horizon_s,
        "drain_s": config.drain_s,
        "seeds": " ".join(map(str, config.seeds)),
        "usd_per_h": " ".join(without_price(config)) or fleet_usd_per_h(config),
        "hbm_pool_gb": pool_bytes / 1e9,
        "weights_gb": sum(weight_bytes) / 1e9,
    }
    fleet = [
        {
            "cluster": cluster.name,
            "hosts": group.count,
            "nodes_per_host": group.nodes,
            "gpu": group.gpu,
            "tp": group.tp,
            "host": group.host,
            "usd_per_gpu_h": config.usd_per_gpu_h(group),
        }
        for cluster in config.fleet.clusters
        for group in cluster.hosts
    ]
    models = [
        {
            "model": model.name,
            "architecture": model.architecture,
            "size_class": model.size_class,
            "stage_share": float(stage_share),
            "weights_gb": bytes_ / 1e9,
            "max_model_len": config.max_model_len(model),
        }
        for model, bytes_, stage_share in zip(
            config.models, weight_bytes, scenario.world.models["popularity"], strict=True
        )
    ]
    return {
        "scenario": [{"field": field, "value": value} for field, value in facts.items()],
        "fleet": fleet,
        "models": models,
    }


def _knee_facts(scenario: Scenario) -> Row:
    """Say where the knee is, and what the labels of contention are parts of."""
    knee = scenario.config.workload.knee
    if knee is None or scenario.knee_rps is None:
        return {"knee_load": None, "labels_are_parts_of": "capacity: no knee is measured, see `maestro-gym knee`"}
    return {
        "knee_load": knee.load,
        "knee_rps": scenario.knee_rps,
        "offered_share_of_knee": scenario.rate_rps / scenario.knee_rps,
        "labels_are_parts_of": knee.labels,
        "knee_measured_by": knee.measured_by,
        "knee_measured_on": knee.measured_on,
    }


def policy_rows() -> list[Row]:
    """List the policies that can be named.

    Returns:
        One row per policy: its name, its information class, its four rules and what it is compared for.
    """
    from maestro_gym.baselines.registry import load_policy, policy_names

    policies = [load_policy(name) for name in policy_names()]
    return [
        {
            "policy": policy.name,
            "information": policy.information,
            "global_rule": policy.global_rule.name,
            "cluster_rule": policy.cluster_rule.name,
            "node_rule": policy.node_rule.name,
            "reclaim_rule": policy.reclaim_rule.name,
            "description": policy.description,
        }
        for policy in policies
    ]


def check_rows(spec: str, *, trust: bool = False) -> list[Row]:
    """Say whether the rules of a policy keep to their information classes.

    Args:
        spec: The name of a policy, or whatever else names one; see `agents.load.load_any_policy`.
        trust: Whether model files that could run code are loaded.

    Returns:
        One row for each rule that the spec brings: a user's rule or agent alone, all four of a named policy.

    Raises:
        MaestroError: There is no such policy, or an agent fails when it is asked.
    """
    from maestro_gym.agents.load import load_any_policy
    from maestro_gym.baselines.parts import split_binding
    from maestro_gym.baselines.registry import TABLE, load_policy
    from maestro_gym.baselines.sentinel import SCENARIO, examine_rules
    from maestro_gym.episodes.scenario import Scenario
    from maestro_gym.scheduling.outside import end_episode

    scenario = Scenario.load(*SCENARIO)
    policy = load_any_policy(spec, scenario, trust=trust)
    known = (
        set()
        if split_binding(spec)[0] in TABLE
        else {rule.name for name in ("fcfs", "maestro") for rule in load_policy(name).rules}
    )
    findings = examine_rules(policy, [rule for rule in policy.rules if rule.name not in known], scenario)
    end_episode(policy)
    return [
        {
            "rule": finding.rule,
            "tier": finding.tier,
            "information": finding.information,
            "decisions": finding.decisions,
            "heeds": ", ".join(finding.heeds),
        }
        for finding in findings
    ]


def metric_rows() -> list[Row]:
    """List the metrics of the comparison.

    Returns:
        One row per metric: its name, its unit, which way is better, whether it is also given per class, its formula.
    """
    from maestro_gym.episodes.metrics.row import METRICS

    return [
        {
            "metric": metric.name,
            "unit": metric.unit,
            "better": metric.better,
            "per_class": metric.per_class,
            "formula": metric.formula,
        }
        for metric in METRICS.values()
    ]

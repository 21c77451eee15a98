"""Where a live controller gets every field of the view from.

``books``: the controller's own accounts. ``metric``: scraped from a server, as old as the scrape. ``estimate``:
reckoned from the fleet file, calibration or predictions. ``none``: nobody knows it here; a policy that reads such a
field does not run live.
"""

from __future__ import annotations

from maestro_gym import schema
from maestro_gym.core.errors import MaestroError
from maestro_gym.episodes.scenario import Scenario
from maestro_gym.real_backend.capabilities import Capabilities
from maestro_gym.real_backend.sensitivity import heeded_fields
from maestro_gym.scheduling.policy import Policy

RECORDS = {
    "clock": schema.CLOCK,
    "workflows": schema.WORKFLOW_VIEW,
    "stages": schema.STAGE_VIEW,
    "nodes": schema.NODE_VIEW,
    "engines": schema.ENGINE_VIEW,
    "models": schema.MODEL_VIEW,
    "host_models": schema.HOST_MODEL,
    "prefixes": schema.PREFIX,
    "reclaim": schema.RECLAIM,
}
"""Record arrays of the view, by name."""

PLAIN = {
    "waiting": "books",
    "slot_of": "books",
    "changed_s": "books",
    "global_queue": "books",
    "node_queue": "books",
    "batch": "books",
    "prefix_groups": "estimate",
    "reclaim_len": "books",
    "memory": "books",
    "model_memory": "books",
    "world": "estimate",
}
"""Other arrays of the view."""

# Everything that is not named here is in the controller's books.
_ESTIMATES = {
    "stages": (
        "remaining_s_q50",
        "remaining_s_q90",
        "future_s_q50",
        "future_s_q90",
        "output_q50_tokens",
        "output_q90_tokens",
        "remaining_calls",
        "remaining_input_tokens",
        "remaining_output_tokens",
        "tool_probability",
        "prefix_hit_tokens",
    ),
    "nodes": ("kv_cached_bytes", "queued_work_s", "running_work_s"),
    "engines": ("ready_s", "kv_pinned_bytes", "kv_cached_bytes"),
    "host_models": ("tier",),
    "prefixes": tuple(schema.PREFIX.names or ()),
    "reclaim": ("freed_bytes", "delay_s", "harm_s"),
}
_METRICS = {"nodes": ("kv_used_bytes",), "engines": ("kv_used_bytes",)}


def field_sources(servers: list[Capabilities] | None = None) -> dict[str, str]:
    """Say of every field of the view where it comes from.

    Args:
        servers: What the servers of the fleet can do; None stands for servers that lack nothing.

    Returns:
        ``record.field`` (or the name of a plain array): books, metric, estimate or none. A metric is ``none`` when a
        server of the fleet has no metrics page.
    """
    scraped = "metric" if servers is None or all(server.metrics for server in servers) else "none"
    table = dict(PLAIN)
    for record, dtype in RECORDS.items():
        for name in dtype.names or ():
            source = "books"
            if name in _ESTIMATES.get(record, ()):
                source = "estimate"
            elif name in _METRICS.get(record, ()):
                source = scraped
            table[f"{record}.{name}"] = source
    return table


def check_policy(policy: Policy, sources: dict[str, str], scenario: Scenario) -> None:
    """Refuse a policy that needs what nobody knows live.

    Args:
        policy: Who would decide.
        sources: From ``field_sources``.
        scenario: The fleet's, in which the policy is tried out where a field has no source.

    Raises:
        MaestroError: It reads the hidden future, or heeds a field without a source; the error names the field.
    """
    if policy.reads_oracle:
        oracle = next(rule for rule in policy.rules if rule.information == "O")
        raise MaestroError(
            f"Policy {policy.name}: its {oracle.tier} rule `{oracle.name}` reads the true future (class O), which "
            "nobody knows of real requests. Run it in the simulator, or take a policy of class N or P."
        )
    unknown = [name for name, source in sources.items() if source == "none"]
    heeded = heeded_fields(policy, scenario, unknown) if unknown else []
    if heeded:
        raise MaestroError(
            f"Policy {policy.name} decides by `{heeded[0]}`, which a server of this fleet does not report. Let the "
            "controller read its /metrics, or take another policy."
        )

"""Where a live controller gets every field of the view from.

``books``: the scheduler keeps the field itself, from its own decisions and from the answers of the servers.
``metric``: the field is scraped from a server, and as old as the scrape. ``estimate``: the field is reckoned from the
fleet file, the calibration or predictions. ``none``: nobody knows the field here, and a policy that heeds it does not
run live.
"""

from __future__ import annotations

from maestro_gym.core.errors import MaestroError
from maestro_gym.episodes.scenario import Scenario
from maestro_gym.real_backend.control.sensitivity import heeded_fields
from maestro_gym.real_backend.vllm.capabilities import Capabilities
from maestro_gym.scheduling.policy import Policy
from maestro_gym.state import View
from maestro_gym.state.fields import ESTIMATE, METRIC, arrays_of

NO_SOURCE = "none"


def field_sources(servers: list[Capabilities] | None = None) -> dict[str, str]:
    """Say of every field of the view where it comes from.

    Args:
        servers: What the servers of the fleet can do; None stands for servers that lack nothing.

    Returns:
        The source (books, metric, estimate or none) of every ``record.field``, or of a plain array by its name. A
        metric is ``none`` when a server of the fleet has no metrics page.
    """
    scraped = METRIC if servers is None or all(server.metrics for server in servers) else NO_SOURCE
    table = {"world": ESTIMATE}
    for name, array in arrays_of(View).items():
        for field in array.fields:
            table[f"{name}.{field.name}".rstrip(".")] = scraped if field.source == METRIC else field.source
    return table


def check_policy(policy: Policy, sources: dict[str, str], scenario: Scenario) -> None:
    """Refuse a policy that needs what nobody knows on real servers.

    Args:
        policy: The policy that would decide.
        sources: The sources of the fields, from ``field_sources``.
        scenario: The fleet's scenario, in which the policy is tried out when a field has no source.

    Raises:
        MaestroError: The policy reads the hidden future, or heeds a field without a source; the error names the field.
    """
    if policy.reads_oracle:
        oracle = next(rule for rule in policy.rules if rule.information == "O")
        raise MaestroError(
            f"Policy {policy.name}: its {oracle.tier} rule `{oracle.name}` reads the true future (class O), which "
            "nobody knows of real requests. Run it in the simulator, or take a policy of class N or P."
        )
    unknown = [name for name, source in sources.items() if source == NO_SOURCE]
    heeded = heeded_fields(policy, scenario, unknown) if unknown else []
    if heeded:
        raise MaestroError(
            f"Policy {policy.name} decides by `{heeded[0]}`, which a server of this fleet does not report. Let the "
            "controller read its /metrics, or take another policy."
        )

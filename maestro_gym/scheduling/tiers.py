"""The tiers of decisions: the one list of them."""

from __future__ import annotations

TIER_GLOBAL, TIER_CLUSTER, TIER_NODE, NO_TIER = range(4)
"""Who must decide; NO_TIER when an episode is over. Bit t of a set of tiers stands for tier t."""

TIER_TOOL = 4
"""The global rule again, which says whose call gets a free place of a tool (docs/tools.md)."""

TIER_CONTEXT = 5
"""The node rule again, on what becomes of a context while its tool runs (docs/tools.md)."""

TIER_NAMES = ("global", "cluster", "node")

ALL_TIERS = (1 << len(TIER_NAMES)) - 1
"""The set of all tiers."""

RULE_TIERS = (*TIER_NAMES, "reclaim")
"""What a policy has a rule for: reclaim is asked within decisions of the node tier, when memory is short."""

AGENT_TIERS = {
    "node": 1 << TIER_NODE,
    "cluster": 1 << TIER_CLUSTER,
    "global": 1 << TIER_GLOBAL,
    "joint": ALL_TIERS,
}
"""What an agent may drive, as a set of tiers; a name of environments and of trained policies each."""

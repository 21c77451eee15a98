"""The compiled engine against the token-by-token reference, on random scenarios."""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.differential.cases import GPUS, RECLAIM_LAWS, TEMPERS, Features, make_case, random_features
from tests.differential.compare import check_same, run_both
from tests.reference.signals import look

EXAMPLES = int(os.environ.get("MAESTRO_DIFFERENTIAL_EXAMPLES", "100"))
"""Random scenarios of a run of the test."""

FEATURES = st.builds(
    Features,
    seed=st.integers(0, 10**6),
    memory=st.sampled_from(["elastic", "partitioned"]),
    sharing=st.sampled_from(["timeslice", "mps"]),
    caching=st.booleans(),
    drains=st.booleans(),
    clusters=st.integers(1, 3),
    hosts=st.integers(1, 2),
    nodes=st.integers(1, 2),
    tp=st.sampled_from([1, 2]),
    models=st.integers(1, 6),
    jobs=st.integers(1, 16),
    max_num_seqs=st.integers(1, 8),
    max_num_batched_tokens=st.sampled_from([32, 128, 512, 2048]),
    queue_limit=st.integers(1, 6),
    schedule_ahead=st.booleans(),
    kv_tokens=st.sampled_from([700, 1000, 3000]),
    short_dram=st.booleans(),
    reclaim_law=st.sampled_from(RECLAIM_LAWS),
    temper=st.sampled_from(sorted(TEMPERS)),
    admission=st.booleans(),
    barred=st.booleans(),
    tools=st.integers(0, 2),
    orders_tools=st.booleans(),
    failures=st.booleans(),
    scaling=st.booleans(),
    decides_contexts=st.booleans(),
    pools=st.booleans(),
    kinds=st.integers(1, len(GPUS)),
    tenants=st.integers(1, 4),
    flood=st.booleans(),
    signals=st.booleans(),
    regroups=st.booleans(),
    routers=st.integers(1, 3),
    links=st.booleans(),
)


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(features=FEATURES)
def test_the_engine_does_what_the_reference_does(features: Features) -> None:
    check_same(*run_both(make_case(features)))


@pytest.mark.parametrize("law", RECLAIM_LAWS)
@pytest.mark.parametrize("memory", ["elastic", "partitioned"])
def test_they_agree_when_stages_are_paused_again_and_again(law: str, memory: str) -> None:
    crowd = {"clusters": 1, "hosts": 1, "nodes": 1, "models": 2, "jobs": 16, "max_num_seqs": 8, "queue_limit": 4}
    paused = 0.0
    for seed in range(6):
        features = replace(
            random_features(seed), memory=memory, reclaim_law=law, kv_tokens=700, temper="greedy", drains=True, **crowd
        )
        engine, reference = run_both(make_case(features))
        check_same(engine, reference)
        paused += reference.state.counters.get("preemptions", 0)
    assert paused > 0


def test_they_agree_where_contexts_are_copied_back_from_the_host() -> None:
    copied = 0.0
    for seed in (4, 11):
        alone = {"clusters": 1, "hosts": 1, "nodes": 1, "models": 1, "jobs": 12, "temper": "greedy", "drains": True}
        calm = {"failures": False, "scaling": False, "admission": False, "regroups": False}
        engine, reference = run_both(make_case(replace(random_features(seed), decides_contexts=True, **alone, **calm)))
        check_same(engine, reference)
        copied += reference.state.counters.get("contexts copied back", 0)
    assert copied > 0


@pytest.fixture(scope="module")
def occurrences() -> Counter[str]:
    """How many of sixty fixed scenarios contain what."""
    found: Counter[str] = Counter()
    for seed in range(60):
        features = random_features(seed)
        engine, reference = run_both(make_case(features))
        check_same(engine, reference)
        state = reference.state
        found.update(reference.seen)
        found.update(name for name, count in state.counters.items() if count > 0)
        found.update([features.memory, features.sharing, features.reclaim_law, features.temper, reference.done])
        stages = [stage for stage in state.stages if "finished" in stage.times]
        # A hit on one group alone can only come from that group.
        hits = [stage for stage in stages if stage.prefix_hit > 0]
        found["system prompt reused"] += any(stage.ctx_group < 0 for stage in hits)
        found["context reused"] += any(stage.sys_group < 0 or stage.prefix_hit > stage.sys_tokens for stage in hits)
        found["tool gap"] += any(stage.gap_s > 0 and stage.children for stage in stages)
        found["tool queue"] += any(
            stage.times.get("tool_started", 0.0) > stage.times["finished"] + 1e-6 for stage in stages
        )
        found["tool order"] += any(record.asked.tier == "tool" for record in reference.records)
        found["another cluster"] += any(
            state.nodes[stage.node].spec.cluster != stage.job.ingress for stage in stages if stage.node >= 0
        )
        found["mixed fleet"] += len({node.spec.speeds for node in state.nodes}) > 1
        found["barred"] += any(node.spec.barred for node in state.nodes)
        found["several tenants"] += len({stage.job.tenant for stage in stages}) > 1
        found["old news"] += any(
            row[2:] != (scrape.kind, *look(state, state.nodes[row[1]], scrape.kind))
            for scrape in state.scrapes
            for row in reference.records[-1].known
            if row[2] == scrape.kind
        )
        last = {(row[0], row[1:3]): row[3:] for row in reference.records[-1].known} if reference.records else {}
        found["views that differ"] += any(row != last[0, place] for (_, place), row in last.items())
        found["tensor parallel"] += any(node.gpus > 1 for node in state.fleet.nodes)
    return found


@pytest.mark.parametrize(
    "feature",
    [
        "contention",
        "chunked prefill",
        "mixed step",
        "elastic",
        "partitioned",
        "timeslice",
        "mps",
        "system prompt reused",
        "context reused",
        "tool gap",
        "tool queue",
        "tool order",
        "contexts held",
        "contexts dropped",
        "contexts offloaded",
        "another cluster",
        "mixed fleet",
        "barred",
        "several tenants",
        "old news",
        "views that differ",
        "resent",
        "late first tokens",
        "tensor parallel",
        "growths",
        "preemptions",
        "oom_events",
        "cold_starts",
        "wakes",
        "sleeps",
        "demotions",
        "boundary_preemptions",
        "rejected",
        "node_failures",
        "restarts",
        "wasted_tokens",
        "node_starts",
        "node_stops",
        "transfers",
        "regroups",
        "drained",
        "time limit",
        *RECLAIM_LAWS,
        *TEMPERS,
    ],
)
def test_the_scenarios_hold_what_could_go_wrong(occurrences: Counter[str], feature: str) -> None:
    assert occurrences[feature] > 0

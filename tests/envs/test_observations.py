"""What an agent sees: documented, bounded, true to the mask, and blind to what it may not know."""

import inspect
from collections.abc import Callable
from itertools import pairwise

import gymnasium
import numpy as np
import pytest

from maestro_gym.baselines import load_policy
from maestro_gym.envs import ActionMaskObservation
from maestro_gym.envs.observation.columns import Block
from maestro_gym.envs.observation.layout import BLOCKS, TIER_SPECS
from maestro_gym.envs.observation.scales import of_count, of_latency, of_share, of_signed_time, of_time, of_tokens
from maestro_gym.envs.pages import column_table, environments_markdown, observation_tables
from maestro_gym.registration import env_id
from maestro_gym.scheduling.tiers import TIER_NAMES
from maestro_gym.state import DONE_NO
from tests.envs.walks import TIERS, ask, make, random_legal, walk


def _as_maestro(env: gymnasium.Env) -> Callable[[], int]:
    """What Maestro's rules would choose, as an action of the joint tier."""
    policy = load_policy("maestro", env.batch.scenario)

    def choose() -> int:
        buffers = env.batch.buffers
        rule = getattr(policy, f"{TIER_NAMES[int(buffers.outcome[0]['tier'])]}_rule")
        mine = (buffers.codes[0] == ask(rule, env.batch.state.visible)) & buffers.mask[0]
        return int(np.flatnonzero(mine)[0])

    return choose


@pytest.mark.parametrize("tier", TIERS)
def test_the_docstring_holds_the_table_of_the_space(tier: str) -> None:
    env = make(tier)
    page = inspect.getdoc(type(env))
    assert observation_tables(TIER_SPECS[tier]) in page
    assert env.observation_space["candidates"].shape[1] == len(TIER_SPECS[tier].row_columns)
    assert env.observation_space["context"].shape == (len(TIER_SPECS[tier].context_columns),)
    for heading in ("Description", "Action Space", "Observation Space", "Rewards", "Starting State", "Episode End"):
        assert page.count(f"## {heading}\n") == 1


def test_the_docs_show_every_environment_and_every_column_once() -> None:
    page = environments_markdown({env_id(tier): type(make(tier)) for tier in TIERS})
    for tier in TIERS:
        assert f"## {env_id(tier)}\n" in page
    for block in BLOCKS.values():
        assert page.count(column_table(block.columns)) == 1


def test_every_argument_stands_in_the_docstring() -> None:
    env = make("cluster")
    for name in (*env.batch.options.__dataclass_fields__, "render_mode"):
        assert f"| `{name}` |" in type(env).__doc__


@pytest.mark.parametrize("tier", TIERS)
def test_names_of_columns_are_unique(tier: str) -> None:
    for columns in (TIER_SPECS[tier].row_columns, TIER_SPECS[tier].context_columns):
        names = [column.name for column in columns]
        assert len(set(names)) == len(names)


@pytest.mark.parametrize("tier", TIERS)
def test_rows_of_legal_actions_and_only_those_are_filled(tier: str) -> None:
    env = make(tier)
    for observation, _, ended, info in walk(env, 0, 80):
        assert env.observation_space.contains(observation)
        rows = observation["candidates"]
        assert info["action_mask"].any()
        if not ended:
            np.testing.assert_array_equal(rows[:, 0] == 1.0, info["action_mask"])
        assert not rows[rows[:, 0] == 0.0].any()


@pytest.mark.parametrize("tier", TIERS)
def test_every_column_says_something_in_some_walk(tier: str) -> None:
    # A column that is always zero would mean that a writer missed it.
    seen_rows = np.zeros(len(TIER_SPECS[tier].row_columns), bool)
    seen_context = np.zeros(len(TIER_SPECS[tier].context_columns), bool)
    for options in ({}, {"overrides": ("contention=low", "horizon_s=120")}):
        env = make(tier, **options)
        # Who decides everything at random seldom brings a workflow to its second call: Maestro does.
        for choose in (None, *([_as_maestro(env)] if tier == "joint" else [])):
            for observation, _, _, _ in walk(env, 0, 1500, choose):
                seen_rows |= observation["candidates"].any(0)
                seen_context |= observation["context"].any(0)
    rare = {"stage_pauses", "stage_protected", "model_disk", "model_remote", "model_cpu", "action_reclaims", "is_route"}
    kinds = {"node": ("is_send", "model_loading"), "global": ("is_admit", "is_promote", "is_demote")}
    rare |= set(kinds.get(tier, ()))
    silent = [c.name for c, seen in zip(TIER_SPECS[tier].row_columns, seen_rows, strict=True) if not seen]
    silent += [c.name for c, seen in zip(TIER_SPECS[tier].context_columns, seen_context, strict=True) if not seen]
    assert set(silent) <= rare


def test_the_mask_is_the_same_in_its_three_places() -> None:
    env = ActionMaskObservation(make("joint"))
    observation, info = env.reset(seed=0)
    for step in range(30):
        np.testing.assert_array_equal(observation["action_mask"], env.action_masks())
        np.testing.assert_array_equal(info["action_mask"], env.action_masks())
        observation, _, terminated, truncated, info = env.step(random_legal(env.action_masks(), 0, step))
        if terminated or truncated:
            break


@pytest.mark.parametrize("tier", ["node", "cluster", "global"])
@pytest.mark.parametrize("window", [3, 32])
def test_the_choices_of_maestro_edf_and_fcfs_are_offered_and_legal(tier: str, window: int) -> None:
    if tier != "global" and window != 32:
        pytest.skip("only the global tier has a window")
    env = make(tier, window=window, overrides=("horizon_s=25", "contention=high"))
    rivals = {"node": ("maestro", "edf-node", "fcfs"), "cluster": ("maestro", "edf", "fcfs")}
    policies = [load_policy(name, env.batch.scenario) for name in rivals.get(tier, ("maestro", "edf", "fcfs"))]
    env.reset(seed=1)
    for step in range(150):
        codes = env.batch.buffers.codes[0][env.action_masks()]
        for policy in policies:
            assert ask(getattr(policy, f"{tier}_rule"), env.batch.state.visible) in codes, policy.name
        _, _, terminated, truncated, _ = env.step(random_legal(env.action_masks(), 1, step))
        if terminated or truncated:
            break


def test_the_window_holds_heads_by_key_deadline_and_age_without_duplicates() -> None:
    env = make("global", window=6, overrides=("horizon_s=25", "contention=high"))
    env.reset(seed=0)
    full = False
    for step in range(120):
        view, buffers = env.batch.state.visible, env.batch.buffers
        shown = [a for a in np.flatnonzero(env.action_masks()) if a > 0]
        clusters = view.world.latency_s.shape[0]
        stages = {int(buffers.window[0, (a - 1) // clusters]) for a in shown}
        slots = {(a - 1) // clusters for a in shown}
        assert len(stages) == len(slots)
        queue = view.global_queue[0, : view.clock[0]["global_len"]]
        assert stages <= set(queue.tolist())
        full = full or (len(queue) > 6 and len(stages) == 6)
        _, _, terminated, truncated, _ = env.step(
            0 if env.action_masks()[0] else random_legal(env.action_masks(), 0, step)
        )
        if terminated or truncated:
            break
    assert full


@pytest.mark.parametrize("tier", TIERS)
def test_an_agent_without_predictions_sees_none(tier: str) -> None:
    # Class-N companions: then nothing but the observation could carry a prediction.
    walks = []
    for predictor in ("constant", "oracle"):
        env = make(
            tier,
            information="N",
            companions="static-max",
            overrides=("horizon_s=12", "contention=high", f"predictor.kind={predictor}"),
        )
        walks.append(walk(env, 2, 120))
    assert len(walks[0]) == len(walks[1])
    for (ours, _, _, info), (theirs, _, _, other) in zip(*walks, strict=True):
        np.testing.assert_array_equal(info["action_mask"], other["action_mask"])
        for key in ours:
            np.testing.assert_array_equal(ours[key], theirs[key])
    predicted = [i for i, column in enumerate(TIER_SPECS[tier].row_columns) if column.predicted]
    assert not walks[0][5][0]["candidates"][:, predicted].any()


@pytest.mark.parametrize("tier", TIERS)
def test_an_agent_with_predictions_sees_them(tier: str) -> None:
    env = make(tier)
    predicted = [i for i, column in enumerate(TIER_SPECS[tier].row_columns) if column.predicted]
    assert any(observation["candidates"][:, predicted].any() for observation, *_ in walk(env, 0, 40))


def test_scales_are_bounded_monotonic_and_not_saturated_by_overload() -> None:
    for scale, overload in ((of_count, 2000.0), (of_time, 2000.0), (of_latency, 10.0), (of_tokens, 1e5)):
        values = [scale(x) for x in np.linspace(0.0, overload, 50)]
        assert values[0] == 0.0
        assert all(a < b for a, b in pairwise(values))
        assert values[-1] < 1.0
        assert scale(np.inf) == 1.0
    assert of_signed_time(-3.0) == -of_time(3.0)
    assert of_share(3.0, 2.0) == 1.0
    assert of_share(1.0, 0.0) == 0.0


def test_blocks_are_described() -> None:
    for name, block in BLOCKS.items():
        assert block.columns, name
        assert all(column.meaning and column.scale for column in block.columns)
    assert DONE_NO == 0


def test_a_block_writes_its_columns_in_the_order_in_which_they_are_declared() -> None:
    block = Block("example", __name__)

    @block.column("example_sum", "count", "first and second")
    def _sum(first: int, second: int) -> float:
        return float(first + second)

    @block.column("example_guess", "count", "a prediction", predicted=True)
    def _guess(first: int, second: int) -> float:
        return -1.0

    @block.column("example_difference", "count", "first without second")
    def _difference(first: int, second: int) -> float:
        return float(first - second)

    write, row = block.writer(), np.zeros(5, np.float32)
    write(7, 2, row, 1, False)
    assert row.tolist() == [0.0, 9.0, 0.0, 5.0, 0.0]
    write(7, 2, row, 1, True)
    assert row.tolist() == [0.0, 9.0, -1.0, 5.0, 0.0]
    assert [column.name for column in block.columns] == ["example_sum", "example_guess", "example_difference"]


def test_a_column_of_other_arguments_is_refused() -> None:
    block = Block("example", __name__)
    block.column("example_first", "count", "first")(lambda view, e: 0.0)
    with pytest.raises(TypeError, match="give it the same arguments"):
        block.column("example_second", "count", "second")(lambda view, node: 0.0)

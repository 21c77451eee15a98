"""Pictures of a fleet: what an image shows, and that Gymnasium's wrappers can use it."""

import sys
from pathlib import Path

import gymnasium
import numpy as np
import pytest
from gymnasium.error import DependencyNotInstalled
from gymnasium.wrappers import AddRenderObservation, HumanRendering, RecordVideo

from maestro_gym.core.errors import MaestroError
from maestro_gym.envs import Batch, EnvOptions
from maestro_gym.envs.render import Display, FleetPicture, render_text
from maestro_gym.envs.render.history import ASLEEP, IDLE, LOADING, NOTHING, History, residency_codes, workflow_counts
from maestro_gym.envs.render.places import FOOTER, HEADER, HEIGHT, WIDTH, places_for
from maestro_gym.state import (
    ENGINE_ASLEEP,
    ENGINE_AWAKE,
    ENGINE_FREE,
    ENGINE_LOADING,
    STAGE_GAP,
    STAGE_QUEUED,
    STAGE_RUNNING,
    View,
)
from tests.envs.walks import SMALL, make

SHAPE = (HEIGHT, WIDTH, 3)
NODE, SLOT, MODEL = 2, 0, 3


@pytest.fixture
def batch() -> Batch:
    """One environment at its first decision, whose fleet is emptied so that a test can say what is where."""
    batch = Batch("cluster", EnvOptions(overrides=SMALL), 1)
    batch.begin(0, 0)
    view = batch.state.visible
    view.engines["status"] = ENGINE_FREE
    view.nodes["queue_len"] = view.nodes["inbound"] = 0
    return batch


def _engine(batch: Batch, status: int, running: int = 0) -> None:
    engine = batch.state.visible.engines[0, NODE, SLOT]
    engine["model"], engine["status"], engine["running"] = MODEL, status, running


def _lane_now(batch: Batch) -> np.ndarray:
    """The newest pixels of the first lane of the node, top to bottom, in the picture of what is now."""
    picture = FleetPicture(batch)
    picture.note()
    places = places_for(len(batch.scenario.node_names))
    x, y = places.corner(NODE)
    return picture.draw()[y + 2 : y + 14, x + places.left + places.columns - 1].astype(int)


def _brightness(batch: Batch, status: int, running: int = 0) -> float:
    _engine(batch, status, running)
    return float(_lane_now(batch).mean())


def _go_on(env: gymnasium.Env, until_s: float) -> None:
    """Let the companions' own rule decide up to a time."""
    inner = env.unwrapped
    while inner.batch.outcome[0]["now_s"] < until_s:
        env.step(np.int64(inner.batch.own_answers()[0]))


# --- the image -------------------------------------------------------------------------------------


def test_a_lane_is_darker_the_larger_the_batch(batch: Batch) -> None:
    most = int(batch.scenario.world.params["max_num_seqs"][0])
    shades = [_brightness(batch, ENGINE_AWAKE, running) for running in (0, 1, 4, 16, most)]
    assert shades == sorted(shades, reverse=True)
    assert len(set(shades)) == len(shades)


def test_a_model_that_loads_is_hatched_and_one_that_is_not_there_leaves_no_trace(batch: Batch) -> None:
    _engine(batch, ENGINE_LOADING)
    lane = _lane_now(batch)
    assert lane.max() == 255
    assert lane.min() < 128
    for status in (ENGINE_FREE, ENGINE_ASLEEP):
        _engine(batch, status)
        assert (_lane_now(batch) == 255).all()


def test_codes_say_what_every_model_does_on_every_node(batch: Batch) -> None:
    view = batch.state.visible
    for status, running, code in (
        (ENGINE_FREE, 0, NOTHING),
        (ENGINE_ASLEEP, 0, ASLEEP),
        (ENGINE_LOADING, 0, LOADING),
        (ENGINE_AWAKE, 0, IDLE),
    ):
        _engine(batch, status, running)
        codes = residency_codes(view, 0)
        assert codes[NODE, MODEL] == code
        assert codes.sum() == code


def test_a_busy_fleet_looks_other_than_an_empty_one() -> None:
    env = make("cluster", render_mode="rgb_array")
    env.reset(seed=0)
    early = env.render()
    _go_on(env, 10.0)
    late = env.render()
    for image in (early, late):
        assert image.shape == SHAPE
        assert image.dtype == np.uint8
    middle = slice(HEADER, HEIGHT - FOOTER)
    assert late[middle].mean() < early[middle].mean() - 1.0


def test_a_reset_clears_the_picture() -> None:
    env = make("cluster", render_mode="rgb_array")
    env.reset(seed=0)
    first = env.render()
    _go_on(env, 8.0)
    assert (env.render() != first).any()
    env.reset(seed=0)
    np.testing.assert_array_equal(env.render(), first)


def test_the_same_seed_and_actions_draw_the_same_pixels() -> None:
    one, other = (make("node", render_mode="rgb_array") for _ in range(2))
    for env in (one, other):
        env.reset(seed=4)
        _go_on(env, 5.0)
    other.render()
    np.testing.assert_array_equal(one.render(), other.render())


def test_an_image_is_the_callers_own() -> None:
    env = make("cluster", render_mode="rgb_array")
    env.reset(seed=0)
    image = env.render()
    image[:] = 0
    assert env.render().max() == 255


def test_an_environment_of_a_batch_has_the_picture_of_the_single_one_with_its_seed() -> None:
    batch = Batch("cluster", EnvOptions(overrides=SMALL), 2)
    display = Display(batch, "rgb_array", 1)
    batch.begin_all([7, 8])
    display.begin()
    env = make("cluster", render_mode="rgb_array")
    env.reset(seed=8)
    for _ in range(30):
        env.step(np.int64(env.batch.own_answers()[0]))
        batch.step(batch.own_answers())
        display.note()
    np.testing.assert_array_equal(display.render(), env.render())


@pytest.mark.parametrize("num_nodes", [1, 8, 23, 64, 200, 1000])
def test_nodes_stand_one_below_the_other_inside_the_image(num_nodes: int) -> None:
    places = places_for(num_nodes)
    corners = [places.corner(node) for node in range(places.holds(num_nodes))]
    assert len(set(corners)) == len(corners) >= min(num_nodes, 64)
    assert all(y >= HEADER and y + places.row_height <= HEIGHT - FOOTER for _, y in corners)
    assert all(x + places.panel_width <= WIDTH for x, _ in corners)
    assert places.columns >= 100
    assert places.lanes_height >= 3


def test_rows_of_64_nodes_are_high_enough_for_their_names() -> None:
    assert places_for(64).holds(64) == 64
    assert places_for(64).row_height >= 20


# --- the last minute -------------------------------------------------------------------------------


def _note_at(history: History, view: View, now_s: float) -> None:
    view.clock[0]["now_s"] = now_s
    history.note(view, 0, predictions=True)


def test_a_state_lasts_until_the_next_note_and_is_forgotten_after_a_minute(batch: Batch) -> None:
    view = batch.state.visible
    history = History(60, view.nodes.shape[1], view.models.shape[1])
    _engine(batch, ENGINE_AWAKE)
    _note_at(history, view, 5.0)
    _engine(batch, ENGINE_FREE)
    _note_at(history, view, 20.0)
    lane = history.columns()["codes"][:, NODE, MODEL].tolist()
    assert lane == [NOTHING] * 44 + [IDLE] * 15 + [NOTHING]
    _note_at(history, view, 70.0)
    lane = history.columns()["codes"][:, NODE, MODEL].tolist()
    assert lane == [IDLE] * 9 + [NOTHING] * 51
    _note_at(history, view, 200.0)
    assert not history.columns()["codes"].any()


def _three_workflows(batch: Batch) -> View:
    """At 100 s: one is late, one can be in time, one has finished; the second has a stage for the test to place."""
    view = batch.state.visible
    view.clock[0]["now_s"] = 100.0
    view.stages["phase"] = 0
    workflows = view.workflows[0]
    workflows["arrival_s"] = workflows["finished_s"] = np.inf
    workflows["arrival_s"][:3] = 10.0
    workflows["deadline_s"][:3] = (90.0, 130.0, 90.0)
    workflows["finished_s"][2] = 95.0
    stage = view.stages[0, 0]
    stage["workflow"], stage["remaining_s_q50"], stage["future_s_q50"] = 1, 40.0, 25.0
    return view


@pytest.mark.parametrize(
    ("phase", "admitted_s", "at_risk"),
    [
        (STAGE_QUEUED, np.inf, True),  # 40 s are left to do, and 30 s to the deadline
        (STAGE_RUNNING, 95.0, True),  # 35 s are left
        (STAGE_RUNNING, 88.0, False),  # 28 s are left
        (STAGE_GAP, 60.0, False),  # 25 s follow
    ],
)
def test_a_deadline_is_at_risk_when_more_is_left_to_do_than_time(
    batch: Batch, phase: int, admitted_s: float, at_risk: bool
) -> None:
    view = _three_workflows(batch)
    view.stages[0, 0]["phase"], view.stages[0, 0]["admitted_s"] = phase, admitted_s
    assert workflow_counts(view, 0, predictions=True) == (2, 1 + at_risk, 1)


def test_without_predictions_only_late_workflows_are_at_risk(batch: Batch) -> None:
    view = _three_workflows(batch)
    view.stages[0, 0]["phase"] = STAGE_QUEUED
    assert workflow_counts(view, 0, predictions=False) == (2, 1, 1)


# --- what Gymnasium does with images ------------------------------------------------------------------


def _wrapped(render_mode: str) -> gymnasium.Env:
    return gymnasium.make("maestro_gym:Maestro/Cluster-v0", overrides=SMALL, render_mode=render_mode)


@pytest.mark.filterwarnings("ignore")
def test_a_video_can_be_recorded(tmp_path: Path) -> None:
    env = RecordVideo(_wrapped("rgb_array"), str(tmp_path), episode_trigger=lambda _: True)
    env.reset(seed=0)
    _go_on(env, 1.0)
    env.close()
    (video,) = tmp_path.glob("*.mp4")
    assert video.stat().st_size > 1000


def test_human_rendering_shows_the_image_in_a_window() -> None:
    pygame = pytest.importorskip("pygame")
    env = HumanRendering(_wrapped("rgb_array"))
    env.reset(seed=0)
    env.step(env.action_space.sample())
    assert pygame.display.get_surface().get_size() == (WIDTH, HEIGHT)
    env.close()


def test_an_image_can_be_a_part_of_the_observation() -> None:
    env = AddRenderObservation(_wrapped("rgb_array"), render_only=False)
    assert env.observation_space["pixels"] == gymnasium.spaces.Box(0, 255, SHAPE, np.uint8)
    observation, _ = env.reset(seed=0)
    assert env.observation_space.contains(observation)
    observation, *_ = env.step(np.int64(env.unwrapped.batch.own_answers()[0]))
    np.testing.assert_array_equal(observation["pixels"], env.render())


def test_a_window_shows_every_decision_until_it_is_closed() -> None:
    pygame = pytest.importorskip("pygame")
    env, twin = make("cluster", render_mode="human"), make("cluster", render_mode="rgb_array")
    for each in (env, twin):
        each.reset(seed=0)
        _go_on(each, 0.5)
    shown = pygame.surfarray.array3d(pygame.display.get_surface()).swapaxes(0, 1)
    np.testing.assert_array_equal(shown, twin.render())
    assert env.render() is None
    env.close()
    assert pygame.display.get_surface() is None


def test_a_window_without_pygame_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pygame", None)
    with pytest.raises(DependencyNotInstalled, match=r"maestro-gym\[render\]"):
        make("cluster", render_mode="human")


def test_a_render_mode_that_does_not_exist_is_answered_with_those_that_do() -> None:
    with pytest.raises(MaestroError, match="'rgb_array'"):
        make("cluster", render_mode="rgb")


# --- text ------------------------------------------------------------------------------------------


def test_the_text_counts_what_a_queue_waits_for(batch: Batch) -> None:
    view, names = batch.state.visible, batch.scenario.model_names
    view.node_queue[0, NODE, :3] = (0, 1, 2)
    view.stages["model"][0, :3] = (4, 5, 4)
    view.nodes[0, NODE]["queue_len"] = 3
    _engine(batch, ENGINE_AWAKE, 7)
    lines = render_text(batch, 0).splitlines()
    assert len(lines) == 2 + len(batch.scenario.node_names)
    assert lines[2 + NODE].endswith(f"*{names[MODEL]}(7)  waits: 2 {names[4]}, 1 {names[5]}")
    assert "waits" not in lines[2 + NODE + 1]

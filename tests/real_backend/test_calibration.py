"""Fitting hardware to measurements, and comparing two worlds: on numbers whose answer is known."""

import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from maestro_gym.config import GpuConfig
from maestro_gym.config.files import read_yaml
from maestro_gym.config.live import load_fleet
from maestro_gym.core.errors import MaestroError
from maestro_gym.real_backend.fleet.as_scenario import scenario_document, write_scenario
from maestro_gym.real_backend.validation.calibrate_fleet import KINDS, fit_hardware, predict_points, write_hardware
from maestro_gym.real_backend.validation.measure_servers import Measured, Point, measure_fleet
from maestro_gym.real_backend.validation.validate import METRICS, Plan, metric_rows, order_of, validate
from tests.real_backend.conftest import fleet_of
from tests.real_backend.stand_in import StandIn


def _with_seconds(point: Point, seconds: float) -> Point:
    return Point(**{**point.__dict__, "seconds": seconds})


@pytest.mark.parametrize("speed", [1.0, 3.0])
def test_the_fit_finds_the_speed_of_a_slower_machine(speed: float, tmp_path: Path) -> None:
    fleet = load_fleet("local_cpu")
    config = write_scenario(scenario_document(fleet), tmp_path / "scenario.yaml")
    grid = [("prefill", tokens, 1, float(tokens)) for tokens in (16, 128, 512, 1024)]
    grid += [("decode", 32, batch, 54.0) for batch in (1, 2, 4)] + [("mixed", 256, 2, 40.0)]
    grid += [(kind, 512, batch, 0.0) for kind in ("served_first", "served_gap") for batch in (2, 4)]
    bare = Measured([Point("mid", *row, 1.0, 0.0, 1) for row in grid], api_s=0.005)
    seconds = predict_points(config, config.gpus["one-core"], 1, bare)
    points = [_with_seconds(point, speed * value) for point, value in zip(bare.points, seconds, strict=True)]
    fitted = fit_hardware(config, Measured(points, api_s=speed * bare.api_s))
    assert np.abs(fitted.errors).max() < 0.03
    assert {fit.source for fit in fitted.gpu.calibration.fits} == {f"live {kind}" for kind in KINDS}
    write_hardware(fitted, tmp_path / "gpu.yaml")
    assert GpuConfig.model_validate(read_yaml(tmp_path / "gpu.yaml")) == fitted.gpu


def test_a_prompt_beside_others_waits_for_the_step_that_is_scheduled_ahead_too(tmp_path: Path) -> None:
    config = write_scenario(scenario_document(load_fleet("local_cpu")), tmp_path / "scenario.yaml")
    gpu = config.gpus["one-core"]
    beside = Point("mid", "mixed", 64, 2, 40.0, 1.0, 0.0, 1)
    step = Point("mid", "decode", 32, 2, 40.0, 1.0, 0.0, 1)
    waited, step_s = predict_points(config, gpu, 1, Measured([beside, step]))
    ahead = config.model_copy(update={"limits": config.limits.model_copy(update={"schedule_ahead": True})})
    (longer,) = predict_points(ahead, gpu, 1, Measured([beside]))
    assert longer - waited == pytest.approx(step_s)


def test_too_few_points_are_refused(tmp_path: Path) -> None:
    config = write_scenario(scenario_document(load_fleet("local_cpu")), tmp_path / "scenario.yaml")
    with pytest.raises(MaestroError, match="too few"):
        fit_hardware(config, Measured(points=[]))


def test_a_stand_in_is_measured_at_its_own_pace(tmp_path: Path) -> None:
    with StandIn(step_s=0.01) as server:
        fleet = fleet_of([server])
        config = write_scenario(scenario_document(fleet), tmp_path / "scenario.yaml")
        found = measure_fleet(fleet, config, 2, lambda _: None)
    gaps = [point.seconds for point in found.points if point.kind == "decode"]
    # No upper bound, and none on each: a busy machine stretches gaps, and shortens one whose first token came late.
    assert np.median(gaps) > 0.009
    assert {point.kind for point in found.points} == set(KINDS)
    assert found.kv_tokens == {"n0/mid": 3136}
    assert set(found.wake_s) == {"n0/mid"}
    assert found.api_s >= 0.0


def _rows(values: dict[str, float]) -> pd.DataFrame:
    return pd.DataFrame([{"policy": name, "seed": 0} | dict.fromkeys(METRICS, value) for name, value in values.items()])


def test_errors_are_relative_and_the_noise_floor_is_what_rounds_differ_by() -> None:
    live = [_rows({"a": 9.0, "b": 20.0}), _rows({"a": 11.0, "b": 20.0})]
    rows = {(r["policy"], r["metric"]): r for r in metric_rows(live, _rows({"a": 12.0, "b": 10.0}))}
    a, b = rows["a", "completion_mean_s"], rows["b", "completion_mean_s"]
    assert a["live"] == 10.0
    assert a["error_%"] == pytest.approx(20.0)
    assert a["own_noise_%"] == pytest.approx(20.0)
    assert a["noise_floor_%"] == b["noise_floor_%"] == pytest.approx(10.0)
    assert a["within"]  # 20 % is twice the floor
    assert b["error_%"] == pytest.approx(-50.0)
    assert not b["within"]


def test_attainment_is_compared_in_points() -> None:
    live = [_rows({"a": 0.5}), _rows({"a": 0.5})]
    row = next(r for r in metric_rows(live, _rows({"a": 0.6})) if r["metric"] == "slo_attainment")
    assert row["error_%"] == pytest.approx(10.0)


def test_only_pairs_above_the_noise_count_for_the_order() -> None:
    live = [_rows({"a": 1.0, "b": 1.05, "c": 3.0}), _rows({"a": 1.1, "b": 1.0, "c": 3.1})]
    order = order_of(live, _rows({"a": 2.0, "b": 1.0, "c": 4.0}))
    assert order["pairs"] == 3
    assert order["clear_pairs"] == order["clear_pairs_in_order"] == 2
    swapped = order_of(live, _rows({"a": 2.0, "b": 1.0, "c": 0.5}))
    assert swapped["clear_pairs_in_order"] == 0
    assert sorted(swapped["wrong_pairs"]) == [["a", "c"], ["b", "c"]]
    assert -1.0 <= order["kendall"] <= 1.0
    assert math.isfinite(order["spearman"])


def test_a_validation_of_one_policy_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MaestroError, match="two policies"):
        validate(Plan(load_fleet("local_cpu"), ["fcfs"], tmp_path), lambda *_: None, lambda _: None)

"""Prices and placement as a scenario says them."""

from __future__ import annotations

import math
from datetime import date

import numpy as np
import pytest

from maestro_gym.config import GpuConfig, config_names, find_config, load_scenario, read_yaml
from maestro_gym.core.errors import MaestroError
from maestro_gym.episodes.prices import fleet_usd_per_h, without_price
from maestro_gym.episodes.world import build_world

MIXED = "fleet=mixed_gpus"


def test_a_model_is_barred_from_all_nodes_but_those_of_its_kinds_and_clusters() -> None:
    world = build_world(
        load_scenario("quick", [MIXED, "models.0.placement.kinds=[H100-80GB]", "models.1.placement.clusters=[old,new]"])
    )
    assert np.flatnonzero(world.barred[:, 0] == 0).tolist() == [0, 1, 2, 3]
    assert np.flatnonzero(world.barred[:, 1] == 0).tolist() == list(range(8))
    assert not world.barred[:, 2:].any()
    assert world.models["barred_nodes"].tolist()[:3] == [8, 4, 0]


def test_its_nominal_speed_is_that_of_where_it_may_be() -> None:
    free, kept = (
        build_world(load_scenario("quick", [MIXED, *overrides]))
        for overrides in ((), ("models.0.placement.kinds=[L40S-48GB]",))
    )
    assert kept.service["decode_s_per_token"][0] > 1.3 * free.service["decode_s_per_token"][0]
    assert np.array_equal(kept.service[1:], free.service[1:])


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (["models.0.placement.kinds=[H100]"], r"models.0.placement.kinds: the fleet has no `H100`.*H100-80GB"),
        (["models.0.placement.clusters=[odl]"], r"models.0.placement.clusters: the fleet has no `odl`.*old"),
        (
            ["models.0.placement.kinds=[H100-80GB]", "models.0.placement.clusters=[old]"],
            r"no node is of H100-80GB and in old, so `llama-8b-chat` could be nowhere",
        ),
        (["models.11.placement.kinds=[L40S-48GB]"], r"no node that its `placement` names can host `qwen-32b-expert`"),
    ],
)
def test_a_placement_that_leaves_no_node_is_refused(overrides: list[str], words: str) -> None:
    with pytest.raises(MaestroError, match=words):
        load_scenario("quick", [MIXED, *overrides])


def test_a_fleet_costs_what_its_gpus_cost_and_its_own_price_comes_first() -> None:
    prices = {name: gpu.price for name, gpu in load_scenario("quick", [MIXED]).gpus.items()}
    listed = 4 * sum(price.usd_per_h for price in prices.values() if price is not None)
    assert fleet_usd_per_h(load_scenario("quick", [MIXED])) == pytest.approx(listed)
    own = load_scenario("quick", [MIXED, "fleet.clusters.old.hosts.0.usd_per_gpu_h=0.5"])
    world = build_world(own)
    assert world.nodes["usd_per_h"].tolist()[4:8] == [0.5] * 4
    assert fleet_usd_per_h(own) == pytest.approx(world.nodes["usd_per_h"].sum())


def test_a_node_costs_as_much_as_its_gpus_together() -> None:
    place = "fleet.clusters.east.hosts.0"
    config = load_scenario("quick", [f"{place}.tp=2", f"{place}.nodes=2", f"{place}.usd_per_gpu_h=1.25"])
    assert build_world(config).nodes["usd_per_h"].tolist()[:2] == [2.5, 2.5]


def test_a_gpu_without_a_price_is_named_and_not_free() -> None:
    config = load_scenario("quick", ["fleet.clusters.east.hosts.0.gpu=A800-80GB"])
    assert math.isnan(fleet_usd_per_h(config))
    assert np.isnan(build_world(config).nodes["usd_per_h"]).tolist() == [True] * 4 + [False] * 4
    assert len(without_price(config)) == 1
    assert "A800-80GB" in without_price(config)[0]
    assert without_price(load_scenario("quick")) == []


@pytest.mark.parametrize("name", config_names("hardware/gpus"))
def test_a_price_names_its_list_and_its_day(name: str) -> None:
    price = GpuConfig.model_validate(read_yaml(find_config("hardware/gpus", name, "test"))).price
    if name == "A800-80GB":  # rented out where no list of it is public
        assert price is None
        return
    assert price is not None
    assert 0.5 < price.usd_per_h < 15.0
    assert "on demand" in price.source
    assert date.fromisoformat(price.date).year == 2026

"""The kinds of files and words that somebody else writes: how one is made, how it is read, and what is sense in it."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from maestro_gym.agents.policy_card import PolicyCard
from maestro_gym.agents.policy_file import CARD_FILE, load_network, save_policy
from maestro_gym.baselines.registry import load_policy
from maestro_gym.baselines.shaped.file import read_numbers
from maestro_gym.config import dump_config, load_scenario, load_search, load_train
from maestro_gym.config.live import load_fleet
from maestro_gym.episodes.run import run_episode
from maestro_gym.episodes.scenario import Scenario
from maestro_gym.evaluation.suite.definition import load_benchmark
from maestro_gym.evaluation.suite.record import read_record
from maestro_gym.real_backend.control.event_log import read_events
from maestro_gym.real_backend.fleet.as_scenario import scenario_document, write_scenario
from maestro_gym.real_backend.validation.replay_run import logged_times
from tests.fuzz.mutate import NASTY, as_json, as_yaml, mutated_text, mutated_tree

ROOT = Path(__file__).resolve().parents[2]

SMALL_CALLS = 2_000
"""An accepted scenario of up to so many calls is also drawn and run."""

SHORT = ["horizon_s=20", "drain_s=60"]


@dataclass(frozen=True)
class Kind:
    """One kind of input.

    Attributes:
        name: What it is.
        make: Writes a mutated one into a folder, and says where it is, or which words it is.
        read: Reads it as its verb does, and says what is nonsense in what was accepted; empty: nothing.
    """

    name: str
    make: Callable[[Path, random.Random], Any]
    read: Callable[[Any], str]


def _file(name: str, document: Any, dump: Callable[[Any], str]) -> Callable[[Path, random.Random], Path]:  # noqa: ANN401
    """Makes files of a document: mostly of its tree, sometimes of its text."""
    text = dump(document)

    def make(folder: Path, draw: random.Random) -> Path:
        changed = mutated_text(text, draw) if draw.random() < 0.25 else dump(mutated_tree(document, draw))
        (folder / name).write_text(changed, encoding="utf-8", errors="surrogatepass")
        return folder / name

    return make


def _scenario() -> dict[str, Any]:
    return yaml.safe_load(dump_config(load_scenario("toy", SHORT)))


def _sense(scenario: Scenario) -> str:
    """What is nonsense in a scenario that was accepted; a small one is run."""
    rate_rps, horizon_s = scenario.rate_rps, scenario.config.horizon_s
    if not (
        math.isfinite(scenario.capacity_rps) and scenario.capacity_rps > 0 and math.isfinite(rate_rps) and rate_rps > 0
    ):
        return f"capacity {scenario.capacity_rps}, rate {rate_rps}"
    if (
        scenario.config.fleet.num_nodes > 64
        or rate_rps * horizon_s * scenario.workload.mix().calls_per_workflow > SMALL_CALLS
    ):
        return ""
    episode = scenario.episode("validation", 0, 0)
    for name in ("arrival_s", "deadline_s"):
        if not np.isfinite(episode.workflows[name]).all():
            return f"{name} is not finite"
    if (episode.stages["prompt_tokens"] < 1).any() or (episode.hidden["output_tokens"] < 1).any():
        return "a call without tokens"
    result = run_episode(scenario, load_policy("fcfs", scenario), "validation", 0, samples=16)
    if not math.isfinite(result.end_s) or result.end_s < 0:
        return f"the run ended at {result.end_s}"
    finished = result.workflows["finished_s"]
    if (finished < result.workflows["arrival_s"]).any():
        return "a workflow finished before it arrived"
    return ""


def _read_fleet(path: Path) -> str:
    fleet = load_fleet(str(path))
    config = write_scenario(scenario_document(fleet), path.with_name("made.yaml"))
    return "" if config.fleet.num_nodes == len(fleet.nodes) else "nodes were lost"


def _words(folder: Path, draw: random.Random) -> list[str]:
    """Overrides of whatever fields there are, with whatever values."""
    config = load_scenario("toy", SHORT).model_dump(mode="json")
    words = []
    for _ in range(draw.choice((1, 1, 2))):
        path: list[str] = []
        place: Any = config
        while isinstance(place, dict | list) and place and (not path or draw.random() < 0.9):
            key = draw.choice(list(place) if isinstance(place, dict) else range(len(place)))
            path.append(f'"{key}"' if "." in str(key) else str(key))
            place = place[key]
        holder = {"value": place}
        value = draw.choice((draw.choice(NASTY), mutated_tree(holder, draw).get("value"), place))
        text = draw.choice((as_json(value), as_json(value), str(value), "[" * 30_000, "&a [*a]", "1e9"))
        words.append(f"{'.'.join(path)}{draw.choice('======= .')}{text}")
    return words


def _read_card(path: Path) -> str:
    _, network = load_network(path.parent)
    weights = sum(value.numel() for value in network.state_dict().values())
    return "" if weights < 1e7 else f"{weights} weights"


def _make_card() -> Callable[[Path, random.Random], Path]:
    card = PolicyCard("cluster", "scorer", 5, 3, 4, (8, 8), steps=7, validation={"slo_attainment": 0.5})
    network = card.build()

    def make(folder: Path, draw: random.Random) -> Path:
        save_policy(folder, card, network)
        document = json.loads((folder / CARD_FILE).read_text(encoding="utf-8"))
        document.pop("sha256")  # a changed one would be refused by it
        return _file(CARD_FILE, document, as_json)(folder, draw)

    return make


def _read_numbers(path: Path) -> str:
    read_numbers(path)
    policy = load_policy(str(path))
    return "" if all(math.isfinite(value) for value in policy.numbers) else "numbers that are not finite"


_NUMBERS = {
    "family": "shaped",
    "format": 1,
    "about": {"episodes": 12},
    "numbers": dict.fromkeys(load_policy("searched").family.names[:6], 0.5),  # pyright: ignore[reportOptionalMemberAccess]
    "knobs": {"limits.max_num_seqs": 64},
}
_STAGES = 3
_LOG = [
    {
        "event": "run", "time_s": 0.0, "version": 1, "run_id": "0af3", "policy": "fcfs", "policy_spec": "fcfs",
        "scenario": "toy", "split": "test", "seed": 0, "index": 0, "started_unix_s": 1.7e9, "stages": _STAGES,
    },
    *(
        {
            "event": "finish", "time_s": 2.0 + stage, "stage": stage, "server": "n0/mid", "tokens": 9,
            "times": {"ready_s": 0.1, "sent_s": 0.2, "queued_s": 0.3, "admitted_s": 0.4, "first_token_s": 0.9,
                      "node": 0},
        }
        for stage in range(_STAGES)
    ),
    {"event": "end", "time_s": 9.0, "drained": True},
]  # fmt: skip


def _as_lines(tree: Any) -> str:  # noqa: ANN401
    return "".join(json.dumps(event) + "\n" for event in (tree if isinstance(tree, list) else [tree]))


def _read_log(path: Path) -> str:
    events = list(read_events(path))
    if events[0]["stages"] != _STAGES:
        return ""  # a replay says so, since its scenario has others
    times = logged_times(events, _STAGES, path.parent)
    return "" if all(np.isfinite(values).all() for values in times.values()) else "times that are not finite"


def _read_benchmark(path: Path) -> str:
    config = load_benchmark(str(path)).config
    return "" if config.seeds.test.first <= config.seeds.test.last else "seeds that fall"


def _loads(load: Callable[[str], object]) -> Callable[[Path], str]:
    def read(path: Path) -> str:
        load(str(path))
        return ""

    return read


def _yaml(name: str) -> Any:  # noqa: ANN401
    return yaml.safe_load((ROOT / name).read_text(encoding="utf-8"))


def _family(path: Path) -> str:
    return _sense(Scenario.load("toy", [*SHORT, f"workload.family={path}"]))


def _overridden(words: list[str]) -> str:
    return _sense(Scenario.load("toy", [*SHORT, *words]))


KINDS = (
    Kind("scenario", _file("mine.yaml", _scenario(), as_yaml), lambda path: _sense(Scenario.load(str(path)))),
    Kind("overrides", _words, _overridden),
    Kind("workload family", _file("mine.yaml", _yaml("configs/workloads/maestro.yaml"), as_yaml), _family),
    Kind("fleet", _file("mine.yaml", load_fleet("local_cpu").model_dump(mode="json"), as_yaml), _read_fleet),
    Kind("policy card", _make_card(), _read_card),
    Kind("policy numbers", _file("policy.yaml", _NUMBERS, as_yaml), _read_numbers),
    Kind("event log", _file("events.jsonl", _LOG, _as_lines), _read_log),
    Kind("training", _file("mine.yaml", _yaml("configs/train/quick.yaml"), as_yaml), _loads(load_train)),
    Kind("search", _file("mine.yaml", _yaml("configs/search/tuned-maestro.yaml"), as_yaml), _loads(load_search)),
    Kind("benchmark", _file("mine.yaml", _yaml("benchmarks/suite/quick-high.yaml"), as_yaml), _read_benchmark),
    Kind(
        "record",
        _file(
            "mine.json", json.loads((ROOT / "benchmarks/records/quick-high/maestro.json").read_text("utf-8")), as_json
        ),
        lambda path: _loads(lambda name: read_record(Path(name)))(path),
    ),
)
"""All of them."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from maestro_gym.agents.policy_card import PolicyCard
from maestro_gym.agents.policy_file import CARD_FILE, SAFE_WEIGHTS_FILE, WEIGHTS_FILE, load_network, save_policy
from maestro_gym.core.errors import MaestroError

CARD = PolicyCard("cluster", "scorer", 5, 3, 4, (8, 8), steps=7)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    save_policy(tmp_path, CARD, CARD.build())
    return tmp_path


def _forget_checksums(run: Path) -> None:
    """Make the card one that an older version wrote."""
    card = json.loads((run / CARD_FILE).read_text())
    del card["sha256"]
    (run / CARD_FILE).write_text(json.dumps(card))


def test_a_policy_comes_back_as_it_was_saved(tmp_path: Path) -> None:
    network = CARD.build()
    save_policy(tmp_path, CARD, network)
    card, loaded = load_network(tmp_path)
    assert replace(card, sha256={}) == CARD
    for name, value in loaded.state_dict().items():
        assert torch.equal(value, network.state_dict()[name])


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(MaestroError, match="There is no run folder"):
        load_network(tmp_path / "nowhere")


@pytest.mark.parametrize("name", [CARD_FILE, WEIGHTS_FILE])
def test_a_missing_file_is_named(run: Path, name: str) -> None:
    (run / name).unlink()
    with pytest.raises(MaestroError, match=f"{name} is missing"):
        load_network(run)


@pytest.mark.parametrize("content", [b"", b"not a policy", b"PK\x03\x04 half a zip"])
def test_damaged_weights_are_named(run: Path, content: bytes) -> None:
    (run / WEIGHTS_FILE).write_bytes(content)
    with pytest.raises(MaestroError, match=rf"{WEIGHTS_FILE} is damaged"):
        load_network(run)


def test_truncated_weights_are_named(run: Path) -> None:
    whole = (run / WEIGHTS_FILE).read_bytes()
    (run / WEIGHTS_FILE).write_bytes(whole[: len(whole) // 2])
    with pytest.raises(MaestroError, match="damaged"):
        load_network(run)


def test_weights_that_could_run_code_are_refused(run: Path) -> None:
    _forget_checksums(run)
    torch.save({"weights": Path("anything")}, run / WEIGHTS_FILE)
    with pytest.raises(MaestroError, match="damaged"):
        load_network(run)


def test_weights_of_another_shape_are_refused(run: Path) -> None:
    _forget_checksums(run)
    other = PolicyCard("cluster", "scorer", 6, 3, 4, (8, 8))
    torch.save(other.build().state_dict(), run / WEIGHTS_FILE)
    with pytest.raises(MaestroError, match="does not belong to"):
        load_network(run)


def test_weights_that_are_not_finite_are_refused(run: Path) -> None:
    _forget_checksums(run)
    weights = torch.load(run / WEIGHTS_FILE, weights_only=True)
    torch.save({name: value * torch.nan for name, value in weights.items()}, run / WEIGHTS_FILE)
    with pytest.raises(MaestroError, match="not finite"):
        load_network(run)


@pytest.mark.parametrize("name", [CARD_FILE, WEIGHTS_FILE])
def test_any_changed_bit_is_refused_by_name(run: Path, name: str) -> None:
    whole = (run / name).read_bytes()
    for place in range(0, len(whole), max(1, len(whole) // 40)):
        (run / name).write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        if name == CARD_FILE and _means_the_same(whole, (run / name).read_bytes()):
            continue  # a blank for another
        with pytest.raises(MaestroError, match=name):
            load_network(run)
    (run / name).write_bytes(whole)
    load_network(run)


def test_a_card_of_an_older_version_is_taken_with_a_warning(run: Path) -> None:
    _forget_checksums(run)
    with pytest.warns(UserWarning, match=rf"{CARD_FILE} holds no SHA-256"):
        card, _ = load_network(run)
    assert replace(card, sha256={}) == CARD


def test_checksums_without_that_of_the_card_or_of_its_weights_are_refused(run: Path) -> None:
    card = json.loads((run / CARD_FILE).read_text())
    for name in (CARD_FILE, WEIGHTS_FILE):
        fewer = {file: value for file, value in card["sha256"].items() if file != name}
        (run / CARD_FILE).write_text(json.dumps({**card, "sha256": fewer}))
        with pytest.raises(MaestroError, match="SHA-256"):
            load_network(run)
    (run / CARD_FILE).write_text(json.dumps(card))
    (run / WEIGHTS_FILE).rename(run / SAFE_WEIGHTS_FILE)
    with pytest.raises(MaestroError, match="not among the files that were written together"):
        load_network(run)


def _means_the_same(one: bytes, other: bytes) -> bool:
    try:
        return json.loads(one) == json.loads(other)
    except ValueError:
        return False


@pytest.mark.parametrize(
    "change",
    [
        {"format": 99},
        {"network": "oracle"},
        {"num_features": -1},
        {"hidden_sizes": 3},
        {"surprise": 1},
        {"tier": None},
        {"companions": []},
        {"steps": "7"},
        {"seed": True},
        {"reward_divisor": float("inf")},
        {"hidden_sizes": [65536, 65536]},
        {"network": "mlp", "num_candidates": 65536, "num_features": 65536},
    ],
)
def test_a_damaged_card_is_named(run: Path, change: dict[str, object]) -> None:
    _forget_checksums(run)
    card = json.loads((run / CARD_FILE).read_text())
    (run / CARD_FILE).write_text(json.dumps(card | change))
    with pytest.raises(MaestroError, match="is not the card of a policy"):
        load_network(run)


def test_a_card_that_is_no_json_is_named(run: Path) -> None:
    for content in ("{", "[" * 100_000, "\x00", '{"format": 1' + " " * 2**23):
        (run / CARD_FILE).write_text(content)
        _is_no_card(run)


def _is_no_card(run: Path) -> None:
    with pytest.raises(MaestroError, match="cannot be read as a policy's card"):
        load_network(run)

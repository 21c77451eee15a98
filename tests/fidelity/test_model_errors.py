"""Errors against small profiles whose answers are known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from maestro_gym.config.catalogue import Catalogue, load_catalogue
from maestro_gym.core.errors import MaestroError
from maestro_gym.fidelity.model_errors import Fidelity, Result, measure
from maestro_gym.performance.operators import allreduce_s
from tests.fidelity.small_profiles import GPU, LINEAR_COLUMN, layer_frame, write_sleep, write_startup, write_vidur


def result(fidelity: Fidelity, quantity: str) -> Result:
    (found,) = [item for item in fidelity.results if item.quantity == quantity]
    return found


def test_a_profile_that_the_model_wrote_has_no_error(tmp_path: Path, catalogue: Catalogue) -> None:
    write_vidur(tmp_path, layer_frame(catalogue))
    write_startup(tmp_path, catalogue)
    write_sleep(tmp_path, catalogue)
    fidelity = measure(tmp_path, catalogue, split=False)
    assert [item.quantity for item in fidelity.results] == [
        "linear layers",
        "element-wise",
        "cold start, total",
        "wake",
    ]
    for item in fidelity.results:
        assert item.gpu == GPU
        assert item.shipped.points == sum(len(batch.measured) for batch in item.batches)
        assert item.shipped.median == pytest.approx(0, abs=1e-9)
        assert item.shipped.worst == pytest.approx(0, abs=1e-9)


def test_a_machine_that_is_a_tenth_slower_is_reported_as_such(tmp_path: Path, catalogue: Catalogue) -> None:
    write_vidur(tmp_path, layer_frame(catalogue, factor=1 / 1.1))
    errors = result(measure(tmp_path, catalogue, split=False), "linear layers").shipped
    assert errors.signed == pytest.approx(0.1)
    assert errors.median == pytest.approx(0.1)
    assert errors.p90 == pytest.approx(0.1)


def test_the_worst_point_is_named(tmp_path: Path, catalogue: Catalogue) -> None:
    frame = layer_frame(catalogue)
    odd = (frame["num_tokens"] == 200) & (frame["num_tensor_parallel_workers"] == 2)
    frame.loc[odd, LINEAR_COLUMN] *= 4
    write_vidur(tmp_path, frame, model="my-model")
    errors = result(measure(tmp_path, catalogue, split=False), "linear layers").shipped
    assert errors.worst == pytest.approx(-0.75)
    assert errors.worst_at == "my-model tp 2, 200 tokens"


def test_constants_of_its_own_take_a_steady_shift_away(tmp_path: Path, catalogue: Catalogue) -> None:
    write_startup(tmp_path, catalogue, factor=1.3)
    found = result(measure(tmp_path, catalogue), "cold start, total")
    assert found.shipped.signed == pytest.approx(1 / 1.3 - 1)
    assert found.split is not None
    assert found.split.median < 0.001
    write_vidur(tmp_path, layer_frame(catalogue, factor=1.2))
    found = result(measure(tmp_path, catalogue), "linear layers")
    assert found.shipped.median == pytest.approx(1 - 1 / 1.2)
    assert found.split is not None
    assert found.split.median < 0.02
    assert "gpu.step.linear_bandwidth_efficiency" in found.free


def test_a_missing_column_is_named_with_its_file(tmp_path: Path, catalogue: Catalogue) -> None:
    path = write_vidur(tmp_path, layer_frame(catalogue).drop(columns=[LINEAR_COLUMN]))
    with pytest.raises(MaestroError) as caught:
        measure(tmp_path, catalogue)
    assert str(path) in str(caught.value)
    assert LINEAR_COLUMN in str(caught.value)


def test_rows_longer_than_their_header_are_refused(tmp_path: Path, catalogue: Catalogue) -> None:
    path = write_vidur(tmp_path, layer_frame(catalogue))
    head, _, rows = path.read_text().partition("\n")
    path.write_text(head + "\n" + rows.replace("\n", ",7\n"))
    with pytest.raises(MaestroError, match="more fields than its header"):
        measure(tmp_path, catalogue)


def test_a_model_without_a_second_norm_keeps_its_linear_layers(tmp_path: Path, catalogue: Catalogue) -> None:
    frame = layer_frame(catalogue).drop(columns=["time_stats.post_attention_layernorm.median"])
    write_vidur(tmp_path, frame)
    fidelity = measure(tmp_path, catalogue, split=False)
    assert [item.quantity for item in fidelity.results] == ["linear layers"]
    ((_, skipped),) = fidelity.skipped
    assert (skipped.rows, "post_attention_layernorm" in skipped.reason) == (len(frame), True)


def test_blank_cells_are_left_out_and_counted(tmp_path: Path, catalogue: Catalogue) -> None:
    frame = layer_frame(catalogue)
    frame.loc[:2, LINEAR_COLUMN] = None
    write_vidur(tmp_path, frame)
    fidelity = measure(tmp_path, catalogue, split=False)
    assert result(fidelity, "linear layers").shipped.points == len(frame) - 3
    assert sum(item.rows for _, item in fidelity.skipped) == 3


def test_text_among_numbers_is_named(tmp_path: Path, catalogue: Catalogue) -> None:
    frame = layer_frame(catalogue).astype({"num_tokens": object})
    frame.loc[0, "num_tokens"] = "many"
    write_vidur(tmp_path, frame)
    with pytest.raises(MaestroError, match="num_tokens"):
        measure(tmp_path, catalogue)


def test_an_unknown_model_is_named_and_its_rows_counted(tmp_path: Path, catalogue: Catalogue) -> None:
    write_sleep(tmp_path, catalogue, model="Nobody-9B")
    fidelity = measure(tmp_path, catalogue)
    assert fidelity.results == []
    ((source, skipped),) = fidelity.skipped
    assert (source, skipped.rows) == ("vllm_sleep_mode", 3)
    assert "Nobody-9B" in skipped.what
    assert "--models" in skipped.reason


def test_a_model_is_read_from_the_users_file(tmp_path: Path, catalogue: Catalogue) -> None:
    write_sleep(tmp_path, catalogue, model="Nobody-9B")
    qwen = catalogue.model("Qwen3-0.6B")
    assert qwen is not None
    file = tmp_path / "models.yaml"
    lines = [f"  {key}: {value}" for key, value in qwen.model_dump().items()]
    file.write_text("Nobody-9B:\n" + "\n".join(lines).replace("True", "true").replace("False", "false"))
    (found,) = measure(tmp_path, load_catalogue(models=[file])).results
    assert found.shipped.worst == pytest.approx(0, abs=1e-9)


def test_an_unknown_gpu_is_named_and_can_be_given(tmp_path: Path, catalogue: Catalogue) -> None:
    write_vidur(tmp_path, layer_frame(catalogue), gpu="b999")
    fidelity = measure(tmp_path, catalogue)
    assert fidelity.results == []
    assert "b999" in fidelity.skipped[0][1].what
    assert fidelity.skipped[0][1].rows == len(layer_frame(catalogue))
    told = measure(tmp_path, load_catalogue(gpus=[f"b999={GPU}"]), split=False)
    assert result(told, "linear layers").gpu == "b999"
    assert result(told, "linear layers").shipped.median == pytest.approx(0, abs=1e-9)


def test_absent_and_unknown_folders_are_named(tmp_path: Path, catalogue: Catalogue) -> None:
    write_startup(tmp_path, catalogue)
    (tmp_path / "something").mkdir()
    notes = measure(tmp_path, catalogue).notes
    assert "vidur: absent" in notes
    assert any(note.startswith("something: no reader") for note in notes)


def test_an_empty_set_and_a_missing_folder_are_mistakes(tmp_path: Path, catalogue: Catalogue) -> None:
    with pytest.raises(MaestroError, match="no measurements"):
        measure(tmp_path, catalogue)
    with pytest.raises(MaestroError, match="no such folder"):
        measure(tmp_path / "nowhere", catalogue)


def test_collectives_between_machines_are_not_held_against_a_node(tmp_path: Path, catalogue: Catalogue) -> None:
    size = 1 << 20
    good_ms = 1e3 * float(allreduce_s(catalogue.gpus[GPU], 4, np.array(float(size))))
    rows = [
        {"num_workers": 4, "devices_per_node": devices, "rank": rank, "size": size}
        | {"time_stats.all_reduce.median": good_ms}
        for devices in (2, 4)
        for rank in range(4)
    ]
    path = tmp_path / "vidur" / "network" / "a100_dgx" / "all_reduce.csv"
    path.parent.mkdir(parents=True)
    pd.DataFrame(rows).to_csv(path, index=False)
    fidelity = measure(tmp_path, catalogue, split=False)
    errors = result(fidelity, "all-reduce (NCCL)").shipped
    assert (errors.points, errors.worst) == (1, pytest.approx(0, abs=1e-9))
    assert [item.rows for _, item in fidelity.skipped] == [4]

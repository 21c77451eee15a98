"""DistServe's fitted lines, read at sizes within their range."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from maestro_gym.config.catalogue import Catalogue
from maestro_gym.core.errors import MaestroError
from maestro_gym.fidelity.distserve import BATCHES, CONTEXTS, PROMPTS
from maestro_gym.fidelity.model_errors import measure
from maestro_gym.performance.step_tables import step_tables, step_time_s


def write(root: Path, lines: dict) -> None:
    folder = root / "distserve"
    folder.mkdir(parents=True)
    document = {"meta-llama/Llama-2-7b-hf": {"1": lines}, "nobody/knows": {"1": lines}}
    (folder / "profiler-a100-80g.vllm.json").write_text(json.dumps(document))
    rows = ["model,tp,pp,max_num_tokens", "meta-llama/Llama-2-7b-hf,1,1,119408", "meta-llama/Llama-2-7b-hf,1,2,238816"]
    (folder / "max_num_tokens.csv").write_text("\n".join(rows))


def test_lines_that_the_model_itself_would_have_are_met(tmp_path: Path, catalogue: Catalogue) -> None:
    model, on = catalogue.model("Llama-2-7B"), catalogue.machine("A100-80GB")
    assert model is not None
    tables = step_tables(model, on.gpu, 1, max(PROMPTS), max(BATCHES), "fused")
    pairs = [(batch, context) for batch in BATCHES for context in CONTEXTS]
    seconds = [step_time_s(tables, [], [context] * batch) for batch, context in pairs]
    terms = np.array([[1.0, batch * context, batch] for batch, context in pairs])
    decode = np.linalg.lstsq(terms, 1e3 * np.array(seconds), rcond=None)[0].tolist()
    write(
        tmp_path,
        {"decoding_large_small_bs_threshold": 95, "prefill": [9.0, 0.1, 1e-6]}
        | dict.fromkeys(("decoding_smallbs", "decoding_largebs"), decode),
    )
    found = measure(tmp_path, catalogue, split=False)
    results = {item.quantity: item.shipped for item in found.results}
    # A line is not quite the step's form, which knows tiles.
    assert results["token time, vllm"].median < 0.05
    assert results["prompt time, vllm"].points == len(PROMPTS)
    assert results["KV tokens"].median < 0.03
    skipped = {item.what: item.rows for _, item in found.skipped}
    assert skipped["model nobody/knows"] == 1
    assert skipped["KV tokens with pipeline parallelism"] == 1


def test_a_degree_without_a_line_is_named(tmp_path: Path, catalogue: Catalogue) -> None:
    write(tmp_path, {"decoding_large_small_bs_threshold": 95, "prefill": [9.0, 0.1, 1e-6]})
    with pytest.raises(MaestroError, match="decoding_smallbs"):
        measure(tmp_path, catalogue, split=False)

"""Adapters on a real vLLM server: loaded, answering, unloaded."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from maestro_gym.config.live import LiveFleetConfig, load_fleet
from maestro_gym.real_backend.fleet.local import bring_down, bring_up
from maestro_gym.real_backend.vllm.capabilities import probe
from maestro_gym.real_backend.vllm.client import NodeClient
from maestro_gym.real_backend.vllm.completion import Request
from maestro_gym.real_backend.vllm.node_error import Fault, NodeError
from tests.real_backend.contract import HANG_S

RANK, HIDDEN, LAYERS, HEAD_DIM, HEADS, KV_HEADS = 8, 512, 8, 32, 16, 8


@pytest.fixture(scope="module")
def lora_fleet(live_fleet: LiveFleetConfig) -> Iterator[LiveFleetConfig]:
    """One more server that takes adapters; the fleet of the other tests has installed vLLM."""
    document = load_fleet("local_cpu").model_dump(mode="json")
    document["name"] = "lora_cpu"
    nodes = document["clusters"][0]["hosts"][0]["nodes"]
    del nodes[1:]
    nodes[0]["engines"][0]["url"] = "http://127.0.0.1:8103"
    document["launch"]["args"] += ["--enable-lora", "--max-lora-rank", str(RANK)]
    document["launch"]["env"]["VLLM_ALLOW_RUNTIME_LORA_UPDATING"] = "1"
    fleet = LiveFleetConfig.model_validate(document)
    bring_up(fleet, print, trust=True)
    yield fleet
    bring_down(fleet, print)


def write_adapter(folder: Path) -> None:
    """Random weights for the query and value projections, in the safetensors format."""
    folder.mkdir()
    config = {"peft_type": "LORA", "r": RANK, "lora_alpha": 64, "target_modules": ["q_proj", "v_proj"], "bias": "none"}
    (folder / "adapter_config.json").write_text(json.dumps(config))
    rng = np.random.default_rng(0)
    header: dict[str, object] = {}
    data = b""
    for layer in range(LAYERS):
        for name, width in (("q_proj", HEADS * HEAD_DIM), ("v_proj", KV_HEADS * HEAD_DIM)):
            for part, shape in (("lora_A", (RANK, HIDDEN)), ("lora_B", (width, RANK))):
                block = rng.normal(0.0, 0.5, shape).astype(np.float32).tobytes()
                key = f"base_model.model.model.layers.{layer}.self_attn.{name}.{part}.weight"
                header[key] = {"dtype": "F32", "shape": shape, "data_offsets": [len(data), len(data) + len(block)]}
                data += block
    text = json.dumps(header).encode()
    (folder / "adapter_model.safetensors").write_bytes(len(text).to_bytes(8, "little") + text + data)


def test_an_adapter_answers_until_it_is_unloaded(lora_fleet: LiveFleetConfig, tmp_path: Path) -> None:
    write_adapter(tmp_path / "adapter")
    prompt = list(range(10, 40))

    async def work() -> None:
        client = NodeClient(lora_fleet, lora_fleet.nodes[0].engines[0])
        try:
            assert (await probe(client)).lora
            base = await client.complete(Request("lora-base", prompt, 12))
            await client.load_lora("tuned", str(tmp_path / "adapter"))
            assert "tuned" in [card.id for card in (await client.models()).data]
            tuned = await client.complete(Request("lora-tuned", prompt, 12, adapter="tuned"))
            assert tuned.token_ids != base.token_ids
            again = await client.complete(Request("lora-base-2", prompt, 12))
            assert again.token_ids == base.token_ids
            await client.unload_lora("tuned")
            with pytest.raises(NodeError) as refused:
                await client.complete(Request("lora-gone", prompt, 12, adapter="tuned"))
            assert refused.value.fault == Fault.REFUSED
            with pytest.raises(NodeError) as wrong:
                await client.load_lora("tuned", str(tmp_path / "nowhere"))
            assert wrong.value.fault == Fault.REFUSED
        finally:
            await client.close()

    asyncio.run(asyncio.wait_for(work(), HANG_S))

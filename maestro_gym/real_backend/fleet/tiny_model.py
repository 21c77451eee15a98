"""A model folder that needs no hub: an architecture and a tokenizer for ``vllm serve --load-format dummy``."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

from maestro_gym.config import ArchitectureConfig

SPECIAL_TOKENS = ("<pad>", "<bos>", "<eos>", "<unk>")
"""The tokens with the ids 0 to 3; every id from `FIRST_TEXT_TOKEN` on is ordinary text."""

FIRST_TEXT_TOKEN = len(SPECIAL_TOKENS)
_LETTERS = "etaoinshrdlcumwfgypbvkjxqzETAOINSHRDLCUMWFG"


def write_tiny_model(folder: Path, architecture: ArchitectureConfig) -> None:
    """Write ``config.json``, ``tokenizer.json`` and the other files that vLLM reads before it makes random weights.

    Args:
        folder: The folder, made if it is missing; files in it are overwritten.
        architecture: A dense decoder, served as a Llama; its vocabulary holds at least 300 tokens.
    """
    folder.mkdir(parents=True, exist_ok=True)
    files: dict[str, dict[str, Any]] = {
        "config.json": {
            "model_type": "llama",
            "architectures": ["LlamaForCausalLM"],
            "vocab_size": architecture.vocab,
            "hidden_size": architecture.hidden,
            "intermediate_size": architecture.ffn,
            "num_hidden_layers": architecture.layers,
            "num_attention_heads": architecture.heads,
            "num_key_value_heads": architecture.kv_heads,
            "head_dim": architecture.head_dim,
            "max_position_embeddings": architecture.max_model_len,
            "rms_norm_eps": 1e-6,
            "rope_theta": 10000.0,
            "hidden_act": "silu",
            "tie_word_embeddings": architecture.tied_embeddings,
            "bos_token_id": 1,
            "eos_token_id": 2,
            "pad_token_id": 0,
            "torch_dtype": "bfloat16",
            "initializer_range": 0.02,
        },
        "generation_config.json": {"bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0},
        "tokenizer.json": _tokenizer(architecture.vocab),
        "tokenizer_config.json": {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "pad_token": SPECIAL_TOKENS[0],
            "bos_token": SPECIAL_TOKENS[1],
            "eos_token": SPECIAL_TOKENS[2],
            "unk_token": SPECIAL_TOKENS[3],
            "model_max_length": architecture.max_model_len,
            "chat_template": ("{% for m in messages %}{{ m['role'] }}: {{ m['content'] }}\n{% endfor %}assistant: "),
        },
    }
    for name, content in files.items():
        (folder / name).write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def _tokenizer(vocab_size: int) -> dict[str, Any]:
    """Make a byte-level BPE whose merges are pairs of letters: any text can be encoded and any id decoded."""
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    vocab = {token: index for index, token in enumerate((*SPECIAL_TOKENS, *_byte_alphabet()))}
    merges: list[str] = []
    pieces = itertools.chain(
        itertools.product(_LETTERS, repeat=2), itertools.product([a + b for a in _LETTERS for b in _LETTERS], _LETTERS)
    )
    for left, right in pieces:
        if len(vocab) >= vocab_size:
            break
        vocab[left + right] = len(vocab)
        merges.append(f"{left} {right}")
    added = [
        {
            "id": index,
            "content": token,
            "single_word": False,
            "lstrip": False,
            "rstrip": False,
            "normalized": False,
            "special": True,
        }
        for index, token in enumerate(SPECIAL_TOKENS)
    ]
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": added,
        "normalizer": None,
        "pre_tokenizer": byte_level,
        "post_processor": None,
        "decoder": byte_level,
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": None,
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": False,
            "byte_fallback": False,
            "vocab": vocab,
            "merges": merges,
        },
    }


def _byte_alphabet() -> list[str]:
    """Return the 256 printable characters that stand for bytes in byte-level BPE (GPT-2's table)."""
    printable = [*range(ord("!"), ord("~") + 1), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    shifted = itertools.count(0x100)
    return [chr(byte) if byte in printable else chr(next(shifted)) for byte in range(256)]

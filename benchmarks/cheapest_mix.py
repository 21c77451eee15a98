"""Which GPU serves a request of what size for the least money: ``python benchmarks/cheapest_mix.py [--write]``.

The study of Mélange (arXiv 2404.14527) on the GPUs of the catalogue and their list prices. For every kind of GPU and
every size of request (prompt and output tokens) a node serves requests of that size alone, as many at once as its KV
memory holds and as keeps the time for each output token under a limit; its rate is ``episodes.capacity.node_rate_rps``:

    batch       = most B with  B <= KV tokens / (prompt + output)  and  (B / rate(B)) / output <= limit
    cost        = 1000 * price / (3600 * rate(batch))                              [USD per 1,000 requests]

A load that is a mix of sizes, by shares of its requests, costs least where each size goes to the kind that is cheapest
for it; beside that stands each kind alone. Nodes are counted in fractions, so the load is large. ``--write`` puts the
tables into docs/mixed_fleets.md.
"""

from __future__ import annotations

import argparse
import math
from pathlib import Path

from maestro_gym.config import ArchitectureConfig, GpuConfig, config_names, find_config, read_yaml
from maestro_gym.config.limits import LimitsConfig
from maestro_gym.episodes.capacity import node_rate_rps
from maestro_gym.performance.step_tables import StepTables, step_tables

ARCHITECTURE = "Llama-3.1-8B"
SIZES = ((64, 64), (256, 256), (1024, 256), (4096, 256), (256, 1024), (2048, 2048), (12_000, 1024))
"""Prompt and output tokens of a request, from a short question to a long document."""
LIMITS_S = (0.12, 0.04)
"""Time for each output token, the loose and the strict limit of Mélange [s]."""
MIX = {(64, 64): 0.4, (256, 256): 0.3, (1024, 256): 0.15, (4096, 256): 0.1, (12_000, 1024): 0.05}
"""A load of many short and few long requests, by share of its requests; a choice."""
PAGE = Path(__file__).resolve().parents[1] / "docs" / "mixed_fleets.md"


def priced_gpus() -> dict[str, GpuConfig]:
    """GPUs of the catalogue of which a price is known, each as it was fitted last."""
    found = {
        name: GpuConfig.model_validate(read_yaml(find_config("hardware/gpus", name, "cheapest_mix")))
        for name in config_names("hardware/gpus")
    }
    older = {gpu.supersedes for gpu in found.values()}
    return {name: gpu for name, gpu in found.items() if gpu.price is not None and name not in older}


def best_rate_rps(tables: StepTables, kv_tokens: int, prompt: int, output: int, limit_s: float) -> float:
    """Requests of one size a second of a node under a limit of time for each output token; 0 where none fits it."""
    most = min(len(tables.sample_s) - 1, kv_tokens // (prompt + output))
    for batch in range(most, 0, -1):
        rate_rps = node_rate_rps(tables, batch * (prompt + output), prompt, output)
        if batch / rate_rps / output <= limit_s:
            return rate_rps
    return 0.0


def costs_usd(limit_s: float) -> dict[str, dict[tuple[int, int], float]]:
    """Cost of a thousand requests by GPU and size [USD]; inf where a GPU does not serve it within the limit."""
    limits = LimitsConfig()
    architecture = ArchitectureConfig.model_validate(read_yaml(find_config("models", ARCHITECTURE, "cheapest_mix")))
    found = {}
    for name, gpu in priced_gpus().items():
        tables = step_tables(
            architecture, gpu, 1, limits.max_num_batched_tokens, limits.max_num_seqs, limits.moe_kernel
        )
        pool_bytes = gpu.usable_hbm_bytes * limits.gpu_memory_utilization
        room_bytes = pool_bytes - architecture.weight_bytes - limits.margin_gb * 1e9
        kv_tokens = int(room_bytes // architecture.kv_bytes_per_token)
        usd_per_h = gpu.price.usd_per_h if gpu.price is not None else math.nan
        rates = {size: best_rate_rps(tables, kv_tokens, *size, limit_s) for size in SIZES}
        found[name] = {size: 1000.0 * usd_per_h / (3600.0 * rate) if rate else math.inf for size, rate in rates.items()}
    return found


def mix_cost_usd(costs: dict[str, dict[tuple[int, int], float]], kinds: list[str]) -> float:
    """Cost of a thousand requests of the mix where each goes to the cheapest of some kinds of GPU [USD]."""
    return sum(share * min(costs[kind][size] for kind in kinds) for size, share in MIX.items())


def markdown() -> str:
    """The tables, one a limit."""
    parts = []
    for limit_s in LIMITS_S:
        costs = costs_usd(limit_s)
        heads = [f"{prompt:,} + {output:,}" for prompt, output in SIZES]
        rows = [["GPU", "USD/h", *heads, "the mix"], ["---", *["---:"] * (len(SIZES) + 2)]]
        best = {size: min(row[size] for row in costs.values()) for size in SIZES}
        alone = {name: mix_cost_usd(costs, [name]) for name in costs}
        for name, row in costs.items():
            price = priced_gpus()[name].price
            cells = [_cell(row[size], bold=row[size] == best[size]) for size in SIZES]
            usd_per_h = "" if price is None else f"{price.usd_per_h:.2f}"
            rows.append([name, usd_per_h, *cells, _cell(alone[name], bold=False)])
        together = mix_cost_usd(costs, list(costs))
        rows.append(["each size where it is cheapest", "", *[""] * len(SIZES), _cell(together, bold=True)])
        saved = 100.0 * (1.0 - together / min(alone.values()))
        parts.append(
            f"**At most {limit_s * 1000:.0f} ms for each output token**\n\n"
            + "\n".join("| " + " | ".join(row) + " |" for row in rows)
            + f"\n\nThe mix costs {saved:.0f} % less than on the best kind alone, "
            f"{min(alone, key=lambda name: alone[name])}."
        )
    return "\n\n".join(parts)


def _cell(usd: float, *, bold: bool) -> str:
    text = "-" if math.isinf(usd) else f"{usd:.3f}"
    return f"**{text}**" if bold else text


def main() -> None:
    """Print the tables, or write them into the page."""
    parser = argparse.ArgumentParser(description="Which GPU serves a request of what size for the least money.")
    parser.add_argument("--write", action="store_true", help="put the tables into docs/mixed_fleets.md")
    text = markdown()
    if not parser.parse_args().write:
        print(text)
        return
    begin, end = "<!-- cheapest-mix begin -->", "<!-- cheapest-mix end -->"
    page = PAGE.read_text(encoding="utf-8")
    head, _, rest = page.partition(begin)
    PAGE.write_text(f"{head}{begin}\n\n{text}\n\n{end}{rest.partition(end)[2]}", encoding="utf-8")


if __name__ == "__main__":
    main()

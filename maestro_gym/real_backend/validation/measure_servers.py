"""Measurements of live servers: first tokens against prompt length, token gaps against batch and context, and load."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from maestro_gym.config import ScenarioConfig
from maestro_gym.config.live import LiveFleetConfig
from maestro_gym.core.errors import MaestroError
from maestro_gym.real_backend.fleet.processes import fleet_folder, read_notes
from maestro_gym.real_backend.fleet.tiny_model import FIRST_TEXT_TOKEN
from maestro_gym.real_backend.vllm.capabilities import Capabilities, probe
from maestro_gym.real_backend.vllm.client import NodeClient
from maestro_gym.real_backend.vllm.completion import Answer, Request
from maestro_gym.real_backend.vllm.node_error import NodeError

OUTPUT_TOKENS = 40
_CROWD_PROMPT, _CROWD_OUTPUT = 32, 200
_SETTLE_TOKENS = 4
"""The gaps before this number of tokens are left out: other prompts of the batch may still be computed in them."""


@dataclass(frozen=True)
class Point:
    """One measured time: the median of its repetitions.

    Attributes:
        model: The name of the deployment.
        kind: One of: ``prefill``, the engine's time to the first token of a prompt alone; ``decode``, the gap between
            tokens; ``mixed``, the controller's time to the first token while a batch decodes; ``served_first`` and
            ``served_gap``, the means of that time and of the gap between tokens while `served_lengths` are served,
            ``batch`` at a time.
        prompt_tokens: The prompt length of each sequence; of the new one, if mixed; of the longest, if served.
        batch: The number of sequences that decode at once; 1 for a prompt alone.
        context_tokens: The mean number of KV tokens of a sequence while the gaps were taken.
        seconds: The median of the repetitions.
        spread: Half the distance between the quartiles, relative to the median.
        repeats: The number of repetitions.
    """

    model: str
    kind: str
    prompt_tokens: int
    batch: int
    context_tokens: float
    seconds: float
    spread: float
    repeats: int


@dataclass
class Measured:
    """What was measured on a fleet.

    Attributes:
        points: The times to which a step model is fitted.
        api_s: The constant of a call: the controller's time to the first token of an idle server, less the engine's.
        kv_tokens: The size of the KV pool, by server.
        wake_s: The time of a wake, by server.
        load_s: The time from the start of a process to its first answer, by server that this machine started.
        sharing: The factor by which two engines decode together more slowly than alone, by node with several awake.
        seconds: The time that the measurements took.
    """

    points: list[Point] = field(default_factory=list)
    api_s: float = 0.0
    kv_tokens: dict[str, int] = field(default_factory=dict)
    wake_s: dict[str, float] = field(default_factory=dict)
    load_s: dict[str, float] = field(default_factory=dict)
    sharing: dict[str, float] = field(default_factory=dict)
    seconds: float = 0.0


Sample = tuple[str, str, int, int, float, float]
"""The model, kind, prompt tokens, batch, context tokens and seconds of one measurement."""


@dataclass
class _Bench:
    name: str
    node: str
    client: NodeClient
    can: Capabilities
    vocab: int
    longest: int
    batch: int
    numbers: itertools.count[int]

    def prompt(self, tokens: int) -> list[int]:
        """Make a prompt that was never sent, so that nothing of it is cached."""
        generator = np.random.default_rng((time.time_ns() % 2**40, next(self.numbers)))
        return generator.integers(FIRST_TEXT_TOKEN, self.vocab, size=tokens).tolist()

    async def ask(self, prompt_tokens: int, output_tokens: int) -> tuple[Answer, float]:
        """Ask for a completion; return it with the controller's time to its first token."""
        request = Request(f"bench-{time.time_ns()}-{next(self.numbers)}", self.prompt(prompt_tokens), output_tokens)
        begin = time.monotonic()
        answer = await self.client.complete(request)
        assert answer.first_token_s is not None
        return answer, answer.first_token_s - begin


def measure_fleet(
    fleet: LiveFleetConfig, config: ScenarioConfig, repeats: int, tell: Callable[[str], None]
) -> Measured:
    """Measure every server that is awake, all nodes at the same time, as a run would use them.

    Args:
        fleet: The fleet, whose servers are up.
        config: The fleet as a scenario.
        repeats: The number of repetitions of each point.
        tell: Called with lines of progress.

    Returns:
        The measurements.

    Raises:
        MaestroError: A server does not answer.
    """
    return asyncio.run(_measure(fleet, config, repeats, tell))


async def _measure(
    fleet: LiveFleetConfig, config: ScenarioConfig, repeats: int, tell: Callable[[str], None]
) -> Measured:
    begin = time.monotonic()
    found = Measured()
    benches: list[_Bench] = []
    try:
        for node in fleet.nodes:
            for engine in node.engines:
                if not engine.awake:
                    continue
                client = NodeClient(fleet, engine)
                deployment = next(item for item in config.models if item.name == engine.model)
                benches.append(
                    _Bench(
                        engine.model,
                        node.name,
                        client,
                        await probe(client),
                        config.architectures[deployment.architecture].vocab,
                        config.max_model_len(deployment),
                        config.limits.max_num_seqs,
                        itertools.count(),
                    )
                )
        by_node = [[bench for bench in benches if bench.node == node.name] for node in fleet.nodes]
        # The engines of one node are measured one after the other, and the nodes at the same time.
        samples = await asyncio.gather(*(_node_samples(group, repeats, tell) for group in by_node))
        found.points = _medians([sample for part in samples for sample in part[0]])
        calls = [overhead for part in samples for overhead in part[1]]
        found.api_s = float(max(0.0, np.median(calls))) if calls else 0.0
        for group in by_node:
            if len(group) > 1:
                found.sharing[group[0].node] = await _sharing(group)
        for bench in benches:
            if bench.can.kv_tokens is not None:
                found.kv_tokens[f"{bench.node}/{bench.name}"] = bench.can.kv_tokens
            if bench.can.sleep:
                found.wake_s[f"{bench.node}/{bench.name}"] = await _wake_s(bench.client)
    except NodeError as error:
        raise MaestroError(
            f"Measuring stopped: a server does not answer as it should ({error}). `maestro-gym fleet status` shows all."
        ) from None
    finally:
        for bench in benches:
            await bench.client.close()
    addresses = {engine.url for node in fleet.nodes for engine in node.engines}
    for url, note in read_notes(fleet_folder(fleet)).items():
        if url in addresses and note.ready_after_s is not None:
            found.load_s[f"{note.node}/{note.model}"] = note.ready_after_s
    found.seconds = time.monotonic() - begin
    return found


async def _node_samples(
    benches: Sequence[_Bench], repeats: int, tell: Callable[[str], None]
) -> tuple[list[Sample], list[float]]:
    """Measure the engines of a node; return the samples, and what calls cost beside the engine's own time."""
    samples: list[Sample] = []
    overheads: list[float] = []
    for bench in benches:
        tell(f"{bench.node}/{bench.name}: first tokens against prompt length")
        for _ in range(repeats):
            for tokens in _lengths(bench.longest):
                answer, ttft_s = await bench.ask(tokens, 1)
                engine_s = ttft_s
                if answer.engine is not None and answer.engine.time_to_first_token_ms is not None:
                    engine_s = answer.engine.time_to_first_token_ms / 1e3
                    overheads.append(ttft_s - engine_s)
                samples.append((bench.name, "prefill", tokens, 1, float(tokens), engine_s))
        tell(f"{bench.node}/{bench.name}: token gaps against batch and context")
        for _ in range(max(1, repeats // 2)):
            for batch, tokens in _batches(bench):
                answers = await asyncio.gather(*(bench.ask(tokens, OUTPUT_TOKENS) for _ in range(batch)))
                gaps = np.concatenate([_gaps(answer) for answer, _ in answers])
                context = tokens + (_SETTLE_TOKENS + OUTPUT_TOKENS) / 2
                samples.append((bench.name, "decode", tokens, batch, context, float(np.mean(gaps))))
        tell(f"{bench.node}/{bench.name}: first tokens beside others that decode")
        for _ in range(max(1, repeats // 2)):
            for batch, tokens in _crowds(bench):
                samples.append(await _beside(bench, batch, tokens))
        tell(f"{bench.node}/{bench.name}: first tokens and gaps under load")
        for _ in range(max(1, repeats // 2)):
            for batch in sorted({max(1, bench.batch // 2), bench.batch}):
                samples += await _under_load(bench, batch)
    return samples, overheads


def served_lengths(longest: int, batch: int) -> list[tuple[int, int]]:
    """Return the requests of a ``served`` measurement, which are the same ones every time.

    Args:
        longest: The longest prompt.
        batch: The number of requests that are served at a time.

    Returns:
        The prompt and output tokens of six times as many requests as the batch holds; prompt lengths are log-uniform,
        and outputs are uniform from 8 to 96 tokens.
    """
    rng = np.random.default_rng((20_26, batch))
    count = 6 * batch
    prompts = np.exp(rng.uniform(np.log(32), np.log(longest), count)).astype(int)
    outputs = rng.integers(8, 97, count)
    return list(zip(prompts.tolist(), outputs.tolist(), strict=True))


def _longest_served(bench: _Bench) -> int:
    """Return half the longest context, or what the pool holds for each prompt of a whole batch."""
    room = (bench.can.kv_tokens or bench.longest * bench.batch) // bench.batch
    return max(64, min(bench.longest // 2, room - 128))


async def _under_load(bench: _Bench, batch: int) -> list[Sample]:
    """Serve `served_lengths`, the next one as soon as one has ended."""
    longest = _longest_served(bench)
    left = iter(served_lengths(longest, batch))
    firsts: list[float] = []
    gaps: list[float] = []

    async def work() -> None:
        for prompt_tokens, output_tokens in left:
            answer, ttft_s = await bench.ask(prompt_tokens, output_tokens)
            firsts.append(ttft_s)
            gaps.append((answer.token_s[-1] - answer.token_s[0]) / (output_tokens - 1))

    await asyncio.gather(*(work() for _ in range(batch)))
    return [
        (bench.name, "served_first", longest, batch, 0.0, float(np.mean(firsts))),
        (bench.name, "served_gap", longest, batch, 0.0, float(np.mean(gaps))),
    ]


def _crowds(bench: _Bench) -> list[tuple[int, int]]:
    """Return pairs of a number of decoding sequences and the length of the prompt that comes beside them."""
    return [
        (batch, tokens)
        for batch in (2, 4, 8, 16)
        for tokens in (64, 256)
        if batch < bench.batch and tokens <= bench.longest - OUTPUT_TOKENS
    ]


async def _beside(bench: _Bench, batch: int, tokens: int) -> Sample:
    """Measure the time to the first token of a prompt while a batch decodes."""
    running: list[asyncio.Task[Answer]] = []
    begun = [asyncio.Event() for _ in range(batch)]

    def watch(event: asyncio.Event) -> Callable[[Answer], None]:
        return lambda answer: event.set() if answer.output_tokens >= _SETTLE_TOKENS else None

    for event in begun:
        request = Request(f"bench-{time.time_ns()}-{next(bench.numbers)}", bench.prompt(_CROWD_PROMPT), _CROWD_OUTPUT)
        running.append(asyncio.create_task(bench.client.complete(request, watch(event))))
    try:
        await asyncio.gather(*(event.wait() for event in begun))
        _, seconds = await bench.ask(tokens, 1)
    finally:
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
    return bench.name, "mixed", tokens, batch, _CROWD_PROMPT + 2.0 * _SETTLE_TOKENS, seconds


def _lengths(longest: int) -> list[int]:
    return [tokens for tokens in (16, 64, 128, 256, 512, 1024, 2048, 4096, 8192) if tokens <= longest - OUTPUT_TOKENS]


def _batches(bench: _Bench) -> list[tuple[int, int]]:
    """Return pairs of a batch size and a prompt length whose KV fits the engine's pool."""
    room = bench.can.kv_tokens or bench.longest
    block = bench.can.block_tokens or 16
    batches = [batch for batch in (1, 2, 4, 8, 16, 32, 64, 128) if batch <= bench.batch]
    lengths = [tokens for tokens in (32, 256, 1024) if tokens <= bench.longest - OUTPUT_TOKENS]
    return [
        (batch, tokens) for tokens in lengths for batch in batches if batch * (tokens + OUTPUT_TOKENS + block) <= room
    ]


def _gaps(answer: Answer) -> np.ndarray:
    """Return the mean gap between tokens by the controller's clock, in which a chunk may hold several tokens."""
    times = np.array(answer.token_s)
    most = len(times) - 1
    begin = min(_SETTLE_TOKENS, max(0, most - 1))
    tokens = answer.output_tokens - 1 - begin * (answer.output_tokens - 1) / max(1, most)
    return np.array([(times[-1] - times[begin]) / max(1.0, tokens)])


async def _sharing(group: Sequence[_Bench]) -> float:
    """Measure how much slower two engines of a node decode together than alone."""

    async def gap(bench: _Bench) -> float:
        answer, _ = await bench.ask(32, OUTPUT_TOKENS)
        return float(_gaps(answer)[0])

    alone = [np.median([await gap(bench) for _ in range(3)]) for bench in group[:2]]
    together = [await asyncio.gather(*(gap(bench) for bench in group[:2])) for _ in range(3)]
    return float(np.mean(np.median(together, axis=0) / np.array(alone)))


async def _wake_s(client: NodeClient) -> float:
    await client.sleep()
    begin = time.monotonic()
    await client.wake()
    return time.monotonic() - begin


def _medians(samples: Sequence[Sample]) -> list[Point]:
    groups: dict[tuple[str, str, int, int, float], list[float]] = {}
    for *key, seconds in samples:
        groups.setdefault(tuple(key), []).append(float(seconds))  # pyright: ignore[reportArgumentType]
    points = []
    for (model, kind, tokens, batch, context), values in groups.items():
        low, middle, high = np.quantile(values, (0.25, 0.5, 0.75))
        spread = (high - low) / 2 / middle
        points.append(Point(model, kind, tokens, batch, context, float(middle), float(spread), len(values)))
    return points

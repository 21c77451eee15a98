"""What the controller relies on in a server: the unit tests hold the stand-in to it, the live ones vLLM."""

import asyncio
import itertools
import time
from typing import Any

import pytest

from maestro_gym.config.live import LiveFleetConfig
from maestro_gym.real_backend.vllm.capabilities import probe
from maestro_gym.real_backend.vllm.client import NodeClient
from maestro_gym.real_backend.vllm.completion import Answer, Request
from maestro_gym.real_backend.vllm.node_error import Fault, NodeError

HANG_S = 600.0
"""After this long a call hangs: a guard against waiting for ever, and no measure of how quick anything must be."""

_numbers = itertools.count()


def fresh_prompt(tokens: int) -> list[int]:
    """A prompt that no test has sent before, so that no prefix of it is cached."""
    number = next(_numbers) + int(time.time() * 1000) % 100_003
    return [5 + (number * 7919 + 31 * i + i * i) % 2000 for i in range(tokens)]


def fresh_request(tokens: int, output: int, priority: int = 0) -> Request:
    return Request(f"c{next(_numbers)}-{time.time_ns()}", fresh_prompt(tokens), output, priority)


class Contract:
    """Tests of one server; a subclass gives the fixture ``fleet``, whose first engine is the server."""

    @staticmethod
    def run(fleet: LiveFleetConfig, work: Any) -> Any:  # noqa: ANN401 - whatever the coroutine returns
        async def main() -> Any:  # noqa: ANN401
            client = NodeClient(fleet, fleet.nodes[0].engines[0])
            try:
                return await asyncio.wait_for(work(client), HANG_S)
            finally:
                await client.close()

        return asyncio.run(main())

    def test_it_is_healthy_and_serves_its_model(self, fleet: LiveFleetConfig) -> None:
        async def work(client: NodeClient) -> None:
            await client.health()
            assert client.engine.model in [card.id for card in (await client.models()).data]
            assert (await client.version()).startswith("0.")

        self.run(fleet, work)

    def test_the_probe_finds_what_the_controller_uses(self, fleet: LiveFleetConfig) -> None:
        found = self.run(fleet, probe)
        assert found.metrics
        assert found.priority
        assert found.sleep
        assert found.pause
        assert found.abort
        assert found.token_ids
        assert found.cached_tokens
        assert found.engine_times
        assert found.kv_tokens % found.block_tokens == 0

    def test_it_makes_exactly_the_tokens_that_are_asked_for(self, fleet: LiveFleetConfig) -> None:
        seen: list[int] = []

        async def work(client: NodeClient) -> Answer:
            return await client.complete(fresh_request(50, 17), lambda answer: seen.append(answer.output_tokens))

        answer = self.run(fleet, work)
        assert (answer.prompt_tokens, answer.output_tokens, answer.finish_reason) == (50, 17, "length")
        assert len(answer.token_ids) == 17
        assert seen == sorted(seen)
        assert seen[-1] == 17
        assert answer.first_token_s <= answer.last_token_s
        assert answer.engine.time_to_first_token_ms >= 0

    def test_a_prompt_sent_twice_hits_the_prefix_cache_until_that_is_reset(self, fleet: LiveFleetConfig) -> None:
        prompt = fresh_prompt(100)

        async def work(client: NodeClient) -> list[int | None]:
            hits = []
            for index in range(3):
                if index == 2:
                    assert await client.reset_prefix_cache()
                answer = await client.complete(Request(f"p{index}-{time.time_ns()}", prompt, 2))
                hits.append(answer.cached_tokens)
            return hits

        assert self.run(fleet, work) == [0, 96, 0]

    def test_cached_tokens_are_in_its_counters(self, fleet: LiveFleetConfig) -> None:
        prompt = fresh_prompt(100)

        async def work(client: NodeClient) -> float:
            await client.complete(Request(f"q0-{time.time_ns()}", prompt, 2))
            before = (await client.gauges()).counters["vllm:prefix_cache_hits_total"]
            await client.complete(Request(f"q1-{time.time_ns()}", prompt, 2))
            return (await client.gauges()).counters["vllm:prefix_cache_hits_total"] - before

        assert self.run(fleet, work) == 96

    def test_lower_priority_numbers_go_first(self, fleet: LiveFleetConfig) -> None:
        priorities = [5, 9, 1, 7, 3]

        async def work(client: NodeClient) -> list[int]:
            slots = int(fleet.limits["max_num_seqs"])
            # Long, so that none ends by itself before all others wait.
            blockers = [asyncio.create_task(client.complete(fresh_request(16, 700))) for _ in range(slots)]
            while ((await client.gauges()).running or 0) < slots:
                await asyncio.sleep(0.02)
            begun: list[int] = []

            async def one(priority: int) -> None:
                first = True

                def note(_: Answer) -> None:
                    nonlocal first
                    if first:
                        begun.append(priority)
                    first = False

                await client.complete(fresh_request(16, 2, priority), note)

            tasks = []
            for priority in priorities:
                tasks.append(asyncio.create_task(one(priority)))
                await asyncio.sleep(0.01)
            # The gauges move with the engine's steps.
            while (await client.gauges()).waiting != len(priorities):
                await asyncio.sleep(0.02)
            # One slot becomes free, so that they must follow one another.
            blockers[0].cancel()
            await asyncio.gather(*tasks)
            for blocker in blockers:
                blocker.cancel()
            await asyncio.gather(*blockers, return_exceptions=True)
            return begun

        assert self.run(fleet, work) == sorted(priorities)

    def test_a_cut_connection_ends_the_request(self, fleet: LiveFleetConfig) -> None:
        async def work(client: NodeClient) -> None:
            before = (await client.gauges()).counters["vllm:generation_tokens_total"]
            started = asyncio.Event()
            task = asyncio.create_task(client.complete(fresh_request(32, 1500), lambda _: started.set()))
            await started.wait()
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            gauges = await client.gauges()
            while gauges.running != 0 or gauges.kv_usage != 0:
                await asyncio.sleep(0.02)
                gauges = await client.gauges()
            # It was ended, and did not end by itself.
            assert gauges.counters["vllm:generation_tokens_total"] - before < 1500

        self.run(fleet, work)

    def test_an_aborted_request_is_reported_as_dropped(self, fleet: LiveFleetConfig) -> None:
        async def work(client: NodeClient) -> None:
            started = asyncio.Event()
            request = fresh_request(32, 1500)
            task = asyncio.create_task(client.complete(request, lambda _: started.set()))
            await started.wait()
            await client.abort(request.request_id)
            with pytest.raises(NodeError) as caught:
                await task
            assert caught.value.fault == Fault.DROPPED

        self.run(fleet, work)

    def test_a_full_queue_is_refused_with_busy(self, fleet: LiveFleetConfig) -> None:
        eager = fleet.model_copy(update={"client": fleet.client.model_copy(update={"retries": 0})})

        async def work(client: NodeClient) -> list[Fault]:
            before = (await client.gauges()).counters.get("vllm:admission_rejections_total", 0.0)
            tasks = [asyncio.create_task(client.complete(fresh_request(16, 200))) for _ in range(60)]
            ends = await asyncio.gather(*tasks, return_exceptions=True)
            faults = [end.fault for end in ends if isinstance(end, NodeError)]
            after = (await client.gauges()).counters["vllm:admission_rejections_total"]
            assert after - before == len(faults)
            assert len(faults) + sum(isinstance(end, Answer) for end in ends) == 60
            return faults

        faults = self.run(eager, work)
        assert faults
        assert set(faults) == {Fault.BUSY}

    def test_busy_is_waited_out(self, fleet: LiveFleetConfig) -> None:
        patient = fleet.client.model_copy(update={"retries": 20, "backoff_s": 0.1, "backoff_max_s": 1.0})

        async def work(client: NodeClient) -> list[Answer]:
            tasks = [asyncio.create_task(client.complete(fresh_request(16, 30))) for _ in range(40)]
            return await asyncio.gather(*tasks)

        assert len(self.run(fleet.model_copy(update={"client": patient}), work)) == 40

    def test_a_model_that_it_lacks_is_refused(self, fleet: LiveFleetConfig) -> None:
        engine = fleet.nodes[0].engines[0].model_copy(update={"model": "another"})

        async def work(client: NodeClient) -> Fault:
            other = NodeClient(fleet, engine)
            with pytest.raises(NodeError) as caught:
                await other.complete(fresh_request(4, 2))
            await other.close()
            return caught.value.fault

        assert self.run(fleet, work) == Fault.REFUSED

    def test_a_prompt_beyond_its_context_is_refused(self, fleet: LiveFleetConfig) -> None:
        async def work(client: NodeClient) -> Fault:
            with pytest.raises(NodeError) as caught:
                await client.complete(fresh_request(5000, 2))
            return caught.value.fault

        assert self.run(fleet, work) == Fault.REFUSED

    def test_it_sleeps_and_wakes(self, fleet: LiveFleetConfig) -> None:
        async def work(client: NodeClient) -> list[object]:
            await client.sleep()
            asleep = [await client.is_sleeping(), (await client.gauges()).sleep_state]
            await client.wake()
            awake = [await client.is_sleeping(), (await client.gauges()).sleep_state]
            await client.complete(fresh_request(8, 3))
            return asleep + awake

        assert self.run(fleet, work) == [True, "weights_offloaded", False, "awake"]

    def test_a_pause_freezes_and_resume_goes_on(self, fleet: LiveFleetConfig) -> None:
        async def work(client: NodeClient) -> None:
            counts: list[int] = []
            started = asyncio.Event()

            def note(answer: Answer) -> None:
                counts.append(answer.output_tokens)
                started.set()

            task = asyncio.create_task(client.complete(fresh_request(16, 600), note))
            await started.wait()
            await client.pause("keep")
            # What was made before is still on its way for as long as a busy machine takes to deliver it.
            frozen = -1
            while frozen != counts[-1]:
                frozen = counts[-1]
                await asyncio.sleep(0.2)
            assert frozen < 600
            await client.resume()
            assert (await task).output_tokens == 600

        self.run(fleet, work)

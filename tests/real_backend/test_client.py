"""The client against servers that misbehave: every way of it ends as one kind of trouble, soon, and without secrets."""

import asyncio
import base64
import json
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import quote

import pytest

from maestro_gym.config.live import LiveFleetConfig
from maestro_gym.core.errors import MaestroError
from maestro_gym.real_backend.vllm.breaker import Breaker
from maestro_gym.real_backend.vllm.capabilities import probe
from maestro_gym.real_backend.vllm.client import NodeClient
from maestro_gym.real_backend.vllm.completion import Answer
from maestro_gym.real_backend.vllm.metrics_page import read_metrics
from maestro_gym.real_backend.vllm.node_error import Fault, NodeError
from maestro_gym.real_backend.vllm.wire import ModelList, Version, read_wire
from tests.real_backend.conftest import fleet_of, impatient
from tests.real_backend.contract import HANG_S, fresh_request
from tests.real_backend.stand_in import StandIn


def _ask(fleet: LiveFleetConfig, work: Callable[[NodeClient], Awaitable[Any]]) -> Any:  # noqa: ANN401
    async def main() -> Any:  # noqa: ANN401
        client = NodeClient(fleet, fleet.nodes[0].engines[0])
        try:
            return await asyncio.wait_for(work(client), HANG_S)
        finally:
            await client.close()

    return asyncio.run(main())


def _trouble(fleet: LiveFleetConfig, output: int = 20) -> NodeError:
    async def work(client: NodeClient) -> NodeError:
        with pytest.raises(NodeError) as caught:
            await client.complete(fresh_request(16, output))
        return caught.value

    return _ask(fleet, work)


@pytest.mark.parametrize(
    ("plan", "fault"),
    [
        (("drop", 5), Fault.DROPPED),
        (("drop", 0), Fault.DROPPED),
        (("garbage", 5), Fault.MALFORMED),
        (("lie", 0), Fault.MALFORMED),
        (("hang", 5), Fault.STALLED),
        (("busy", 0), Fault.BUSY),
        (("error", 0), Fault.FAILED),
    ],
)
def test_each_misbehaviour_has_its_name(
    server: StandIn, fleet: LiveFleetConfig, plan: tuple[str, int], fault: Fault
) -> None:
    server.faults.plan = lambda _: plan
    patience = {"stall_s": 0.5} if fault == Fault.STALLED else {}
    assert _trouble(impatient(fleet, **patience)).fault == fault


def test_a_server_that_is_gone_is_unreachable(server: StandIn, fleet: LiveFleetConfig) -> None:
    server.stop()
    assert _trouble(fleet).fault == Fault.UNREACHABLE


def test_what_failed_before_its_first_token_is_tried_again(server: StandIn, fleet: LiveFleetConfig) -> None:
    tries: list[str] = []

    def plan(request_id: str) -> tuple[str, int] | None:
        tries.append(request_id)
        return ("error", 0) if len(tries) < 3 else None

    server.faults.plan = plan
    assert _ask(fleet, lambda client: client.complete(fresh_request(16, 4))).output_tokens == 4
    assert len(tries) == 3


def test_what_failed_after_its_first_token_is_the_callers_business(server: StandIn, fleet: LiveFleetConfig) -> None:
    tries: list[str] = []

    def plan(request_id: str) -> tuple[str, int]:
        tries.append(request_id)
        return ("drop", 3)

    server.faults.plan = plan
    assert _trouble(fleet).fault == Fault.DROPPED
    assert len(tries) == 1


def test_after_failures_in_a_row_the_server_is_left_alone(server: StandIn, fleet: LiveFleetConfig) -> None:
    server.faults.plan = lambda _: ("error", 0)
    # However long the calls take, it is not tried again.
    fleet = impatient(fleet, breaker_open_s=HANG_S)

    async def work(client: NodeClient) -> list[Fault]:
        faults = []
        for _ in range(3):
            with pytest.raises(NodeError) as caught:
                await client.complete(fresh_request(8, 2))
            faults.append(caught.value.fault)
        return faults

    faults = _ask(fleet, work)
    assert faults[-1] == Fault.LEFT_ALONE


def test_a_breaker_lets_one_call_through_when_its_time_is_up() -> None:
    now = [0.0]
    breaker = Breaker(2, 10.0, lambda: now[0])
    breaker.failed()
    assert breaker.allows()
    breaker.failed()
    assert not breaker.allows()
    now[0] = 10.0
    assert [breaker.allows(), breaker.allows()] == [True, False]
    breaker.succeeded()
    assert breaker.allows()


def test_an_endless_line_is_not_read_to_its_end(server: StandIn, fleet: LiveFleetConfig) -> None:
    server.faults.metrics_body = b"x" * (2**23 + 2)

    async def work(client: NodeClient) -> NodeError:
        with pytest.raises(NodeError) as caught:
            await client.gauges()
        return caught.value

    error = _ask(fleet, work)
    assert error.fault == Fault.MALFORMED
    assert len(str(error)) < 400


@pytest.mark.parametrize(
    "page",
    [
        b"vllm:kv_cache_usage_perc nan\n",
        b"vllm:kv_cache_usage_perc 7\n",
        b"vllm:num_requests_running -3\n",
        b"\xff\xfe",
        b'vllm:num_requests_running{engine="0" 1',
    ],
)
def test_a_metrics_page_that_cannot_be_is_malformed(page: bytes) -> None:
    with pytest.raises(NodeError) as caught:
        read_metrics(page)
    assert caught.value.fault == Fault.MALFORMED


def test_a_page_without_the_gauges_says_nothing() -> None:
    gauges = read_metrics(b"some_other_gauge 3\n")
    assert gauges.running is None
    assert gauges.kv_usage is None


def test_gauges_of_data_parallel_engines_are_added_up() -> None:
    page = b"".join(
        b'vllm:num_requests_running{engine="%d"} 3\nvllm:kv_cache_usage_perc{engine="%d"} 0.5\n' % (i, i)
        for i in range(2)
    )
    gauges = read_metrics(page)
    assert (gauges.running, gauges.kv_usage) == (6, 0.5)


def test_the_key_goes_to_the_server_and_nowhere_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_KEY", "secret-4711")
    with StandIn(api_key="secret-4711") as server:
        fleet = fleet_of([server], api_key_env="MY_KEY")
        assert _ask(fleet, lambda client: client.complete(fresh_request(8, 2))).output_tokens == 2
        monkeypatch.setenv("MY_KEY", "wrong-0815")
        error = _trouble(fleet)
    assert error.fault == Fault.REFUSED
    assert "Unauthorized: Bearer [key]" in str(error)  # the server repeats what it was sent
    assert "wrong-0815" not in f"{error!r} {error}"
    assert "secret-4711" not in str(fleet.model_dump())


def test_a_key_is_hidden_however_a_server_writes_it(server: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    key = 'pa"ss/wo\\rd+4711='
    monkeypatch.setenv("MY_KEY", key)
    fleet = fleet_of([server], api_key_env="MY_KEY")
    NodeClient(fleet, fleet.nodes[0].engines[0])
    escaped = "".join(f"\\u{ord(letter):04x}" for letter in key)
    ways = [json.dumps(key)[1:-1], quote(key, safe=""), base64.b64encode(key.encode()).decode()]
    for body in (
        json.dumps({"version": key}),
        f'{{"version": "{escaped}"}}',
        *(json.dumps({"version": w}) for w in ways),
    ):
        assert read_wire(Version, body.encode(), "/version").version == "[key]"
    for written in (key, *ways):
        assert str(NodeError(Fault.FAILED, f"500 {written}")) == "failed: 500 [key]"
    models = read_wire(ModelList, json.dumps({"data": [{"id": f"mine {key}"}]}).encode(), "/v1/models")
    assert models.data[0].id == "mine [key]"


@pytest.mark.parametrize("key", ["a b c d", "abc", "schlüssel", "line\nbreak"])
def test_what_cannot_be_a_key_is_one_paragraph(server: StandIn, monkeypatch: pytest.MonkeyPatch, key: str) -> None:
    monkeypatch.setenv("MY_KEY", key)
    fleet = fleet_of([server], api_key_env="MY_KEY")
    with pytest.raises(MaestroError, match="MY_KEY holds no key") as caught:
        NodeClient(fleet, fleet.nodes[0].engines[0])
    assert key not in str(caught.value)


def test_a_key_that_is_not_set_is_one_paragraph(server: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MY_KEY", raising=False)
    fleet = fleet_of([server], api_key_env="MY_KEY")
    with pytest.raises(MaestroError, match="MY_KEY"):
        NodeClient(fleet, fleet.nodes[0].engines[0])


def test_what_a_production_server_lacks_is_named_with_its_fallback() -> None:
    with StandIn(dev_mode=False) as server:
        server.faults.metrics = False
        found = _ask(fleet_of([server]), probe)
    assert not found.sleep
    assert found.priority is None
    assert found.token_ids
    assert "closing its connection" in found.missing["abort"]
    assert "kv_used_bytes" in found.missing["metrics"]


def test_a_server_that_says_nothing_of_its_configuration_is_used_all_the_same(server: StandIn) -> None:
    server.faults.silent = ("/server_info",)
    found = _ask(impatient(fleet_of([server]), control_s=0.5), probe)
    assert found.priority is None
    assert found.token_ids
    assert found.notes == ["/server_info: stalled: /server_info took more than 0.5 s"]


def test_a_server_without_priority_is_told_apart() -> None:
    with StandIn(priority=False) as server:
        assert _ask(fleet_of([server]), probe).priority is False


def test_a_wrong_model_name_stops_the_probe(server: StandIn) -> None:
    fleet = fleet_of([server])
    server.model = "something-else"
    with pytest.raises(MaestroError, match=r"serves something-else, the fleet file says `mid`"):
        _ask(fleet, probe)


def test_cancelling_frees_the_server_in_the_midst_of_a_stream(server: StandIn, fleet: LiveFleetConfig) -> None:
    async def the_first_token_only() -> None:
        await asyncio.sleep(server.step_s)
        while any(job.made for job in server.running):
            await asyncio.sleep(server.step_s)

    async def work(client: NodeClient) -> None:
        begun = asyncio.Event()

        def note(_: Answer) -> None:
            begun.set()

        task = asyncio.create_task(client.complete(fresh_request(16, 1000), note))
        await begun.wait()
        task.cancel()
        while server.running:
            await asyncio.sleep(0.005)

    server.pace = the_first_token_only
    _ask(fleet, work)
    assert server.finished_ids == []

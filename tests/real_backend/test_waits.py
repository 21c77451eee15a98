"""Every wait for a server has an end in sum: what comes slowly, says nothing or never ends is given up."""

import asyncio
import os
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from maestro_gym.config.live import LiveFleetConfig, load_fleet
from maestro_gym.core.errors import MaestroError
from maestro_gym.real_backend.control.opening import meet_all
from maestro_gym.real_backend.fleet.local import Launcher
from maestro_gym.real_backend.fleet.processes import ServerNote
from maestro_gym.real_backend.vllm import metrics_page
from maestro_gym.real_backend.vllm.client import NodeClient
from maestro_gym.real_backend.vllm.completion import Request
from maestro_gym.real_backend.vllm.metrics_page import read_metrics
from maestro_gym.real_backend.vllm.node_error import Fault, NodeError
from maestro_gym.real_backend.vllm.server import Server
from tests.real_backend.conftest import fleet_of, impatient
from tests.real_backend.runs import assert_nothing_lost, controller_of, log_of, run
from tests.real_backend.slow_peers import HEAD, STREAM, slow_peer
from tests.real_backend.stand_in import StandIn

GUARD_S = 60.0
"""Only against hanging: a hundred times the patience of these tests."""

SHORT = {"control_s": 0.4, "first_token_s": 0.4, "stall_s": 0.4, "stream_s": 0.8, "sleep_s": 0.4, "retries": 0}
KINDS = {
    "silent": (b"", []),
    "a byte of the head at a time": (b"HTTP/1.1 200 OK\r\nX-Slow: ", [b"x"]),
    "a byte of the body at a time": (HEAD, [b" "]),
    "a refusal, a byte at a time": (HEAD.replace(b"200 OK", b"500 No"), [b" "]),
}
CALLS: dict[str, Callable[[NodeClient], Coroutine[Any, Any, Any]]] = {
    "health": NodeClient.health,
    "metrics": NodeClient.gauges,
    "models": NodeClient.models,
    "version": NodeClient.version,
    "server_info": NodeClient.server_info,
    "is_sleeping": NodeClient.is_sleeping,
    "load": lambda client: client.has_route("/load"),
    "sleep": NodeClient.sleep,
    "wake": NodeClient.wake,
    "pause": NodeClient.pause,
    "resume": NodeClient.resume,
    "reset_prefix_cache": NodeClient.reset_prefix_cache,
    "abort": lambda client: client.abort("1"),
    "load_lora": lambda client: client.load_lora("a", "b"),
}


def _fleet(url: str, **client: float) -> LiveFleetConfig:
    document = load_fleet("local_cpu").model_dump(mode="json")
    host = document["clusters"][0]["hosts"][0]
    host["nodes"] = [host["nodes"][0] | {"engines": [{"model": "mid", "url": url, "launch": False}]}]
    document["client"] |= SHORT | client
    return LiveFleetConfig.model_validate(document)


async def _with_client(fleet: LiveFleetConfig, work: Callable[[NodeClient], Coroutine[Any, Any, Any]]) -> object:
    client = NodeClient(fleet, fleet.nodes[0].engines[0])
    try:
        return await asyncio.wait_for(work(client), GUARD_S)
    finally:
        await client.close()


def _fault(url: str, work: Callable[[NodeClient], Coroutine[Any, Any, Any]], **client: float) -> NodeError:
    with pytest.raises(NodeError) as caught:
        asyncio.run(_with_client(_fleet(url, **client), work))
    return caught.value


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("call", CALLS)
def test_a_call_that_does_not_end_is_given_up(kind: str, call: str) -> None:
    with slow_peer(*KINDS[kind]) as peer:
        assert _fault(peer.url, CALLS[call]).fault == Fault.STALLED


@pytest.mark.parametrize("call", ["sleep", "wake"])
def test_repetitions_do_not_add_up(call: str) -> None:
    """Four tries of 0.4 s each would be four waits; the limit holds for all of them."""
    with slow_peer() as peer:
        error = _fault(peer.url, CALLS[call], retries=3)
        assert "more than 0.4 s" in str(error)
        assert peer.requests == 1


def _event(tokens: int) -> bytes:
    usage = f'"usage": {{"prompt_tokens": 16, "completion_tokens": {tokens}}}'
    return b'data: {"choices": [{"text": "x"}], %s}\n\n' % usage.encode()


STREAMS = {
    "silent": (b"", [], "no token came for 0.4 s"),
    "a byte of the head at a time": (b"HTTP/1.1 200 OK\r\nX-Slow: ", [b"x"], "no token came for 0.4 s"),
    "comments": (STREAM, [b": still there\n\n"], "no token came for 0.4 s"),
    "events without tokens": (STREAM, [b'data: {"choices": []}\n\n'], "no token came for 0.4 s"),
    "a line without an end": (STREAM, [b"data: "], "no token came for 0.4 s"),
    "a token, and then events without": (STREAM, [_event(1), b'data: {"choices": []}\n\n'], "no token came for 0.4 s"),
    "tokens for ever": (STREAM, [_event(n) for n in range(1, 1000)], "not whole after 0.8 s"),
}


@pytest.mark.parametrize("kind", STREAMS)
def test_a_stream_that_does_not_end_is_given_up(kind: str) -> None:
    first, pieces, words = STREAMS[kind]
    with slow_peer(first, pieces) as peer:
        error = _fault(peer.url, lambda client: client.complete(Request("r", range(16), 1000)))
    assert error.fault == Fault.STALLED
    assert words in str(error)


def test_a_stream_of_more_than_was_asked_for_is_cut_at_once() -> None:
    with slow_peer(STREAM, [_event(n) for n in range(1, 1000)]) as peer:
        request = Request("r", range(16), 3)
        error = _fault(peer.url, lambda client: client.complete(request), stream_s=GUARD_S)
    assert error.fault == Fault.MALFORMED
    assert "4 tokens came, 3 were asked for" in str(error)


@pytest.mark.parametrize("kind", KINDS)
def test_a_run_does_not_wait_at_its_start(kind: str) -> None:
    with slow_peer(*KINDS[kind]) as peer:
        fleet = _fleet(peer.url)
        engine = fleet.nodes[0].engines[0]

        async def meet() -> None:
            server = Server(0, 0, "n0", engine, NodeClient(fleet, engine))
            try:
                await asyncio.wait_for(meet_all([server]), GUARD_S)
            finally:
                await server.client.close()

        with pytest.raises(MaestroError, match="does not answer as it should"):
            asyncio.run(meet())


@pytest.mark.parametrize("kind", ["silent", "a byte of the head at a time"])
def test_a_server_that_starts_for_ever_is_given_up(kind: str, tmp_path: Path) -> None:
    with slow_peer(*KINDS[kind]) as peer:
        fleet = _fleet(peer.url)
        fleet = fleet.model_copy(update={"launch": fleet.launch.model_copy(update={"ready_s": 0.5})})
        note = ServerNote(peer.url, "n0", "mid", os.getpid(), -1, str(tmp_path / "log"), [], time.time())
        launcher = Launcher(fleet, None, [], tmp_path)  # type: ignore[arg-type] - nothing is started here
        with pytest.raises(MaestroError, match=r"did not answer within 0.5 s \(launch.ready_s\)"):
            asyncio.run(asyncio.wait_for(launcher.wait_ready(note), GUARD_S))


def test_the_parser_hears_only_the_lines_that_are_read(monkeypatch: pytest.MonkeyPatch, server: StandIn) -> None:
    heard: list[str] = []
    parse = metrics_page.text_string_to_metric_families

    def note(text: str) -> Any:  # noqa: ANN401 - what the parser gives
        heard.append(text)
        return parse(text)

    monkeypatch.setattr(metrics_page, "text_string_to_metric_families", note)
    page = server._page().encode()
    flood = b"".join(b'x{n="%d"} 1\n' % n for n in range(100_000))
    assert read_metrics(flood + page) == read_metrics(page)
    assert max(text.count("\n") for text in heard) < 40


@pytest.mark.parametrize(
    "page",
    [
        b'vllm:num_requests_running{a="' + b"x" * 1_000_000 + b'"} 1\n',
        b"".join(b'vllm:num_requests_running{n="%d"} 1\n' % n for n in range(40_000)),
    ],
    ids=["a label of a megabyte", "forty thousand samples"],
)
def test_a_page_that_would_take_long_is_refused_unread(page: bytes) -> None:
    with pytest.raises(NodeError, match="more than 2000 lines, or one above 16384 bytes"):
        read_metrics(page)


@pytest.mark.parametrize("kind", ["flood", "label", "too large", "no page"])
def test_a_bad_page_of_one_server_costs_the_others_nothing(
    two_servers: list[StandIn], tmp_path: Path, kind: str
) -> None:
    bad, _ = two_servers
    pages = {
        "flood": b"".join(b'x{n="%d"} 1\n' % n for n in range(100_000)),
        "label": b'vllm:cache_config_info{a="' + b"x" * 2_000_000 + b'"} 1\n',
        "too large": b"x 1\n" * 1_000_000,
        "no page": b"<html>Welcome</html>",
    }
    controller = controller_of(fleet_of(two_servers), tmp_path)
    asked = bad.faults
    begun = controller._open

    async def opened() -> Any:  # noqa: ANN401 - what it opens
        context = await begun()
        asked.metrics_body = pages[kind]
        return context

    controller._open = opened  # type: ignore[method-assign]
    run(controller)
    assert_nothing_lost(controller)
    assert controller.servers[1].faults == {}
    assert {event["server"] for event in log_of(controller) if event["event"] == "metrics_lost"} == {"n0/mid"}
    assert not [event for event in log_of(controller) if event["event"] == "down"]


def test_one_silent_server_leaves_the_work_to_the_other(two_servers: list[StandIn], tmp_path: Path) -> None:
    """Its streams give nothing and its pages hang: the run ends, and the other is charged with nothing."""
    bad, _ = two_servers
    fleet = impatient(fleet_of(two_servers), first_token_s=1.0, stall_s=1.0, control_s=1.0)
    controller = controller_of(fleet, tmp_path)
    bad.faults.plan = lambda request_id: None if request_id.startswith("probe") else ("hang", 0)
    run(controller)
    assert_nothing_lost(controller)
    assert controller.servers[1].faults == {}
    assert controller.servers[0].finished == 0

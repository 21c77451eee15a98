"""An episode played back: what the page is told, who is answered, and the page in a headless Chromium."""

import gzip
import http.client
import json
import os
import re
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from maestro_gym.core.errors import MaestroError
from maestro_gym.evaluation.comparison_files import write_results
from maestro_gym.evaluation.episode_store import EpisodeStore
from maestro_gym.evaluation.report.episode_trace import Trace
from maestro_gym.evaluation.watch.document import watch_document
from maestro_gym.evaluation.watch.episodes import kept, simulated
from maestro_gym.evaluation.watch.film import demand_film, film
from maestro_gym.evaluation.watch.server import EPISODES, serve
from maestro_gym.evaluation.worker import JobOutcome
from tests.evaluation.by_hand import make_comparison

EVIL = '<img src=x onerror="window.hacked=1">'
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
WIDTHS = {"phone": 390, "tablet": 1000, "desk": 1400}
READY_MS = 30_000


@pytest.fixture(scope="module")
def traces() -> list[Trace]:
    """Two policies, of which the second is a second later; see `by_hand`."""
    return make_comparison(("fcfs", EVIL)).traces


def test_the_page_is_told_columns_of_what_happened(traces: list[Trace]) -> None:
    told = watch_document(traces)
    assert told["title"] == "tiny, high, seed 0"
    first, second = told["episodes"]
    assert (first["policy"], second["policy"]) == ("fcfs", EVIL)
    assert first["stages"]["finished_s"] == [4.0, 9.0, 7.0, None, None]
    assert first["stages"]["admitted_s"] == [1.0, 6.0, 3.0, 40.0, None]
    assert first["workflows"]["finished_s"] == [9.0, 7.0, None]
    assert [(e["node"], e["model"]) for e in first["engines"]] == [(e["node"], e["model"]) for e in second["engines"]]
    assert first["kv"]["used"][2] == [16.67, 8.33]
    json.dumps(told, allow_nan=False)
    assert told["note"] == ""


def test_only_this_machine_by_its_own_name_is_answered(traces: list[Trace]) -> None:
    with serve(lambda: watch_document(traces)) as address:
        port = int(address.rstrip("/").rpartition(":")[2])
        assert address == f"http://127.0.0.1:{port}/"
        status, headers, body = _get(port, EPISODES)
        assert (status, json.loads(body)["title"]) == (200, "tiny, high, seed 0")
        assert _get(port, EPISODES, {"If-None-Match": headers["ETag"]})[::2] == (304, b"")
        assert _get(port, "/", {"Host": f"localhost:{port}"})[0] == 200
        assert _get(port, "/", {"Host": f"rebound.example:{port}"})[0] == 403
        assert _get(port, "/../../etc/passwd")[0] == 404
        assert "default-src 'none'" in _get(port, "/")[1]["Content-Security-Policy"]
        with pytest.raises(MaestroError, match=f"--port {port}"), serve(dict, port):
            pass


def _get(port: int, path: str, headers: dict[str, str] | None = None) -> tuple[int, Any, bytes]:
    asked = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    asked.request("GET", path, headers=headers or {})
    answer = asked.getresponse()
    body = answer.read()
    asked.close()
    return answer.status, answer.headers, gzip.decompress(body) if answer.headers["Content-Encoding"] and body else body


def test_episodes_of_a_comparison_are_read_and_not_run_again(tmp_path: Path) -> None:
    comparison = make_comparison(("fcfs", "edf", "sjf"), ("high", "low"))
    with EpisodeStore(tmp_path, {}, {}, resume=False) as store:
        for number, trace in enumerate(comparison.traces):
            store.add(number, JobOutcome({}, comparison.workflows[:0], trace))
    write_results(comparison, tmp_path)
    assert [trace.policy for trace in kept(tmp_path)] == ["fcfs", "edf"], "the reference and the next best"
    (chosen,) = kept(tmp_path, ["sjf"], contention="low")
    assert (chosen.policy, chosen.contention) == ("sjf", "low")
    with pytest.raises(MaestroError, match="it has tiny at high, tiny at low"):
        kept(tmp_path, contention="medium")
    with pytest.raises(MaestroError, match="has no episode of lifo"):
        kept(tmp_path, ["lifo"])
    with pytest.raises(MaestroError, match="one, or two side by side"):
        kept(tmp_path, ["fcfs", "edf", "sjf"])


def test_a_video_that_cannot_be_made_is_refused_before_anything_is_run(tmp_path: Path) -> None:
    with pytest.raises(MaestroError, match=r"\.mp4, \.webm, \.gif"):
        demand_film(tmp_path / "episode.avi")


def test_two_policies_are_simulated_on_the_same_workflows() -> None:
    one, other = simulated("toy", ["fcfs", "maestro"], overrides=["horizon_s=5"])
    assert np.array_equal(one.workflows["arrival_s"], other.workflows["arrival_s"])
    assert (one.policy, other.policy) == ("fcfs", "maestro")
    assert len(one.samples) > 2
    assert len(one.residency_log) + len(one.ran) > 0
    with pytest.raises(MaestroError, match="named twice"):
        simulated("toy", ["fcfs", "fcfs"])


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed (pip install playwright)")
    if CHROMIUM is None:
        pytest.skip("no Chromium on this machine (apt-get install chromium)")
    removed = {name: os.environ.pop(name) for name in list(os.environ) if name.lower().endswith("_proxy")}
    with sync_api.sync_playwright() as program:
        browser = program.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        yield browser
        browser.close()
    os.environ.update(removed)


@contextmanager
def opened(browser: Any, address: str, width: int = 1400) -> Iterator[Any]:  # noqa: ANN401 - playwright's
    """The page, once it has its episodes; that nothing went wrong on it is asserted at the end."""
    context = browser.new_context(viewport={"width": width, "height": 900})
    page = context.new_page()
    troubles: list[str] = []
    page.on("pageerror", lambda error: troubles.append(str(error)))
    page.on("console", lambda message: troubles.append(message.text) if message.type == "error" else None)
    page.goto(address)
    page.wait_for_selector("body[data-ready]", timeout=READY_MS)
    yield page
    assert troubles == []
    assert page.evaluate("window.hacked") is None
    assert page.locator("#trouble").is_hidden()
    context.close()


def _until(page: Any, condition: str) -> None:  # noqa: ANN401 - playwright's
    """Wait for a condition; `wait_for_function` would need the page to allow `eval`, which its policy does not."""
    for _ in range(600):
        if page.evaluate(condition):
            return
        page.wait_for_timeout(50)
    raise AssertionError(condition)


def _at(page: Any) -> float:  # noqa: ANN401 - playwright's
    return float(page.evaluate("watch.now().at"))


def test_it_plays_steps_and_jumps_by_the_keyboard(browser: Any, traces: list[Trace]) -> None:  # noqa: ANN401
    with serve(lambda: watch_document(traces)) as address, opened(browser, address) as page:
        assert _at(page) == 0.0
        page.keyboard.press("ArrowRight")
        assert _at(page) > 0.0
        first = _at(page)
        page.keyboard.press("ArrowRight")
        second = _at(page)
        assert second > first
        page.keyboard.press("ArrowLeft")
        assert _at(page) == first

        page.keyboard.press("m")
        assert _at(page) == 6.0, "workflow 1 misses its deadline"
        assert page.evaluate("watch.now().picked") == 1
        assert "workflow 1, interactive, tenant 1" in page.locator("#picked").inner_text()
        page.locator("#miss").click()
        assert _at(page) == 50.0
        page.keyboard.press("Shift+M")
        assert _at(page) == 6.0
        page.keyboard.press("Escape")
        assert page.locator("#picked").is_hidden()

        page.keyboard.press("Home")
        page.locator("#speed").select_option("50")
        page.locator("#title").click()
        page.keyboard.press(" ")
        _until(page, "watch.now().at > 5")
        page.keyboard.press(" ")
        assert page.evaluate("watch.now().playing") is False
        page.keyboard.press("End")
        assert _at(page) == 100.0
        page.locator("#play").click()
        _until(page, "watch.now().at > 1 && watch.now().at < 99")


def test_what_stands_on_the_page_is_how_things_stood(browser: Any, traces: list[Trace]) -> None:  # noqa: ANN401
    with serve(lambda: watch_document(traces)) as address, opened(browser, address) as page:
        assert [place.inner_text() for place in page.locator("h2").all()] == ["fcfs", EVIL]
        page.evaluate("watch.show(3.5)")  # stage 0 decodes on node 0, stage 2 prefills on node 1, stage 3 was paused
        left = page.locator(".episode").first
        counts = {name: left.locator(f'[data-count="{name}"]').inner_text() for name in ("present", "batch", "met")}
        assert counts == {"present": "3", "batch": "2", "met": "0"}
        marks = left.locator('[data-node="0"] .engine .stages b')
        assert [
            (mark.get_attribute("data-workflow"), "prefill" in mark.get_attribute("class")) for mark in marks.all()
        ] == [("0", False)]
        assert "prefill" in left.locator('[data-node="1"] .engine .stages b').first.get_attribute("class")
        assert left.locator('[data-node="1"] .waits b').get_attribute("class") == "batch"
        assert re.fullmatch(r"3\.0 s\s*1 admitted by \S+: \S+", left.locator(".decisions li").first.inner_text())
        marks.first.click()
        assert page.locator(".picked").count() == 2, "under both policies"
        left.locator(".decisions button").first.click()
        assert page.evaluate("watch.now().picked") == 1
        page.evaluate("watch.show(11)")
        assert [place.inner_text() for place in page.locator('[data-count="missed"]').all()] == ["1", "1"]
        assert [place.inner_text() for place in page.locator('[data-count="met"]').all()] == ["1", "1"]
        page.evaluate("watch.show(30)")
        assert left.locator(".node small").first.inner_text() == "KV 6 of 47 GB"


def test_whoever_is_turned_away_is_neither_there_nor_waits(browser: Any, traces: list[Trace]) -> None:  # noqa: ANN401
    workflows = traces[0].workflows.copy()
    workflows["rejected_s"][2] = 2.5
    trace = replace(traces[0], workflows=workflows)
    with serve(lambda: watch_document([trace])) as address, opened(browser, address) as page:
        counts = "['present', 'rejected'].map(name => document.querySelector(`[data-count=${name}]`).innerText)"
        for moment, found in ((2.4, ["3", "0"]), (3.5, ["2", "1"])):
            page.evaluate("at => watch.show(at)", moment)
            assert page.evaluate(counts) == found
        assert page.locator(".waits b").count() == 0
        assert page.locator(".decisions li", has_text="workflow 2 is turned away").count() == 1
    with serve(lambda: watch_document(traces)) as address, opened(browser, address) as page:
        assert page.locator('[data-count="rejected"]').count() == 0, "where nobody is turned away"


@pytest.mark.parametrize("width", WIDTHS.values(), ids=WIDTHS)
def test_it_fits_the_width(browser: Any, traces: list[Trace], width: int) -> None:  # noqa: ANN401
    with serve(lambda: watch_document(traces)) as address, opened(browser, address, width) as page:
        page.evaluate("watch.show(5)")
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        shown = [place.is_visible() for place in page.locator(".episode").all()]
        if width > 760:
            assert shown == [True, True]
            return
        assert shown == [True, False]
        page.locator("#sides button").nth(1).click()
        assert [place.is_visible() for place in page.locator(".episode").all()] == [False, True]


def test_an_episode_that_goes_on_is_followed(browser: Any, traces: list[Trace]) -> None:  # noqa: ANN401
    going = {"end_s": 20.0}

    def document() -> dict[str, Any]:
        return watch_document([replace(traces[0], end_s=going["end_s"])], following=going["end_s"] < 40)

    with serve(document) as address, opened(browser, address) as page:
        assert "still running" in page.locator("#title").inner_text()
        assert _at(page) == 20.0, "at its present end"
        going["end_s"] = 30.0
        _until(page, "watch.now().at === 30")
        page.keyboard.press("Home")
        page.locator("#follow").uncheck()
        going["end_s"] = 45.0
        _until(page, "watch.now().end === 45")
        assert _at(page) == 0.0, "whoever looks back is left there"
        assert "still running" not in page.locator("#title").inner_text()


@pytest.mark.parametrize("ending", [".gif", ".mp4"])
def test_the_episode_is_saved_as_a_video(browser: Any, traces: list[Trace], tmp_path: Path, ending: str) -> None:  # noqa: ANN401
    pytest.importorskip("moviepy", reason="moviepy is not installed (pip install 'maestro-gym[render]')")
    from moviepy import VideoFileClip

    assert browser.is_connected()
    # The browser of the other tests holds this thread's event loop.
    with serve(lambda: watch_document(traces)) as address, ThreadPoolExecutor(1) as beside:
        wanted = tmp_path / f"film{ending}"
        path = beside.submit(film, address, wanted, seconds=1.0, width=640, height=480).result()
    with VideoFileClip(str(path)) as clip:
        assert clip.duration == pytest.approx(1.0, abs=0.15)
        first, last = clip.get_frame(0.0), clip.get_frame(clip.duration - 0.1)
    assert first.shape == (480, 640, 3)
    assert (np.abs(first.astype(int) - last.astype(int)) > 40).any(), "time has passed on it"

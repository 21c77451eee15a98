"""The report in a headless Chromium: drawn offline, readable on a phone and a desk, moved by the keyboard."""

import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from maestro_gym.evaluation.comparison import Comparison
from maestro_gym.evaluation.report.display import HEADLINE, number
from maestro_gym.evaluation.report.page.write_page import write_report
from tests.evaluation.by_hand import make_comparison

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed (pip install playwright)")

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine (apt-get install chromium)")

EVIL = '<img src=x onerror="window.hacked=1">'
NAMES = ("fcfs", "edf", EVIL, "maestro-with-a-very-long-name+maestro", "sjf", "%{x} & co")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking", "--disable-sync"]
WIDTHS = {"phone": 390, "desk": 1400}
DRAWN_MS = 30_000


@pytest.fixture(scope="module")
def comparison() -> Comparison:
    return make_comparison(NAMES, ("high", "low"))


@pytest.fixture(scope="module")
def report(comparison: Comparison, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_report(comparison, tmp_path_factory.mktemp("report") / "report.html")


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    # The proxy of a closed network would be asked for pages that lie on the disk.
    kept = {name: os.environ.pop(name) for name in list(os.environ) if name.lower().endswith("_proxy")}
    with sync_api.sync_playwright() as program:
        browser = program.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()
    os.environ.update(kept)


@pytest.fixture(params=WIDTHS)
def page(browser: Any, report: Path, request: pytest.FixtureRequest) -> Iterator[Any]:  # noqa: ANN401 - playwright's
    phone = request.param == "phone"
    context = browser.new_context(
        viewport={"width": WIDTHS[request.param], "height": 900}, offline=True, has_touch=phone, is_mobile=phone
    )
    page = context.new_page()
    troubles: list[str] = []
    page.on("pageerror", lambda error: troubles.append(str(error)))
    page.on("console", lambda message: troubles.append(message.text) if message.type == "error" else None)
    page.goto(report.as_uri())
    page.wait_for_selector("body[data-ready]", timeout=DRAWN_MS)
    yield page
    assert troubles == []
    assert page.evaluate("window.hacked") is None
    context.close()


def _draw_all(page: Any) -> None:  # noqa: ANN401 - playwright's
    for place in page.query_selector_all(".figure, .under"):
        place.scroll_into_view_if_needed()
        page.wait_for_function("place => place.querySelector('.main-svg')", arg=place, timeout=DRAWN_MS)


def test_every_figure_is_drawn_and_no_text_is_cut(page: Any) -> None:  # noqa: ANN401 - playwright's
    _draw_all(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= page.viewport_size["width"]
    outside = page.evaluate("""() => Array.from(document.querySelectorAll(".figure, .under")).flatMap(place => {
        const box = place.getBoundingClientRect();
        return Array.from(place.querySelectorAll("text")).filter(text => {
            const own = text.getBoundingClientRect();
            return own.width && (own.left < box.left - 1 || own.right > box.right + 1 ||
                                 own.top < box.top - 1 || own.bottom > box.bottom + 1);
        }).map(text => text.textContent);
    })""")
    assert outside == []
    cut = page.evaluate("""() => Array.from(document.querySelectorAll("h1, h2, h3, p, li, figcaption, label, summary"))
        .filter(place => place.clientWidth && place.scrollWidth > place.clientWidth + 1).map(place => place.innerText)
    """)
    assert cut == []


def test_names_are_shown_as_they_are(page: Any) -> None:  # noqa: ANN401 - playwright's
    ticks = page.locator("#picture .ytick text").all_text_contents()
    shown = {re.sub(r"\s", "", tick) for tick in ticks}
    assert shown == {re.sub(r"\s", "", name) for name in NAMES}
    assert [name.strip() for name in page.locator("#rows label").all_text_contents()] == list(NAMES)
    assert page.locator("img").count() == 0


def test_a_heading_sorts_by_the_keyboard(page: Any) -> None:  # noqa: ANN401 - playwright's
    heading = page.locator("table.results").first.locator("th").nth(3)
    heading.locator("button").focus()
    for expected, order in (("ascending", list(NAMES)), ("descending", list(reversed(NAMES)))):
        page.keyboard.press("Enter")
        assert heading.get_attribute("aria-sort") == expected
        assert page.locator("table.results").first.locator("td.name b").all_inner_texts() == order


def test_columns_and_rows_can_be_hidden(page: Any) -> None:  # noqa: ANN401 - playwright's
    table = page.locator("table.results").first
    page.locator("#columns summary").click()
    page.locator("#columns input").first.uncheck()
    assert not table.locator('[data-column="0"]').first.is_visible()
    assert table.locator('[data-column="1"]').first.is_visible()
    page.locator("summary", has_text="Policies").click()
    page.locator("#find").fill("EDF")
    assert page.locator("#rows label:visible").all_inner_texts() == ["edf"]
    page.locator('#rows button[value="none"]').click()
    visible = [row.is_visible() for row in table.locator("tbody tr").all()]
    assert visible == [name != "edf" for name in NAMES]


def test_another_reference_changes_the_differences_and_the_line(page: Any, comparison: Comparison) -> None:  # noqa: ANN401
    page.select_option("#metric", "completion_mean_s")
    page.select_option("#reference", "edf")
    column = [shown.column for shown in HEADLINE].index("completion_mean_s")
    for place, setting in enumerate(comparison.settings):
        rows = page.locator("table.results").nth(place).locator("tbody tr")
        for row, name in enumerate(NAMES):
            words = rows.nth(row).locator("small.gap").nth(column).text_content()
            if name == "edf":
                assert words == ""
            else:
                gap = comparison.difference(setting, name, "edf", "completion_mean_s")
                assert words.split("\n")[0] == number(gap.estimate, signed=True)
    line = page.evaluate("document.getElementById('picture').layout.shapes[0].x0")
    assert line == comparison.cell(comparison.settings[0], "edf", "completion_mean_s").value.estimate
    assert "reference edf" in page.locator("#picture .annotation-text").all_text_contents()


def test_buttons_zoom_a_figure(page: Any) -> None:  # noqa: ANN401 - playwright's
    spans = "(() => { const [a, b] = document.getElementById('picture')._fullLayout.xaxis.range; return b - a; })()"
    before = page.evaluate(spans)
    page.locator("#picture + .tools button[aria-label='zoom in']").press("Enter")
    assert page.evaluate(spans) == pytest.approx(0.6 * before)
    page.locator("#picture + .tools button", has_text="whole").press("Enter")
    page.wait_for_function(f"Math.abs({spans} - {before}) < 1e-9")


def test_a_slider_moves_the_edge_between_two_policies_on_one_episode(page: Any) -> None:  # noqa: ANN401 - playwright's
    _draw_all(page)
    slider = page.locator("#cut")
    edge = "Number(document.querySelector('.over').style.clipPath.match(/([0-9.]+)px\\)/)[1])"
    before = page.evaluate(edge)
    slider.focus()
    page.keyboard.press("ArrowRight")
    assert page.evaluate(edge) > before
    page.keyboard.press("Home")
    assert page.evaluate(edge) == pytest.approx(132), "the right policy alone, from the margin on"

    assert page.locator(".sides span").first.inner_text() == "◀ fcfs"
    page.select_option("#left", label="edf")
    page.wait_for_function("document.querySelector('.sides span').innerText === '◀ edf'")
    for view in ("workflows", "stages", "kv", "queues", "batches"):
        page.select_option("#view", view)
        page.wait_for_function(
            "view => document.querySelector('.key:not([hidden])').dataset.view === view"
            " && document.querySelector('.over .main-svg')",
            arg=view,
        )
    ranges = "['.under', '.over'].map(n => document.querySelector(n)._fullLayout.xaxis.range.map(v => v.toFixed(6)))"
    page.locator(".wipe + .tools button[aria-label='zoom in']").click()
    page.wait_for_function(f"(() => {{ const [a, b] = {ranges}; return a.join() === b.join(); }})()")
    low, high = map(float, page.evaluate(ranges)[1])
    assert high - low < 0.7 * 100, "the policy on top has followed"


def test_a_stage_on_a_node_leads_to_the_row_of_its_workflow(page: Any) -> None:  # noqa: ANN401 - playwright's
    _draw_all(page)
    page.select_option("#view", "stages")
    page.wait_for_function("document.querySelector('.key:not([hidden])').dataset.view === 'stages'")
    point = "document.querySelector('.under').data.map(line => line.customdata.map((w, at) => [w, line.x[at]]))"
    bars = [tuple(bar) for line in page.evaluate(point) for bar in line if bar[0] is not None]
    assert {workflow for workflow, _ in bars} == {0, 1, 2}
    page.evaluate("document.querySelector('.under').emit('plotly_click', {points: [{customdata: 2}]})")
    page.wait_for_function("document.querySelector('.under').layout.shapes")
    assert page.locator("#view").input_value() == "workflows"
    assert page.evaluate("document.querySelector('.under').layout.shapes[0].y0") == 1.5, "the third row"
    assert page.locator("#picked").inner_text().startswith("Workflow 2 is picked")
    page.select_option("#view", "stages")
    page.wait_for_function("document.querySelector('.over').data.length === 5")
    page.locator("#pick").fill("")
    page.locator("#pick").press("Tab")
    page.wait_for_function("document.querySelector('.over').data.length === 4")


def test_every_metric_is_a_table_on_demand(page: Any) -> None:  # noqa: ANN401 - playwright's
    details = page.locator("details[data-setting]").first
    details.locator("summary").click()
    details.locator("tbody tr").first.wait_for()
    assert details.locator("tbody tr").count() > 40
    assert details.locator("thead th").all_inner_texts()[2:] == list(NAMES)

"""Every snippet of the README and the docs runs as it stands, on shorter episodes here, or says why it does not."""

import os
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from maestro_gym.cli.app import app
from tests.docs.snippets import PAGES, ROOT, check_words, run, snippets

ALL = [snippet for page in PAGES for snippet in snippets(page)]
NOT_RUN = [snippet for snippet in ALL if snippet.reason]
RUN = {page: found for page in PAGES if (found := [snippet for snippet in snippets(page) if not snippet.reason])}
QUICK = ("docs/baselines.md", "docs/learners.md")
"""Pages whose snippets take seconds; the others compile rules of their own or run many commands."""
IN_THE_CHECKOUT = ("examples", "tests", "benchmarks", "configs")
"""Folders that a page may name when it is read in the root of a checkout."""


def _page(page: Path) -> Any:  # noqa: ANN401 - pytest's parameter set
    name = page.relative_to(ROOT).as_posix()
    return pytest.param(page, id=name, marks=[] if name in QUICK else [pytest.mark.slow])


@pytest.mark.parametrize("page", [_page(page) for page in RUN])
def test_the_snippets_of_a_page_run_in_their_order(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for folder in IN_THE_CHECKOUT:
        (tmp_path / folder).symlink_to(ROOT / folder)
    monkeypatch.setenv("PATH", os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]))
    names: dict[str, Any] = {"__name__": "snippet"}
    try:
        for snippet in RUN[page]:
            run(snippet, names)
    finally:
        for words in [words for snippet in RUN[page] for words in snippet.commands()]:
            if words[1:3] == ["fleet", "down"]:  # a page that fails on its way leaves no server behind
                CliRunner().invoke(app, words[1:])


@pytest.mark.parametrize("snippet", NOT_RUN, ids=lambda snippet: f"{snippet.place}: {snippet.reason}")
def test_a_snippet_that_is_not_run_says_why_and_reads_well(snippet: Any) -> None:  # noqa: ANN401 - a Snippet
    assert len(snippet.reason.split()) >= 3
    if snippet.language == "python":
        compile(snippet.text, snippet.place, "exec")
    else:
        scripts = [words[1] for words in snippet.commands() if words[0] == "python"]
        assert all((ROOT / script).is_file() for script in scripts), scripts


COMMANDS = [
    (snippet.place, words[1:])
    for snippet in ALL
    if snippet.language == "sh"
    for words in snippet.commands()
    if words[0].endswith("maestro-gym")
]


@pytest.mark.parametrize(
    "words", [words for _, words in COMMANDS], ids=[f"{place}: {' '.join(w)}" for place, w in COMMANDS]
)
def test_a_command_has_words_that_the_command_line_knows(words: list[str]) -> None:
    check_words(words)


def test_no_command_hides_in_an_indented_block() -> None:
    hidden = [
        f"{page.relative_to(ROOT)}:{number}"
        for page in PAGES
        for number, line in enumerate(page.read_text(encoding="utf-8").splitlines(), 1)
        if line.startswith(("    maestro-gym", "    python "))
    ]
    assert not hidden, hidden

"""The commands of the README run as they stand, from any folder; those that simulate, over a shorter horizon here."""

import re
import shlex
from itertools import pairwise
from pathlib import Path

import pytest
from typer.testing import CliRunner

from maestro_gym.cli.app import app
from maestro_gym.config import config_dir

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
SHORTER = {"compare": ["--seeds", "10", "--jobs", "1", "horizon_s=120", "drain_s=60"]}
"""What makes a command of the README cheap enough for a test."""


def _blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(encoding="utf-8"), re.M | re.S)


def _commands(text: str) -> list[list[str]]:
    """The words of every ``maestro-gym`` command, joined over continued lines, without comments."""
    lines = text.replace("\\\n", " ").splitlines()
    words = [shlex.split(line, comments=True) for line in lines if re.match(r"\s*(\.venv/bin/)?maestro-gym ", line)]
    return [command[1:] for command in words]


README = [command for block in _blocks(PAGES[0], "sh") for command in _commands(block)]


@pytest.mark.parametrize("command", README, ids=" ".join)
def test_a_command_of_the_readme_runs(command: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(app, [*command, *SHORTER.get(command[0], [])])
    assert result.exit_code == 0, result.output


def test_the_first_program_of_the_readme_runs(capsys: pytest.CaptureFixture[str]) -> None:
    (program,) = _blocks(PAGES[0], "python")
    exec(compile(program.replace('"contention=high"', '"contention=high", "horizon_s=90"'), "README.md", "exec"), {})
    assert re.fullmatch(r"SLO attainment [\d.]+%, Maestro's [\d.]+%\n", capsys.readouterr().out)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_trace_that_a_page_names_comes_with_the_package_or_is_written_on_the_page(page: Path) -> None:
    samples = {file.stem for file in (config_dir() / "traces").iterdir()}
    text = page.read_text(encoding="utf-8")
    indented = "\n".join(
        line for line in text.splitlines() if re.match(r"    (?=maestro-gym)|    .*\\$|        ", line)
    )
    written: set[str] = set()
    for command in _commands("\n".join([*_blocks(page, "sh"), indented])):
        asked = [word.partition("=")[2] for word in command if word.startswith("workload.trace=")]
        asked += [word for option, word in pairwise(command) if option in ("--trace", "import")]
        for name in asked:
            assert name in samples | written or name.isupper(), f"{page.name}: maestro-gym {shlex.join(command)}"
        written |= {word for option, word in pairwise(command) if option in ("--out", "-o")}


def test_own_agents_become_a_workload_as_the_page_on_workloads_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    section = (ROOT / "docs/workloads.md").read_text(encoding="utf-8").partition("## Fitting your own")[2]
    commands = _commands(section.partition("Every application")[0])
    assert [command[0] for command in commands] == ["workload", "workload", "workload", "compare"]
    for command in commands:
        result = CliRunner().invoke(app, [*command, *SHORTER.get(command[0], [])])
        assert result.exit_code == 0, result.output

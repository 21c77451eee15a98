"""The snippets of the docs: blocks of shell and Python, in the order in which a page shows them.

A block that cannot be run here has ``<!-- not run: REASON -->`` on the line before it.
"""

import contextlib
import io
import os
import re
import shlex
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import typer
from typer.testing import CliRunner

from maestro_gym.cli.app import app

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
SHORT_EPISODE = ["horizon_s=60", "drain_s=60"]
SHORTER = {
    "compare": ["--seeds", "10", "--jobs", "1", *SHORT_EPISODE],
    "explain": ["--seeds", "0", *SHORT_EPISODE],
    "search": ["generations=1", "population=4", "validate_every=1", "validation_episodes=1", "horizon_s=60"],
    "train": ["train.total_steps=512", "train.num_envs=4", "train.rollout_steps=64", "horizon_s=60"],
}
"""What makes a command cheap enough for a test: nothing that changes which files it reads and writes."""

_BLOCK = re.compile(
    r"(?:^<!-- not run: (?P<reason>[^\n]+?) -->\n)?^```(?P<language>sh|python)(?: title=\"(?P<file>[\w./]+)\")?\n"
    r"(?P<text>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)


@dataclass(frozen=True)
class Snippet:
    """A block of a page; `reason` says why it is not run, `file` is what a reader saves it as."""

    page: Path
    line: int
    language: str
    text: str
    reason: str
    file: str

    @property
    def place(self) -> str:
        """Page and line, as an editor opens them."""
        return f"{self.page.relative_to(ROOT).as_posix()}:{self.line}"

    def lines(self) -> list[str]:
        """The command lines, joined where they are continued."""
        return [line for line in self.text.replace("\\\n", " ").splitlines() if shlex.split(line, comments=True)]

    def commands(self) -> list[list[str]]:
        """The words of every command line, without comments."""
        return [shlex.split(line, comments=True) for line in self.lines()]


def snippets(page: Path) -> list[Snippet]:
    """The blocks of shell and Python of a page."""
    text = page.read_text(encoding="utf-8")
    return [
        Snippet(
            page,
            text.count("\n", 0, match.start("text")),
            match["language"],
            match["text"],
            match["reason"] or "",
            match["file"] or "",
        )
        for match in _BLOCK.finditer(text)
    ]


def run(snippet: Snippet, names: dict[str, Any]) -> None:
    """Run a block in the working folder; the names of Python blocks are those of the page so far."""
    if snippet.file:
        Path(snippet.file).write_text(snippet.text, encoding="utf-8")
    if snippet.language == "python":
        with contextlib.redirect_stdout(io.StringIO()):
            exec(compile(snippet.text, snippet.place, "exec"), names)
        return
    for line, words in zip(snippet.lines(), snippet.commands(), strict=True):
        if words[0] == "maestro-gym":
            result = CliRunner().invoke(app, [*words[1:], *SHORTER.get(words[1], [])])
            assert result.exit_code == 0, f"{snippet.place}: {line}\n{result.output}"
        else:
            subprocess.run(["bash", "-c", line], check=True, env={**os.environ, "PYTHONPATH": str(ROOT)})


def check_words(words: list[str]) -> None:
    """Hold the words of a ``maestro-gym`` command to the command line, without running it."""
    command: Any = typer.main.get_command(app)
    context, name, rest = None, "maestro-gym", words
    while True:
        context = command.make_context(name, [*rest], parent=context)  # raises what a user would be told
        if not hasattr(command, "get_command"):
            return
        # The verb and its words are kept there.
        name, command, rest = command.resolve_command(context, [*context._protected_args, *context.args])

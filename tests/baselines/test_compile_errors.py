"""A rule that numba cannot compile costs one paragraph with the line, before anything runs."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from maestro_gym.baselines import load_policy
from maestro_gym.cli.app import app
from maestro_gym.core.compile import INTERPRETED
from maestro_gym.core.errors import MaestroError

pytestmark = [
    pytest.mark.filterwarnings("ignore:running the code"),
    pytest.mark.skipif(INTERPRETED, reason="nothing is compiled"),
]

FILE = """
from maestro_gym.scheduling.load_signals import stages_at
from maestro_gym.scheduling.rules import route_by


def cost(view, e, stage, node):
    {line}


RULE = route_by(cost, name="mine", information="N", description="mine", source="test")
"""


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("return float(view.no_such_array[e])", "Unknown attribute 'no_such_array'"),
        ("return float(view.nodes[e, node].nonsense)", "no field called 'nonsense'"),
        ("return float(len(open('x').read()))", "Untyped global name 'open'"),
        ("return undefined(node)", "name 'undefined' is not defined"),
        ("return float(stages_at(view, e))", "missing a required argument: 'node'"),
    ],
)
def test_the_line_and_the_reason_are_named(line: str, reason: str, tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    path.write_text(FILE.format(line=line), encoding="utf-8")
    with pytest.raises(MaestroError) as caught:
        load_policy(f"{path}:RULE")
    message = str(caught.value)
    assert reason in message
    assert f"line 7: `{line}`" in message
    assert "\n" not in message
    assert len(message) < 900


def test_a_rule_that_returns_no_number_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    path.write_text(FILE.format(line="return 'text'"), encoding="utf-8")
    with pytest.raises(MaestroError, match="must return a number"):
        load_policy(f"{path}:RULE")


@pytest.mark.parametrize("verb", [["compare", "-s", "toy", "-p"], ["policies", "--check"], ["live", "-p"]])
def test_every_verb_says_it_in_one_paragraph(verb: list[str], tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    path.write_text(FILE.format(line="return float(view.no_such_array[e])"), encoding="utf-8")
    result = CliRunner().invoke(app, [*verb, f"{path}:RULE"])
    assert result.exit_code == 2, result.output
    # Compiling the simulator may be told of before.
    last = result.stderr.strip().splitlines()[-1]
    assert last.startswith("error: ")
    assert "line 7" in last
    assert "Traceback" not in result.output

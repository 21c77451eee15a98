"""What sets a record apart, and where it stands in the leaderboard."""

from pathlib import Path

import numpy as np
import pytest

from maestro_gym.core.errors import MaestroError
from maestro_gym.evaluation.suite.definition import BudgetConfig
from maestro_gym.evaluation.suite.identity import PolicyIdentity, Training, training_of
from maestro_gym.evaluation.suite.leaderboard import leaderboard_markdown, read_records
from maestro_gym.evaluation.suite.marks import marks_of
from maestro_gym.evaluation.suite.record import Episodes, Record
from tests.evaluation.suite.small import Ran, Small

BUDGET = BudgetConfig(episodes=100, decisions=1000, wall_s=60, information="P")
NOTHING = Training(episodes=0, decisions=0)


def _policy(information: str = "P") -> PolicyIdentity:
    return PolicyIdentity(
        spec="x", name="x", rules=list("abcd"), information=information, learned=False, numbers=None, files={}
    )


def _episodes(unfinished: list[float], ends: str = "drained") -> Episodes:
    count = len(unfinished)
    return Episodes(
        metrics={"unfinished": unfinished}, workflows=[1000] * count, ends=[ends] * count, wall_s=[1.0] * count
    )


def _marks(own: Episodes, training: Training = NOTHING, information: str = "P") -> dict[str, str]:
    reference = _episodes([20.0, 40.0, 60.0, 80.0, 100.0][: len(own.ends)])
    return marks_of(BUDGET, _policy(information), training, own, reference)


def test_a_policy_that_leaves_as_much_as_the_reference_is_not_marked() -> None:
    assert _marks(_episodes([25.0, 45.0, 60.0, 85.0, 105.0])) == {}


def test_a_policy_that_clearly_leaves_more_work_than_the_reference_sheds_it() -> None:
    marks = _marks(_episodes([60.0, 80.0, 95.0, 120.0, 140.0]))
    assert marks == {
        "sheds work": "9.9 % of the offered workflows are never finished, 3.9 points more than under the reference"
    }


def test_more_on_some_seeds_alone_is_not_clearly_more() -> None:
    assert _marks(_episodes([20.0, 0.0, 260.0, 40.0, 100.0])) == {}


@pytest.mark.parametrize(
    ("training", "mark"),
    [
        (Training(episodes=100, decisions=1000, wall_s=60), {}),
        (Training(episodes=101), {"over budget": "101 episodes of 100"}),
        (Training(wall_s=3600), {"over budget": "3,600 s of training of 60"}),
        (Training(), {"not stated": "what its training cost is not stated"}),
    ],
)
def test_training_is_held_against_the_budget(training: Training, mark: dict[str, str]) -> None:
    assert _marks(_episodes([20.0, 40.0]), training) == mark


def test_episodes_that_ran_out_of_events_are_told() -> None:
    assert _marks(_episodes([20.0, 40.0], "event budget")) == {
        "cut off": "2 of 2 episodes used up their budget of events"
    }


def test_named_policies_say_what_they_cost(tmp_path: Path) -> None:
    assert training_of("maestro", Training(episodes=9)) == Training(episodes=0, decisions=0, wall_s=0)
    assert (training_of("searched").episodes or 0) > 1000
    (tmp_path / "policy.json").write_text('{"steps": 512}', encoding="utf-8")
    assert training_of(str(tmp_path)) == Training(decisions=512)
    assert not training_of("some/rule.py:RULE").stated
    assert training_of("some/rule.py:RULE", Training(wall_s=5)) == Training(wall_s=5)


def _ranked_names(page: str) -> list[str]:
    rows = [line.split(" | ") for line in page.partition("\n## small")[2].splitlines() if line.startswith("| ")]
    return [row[1] for row in rows if row[0].strip("| ").isdecimal()]


def test_the_leaderboard_ranks_the_fair_and_shows_the_oracle_without_a_place(ran: tuple[Small, Ran]) -> None:
    small, found = ran
    page = leaderboard_markdown(read_records([small.folder / "records"]), small.folder)
    fair = ["fcfs", "mine"]
    means = [found[name][1].summary["slo_attainment"].value.mean for name in fair]
    assert _ranked_names(page) == [fair[index] for index in np.argsort(means)[::-1]]
    assert "|  | oracle-srtf | O |" in page
    assert "[oracle-srtf](records/small/oracle-srtf.json)" in page
    assert "- oracle-srtf: informed: class O (oracle)" in page


def test_a_policy_of_one_benchmark_of_two_shares_the_last_column(ran: tuple[Small, Ran]) -> None:
    _, found = ran
    fcfs, mine = found["fcfs"][1], found["mine"][1]
    other = fcfs.model_copy(update={"benchmark": "other"})
    page = leaderboard_markdown({Path("a.json"): fcfs, Path("b.json"): mine, Path("c.json"): other}, Path())
    head, _, *rows = [line for line in page.splitlines() if line.startswith("|")][:4]
    assert head.endswith("| fcfs | best of the others |")
    by_name = {row.split("]")[0].removeprefix("| ["): row for row in rows}
    assert by_name["other"].endswith("|  |")
    assert " mine " in by_name["small"].split("|")[-2].replace("**", " ")


def test_records_of_two_versions_of_a_benchmark_do_not_share_a_table(ran: tuple[Small, Ran]) -> None:
    _, found = ran
    document = found["mine"][1].model_dump(mode="json")
    document["definition"]["overrides"] = ["workload.load=0.5"]
    records = {Path("a.json"): found["fcfs"][1], Path("b.json"): Record.model_validate(document)}
    with pytest.raises(MaestroError, match=r"b.json and a.json are of different versions of small"):
        leaderboard_markdown(records, Path())


def test_a_folder_without_records_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MaestroError, match="no record in"):
        read_records([tmp_path])

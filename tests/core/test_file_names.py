"""Names that somebody chose: as files that stay in their folder, and as cells that a spreadsheet only shows."""

import pandas as pd
import pytest

from maestro_gym.core.csv_cells import as_text, row_as_text, table_as_text
from maestro_gym.core.file_names import file_name


@pytest.mark.parametrize("name", ["quick", "warm_jsq", "Qwen2.5-14B", "a-1"])
def test_a_plain_name_stays_as_it_is(name: str) -> None:
    assert file_name(name) == name


def test_the_joints_of_a_policy_become_dashes() -> None:
    assert file_name("warm-jsq+maestro") == "warm-jsq-maestro"
    assert file_name("maestro@oracle") == "maestro-oracle"


@pytest.mark.parametrize(
    "name",
    ["", ".", "..", "../../../ESCAPED", "/etc/passwd", ".hidden", "a/b", "a\\b", "C:x", "x\x00y", "nul", "COM1.txt",
     "=HYPERLINK(1)", "<script>", "n" * 300, "é", "a b", "-rf", "a\nb", "~root", "$HOME", "%APPDATA%"],
)  # fmt: skip
def test_any_other_name_stays_in_its_folder_and_is_told_apart(name: str) -> None:
    stem = file_name(name)
    assert set(stem) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-")
    assert stem[0] not in ".-"
    assert 0 < len(stem) <= 80
    assert stem != file_name(name + "!")
    assert file_name(stem) == stem


def test_a_formula_is_marked_as_text_and_a_number_is_not() -> None:
    for cell in ("=1+1", "+cmd|' /C calc'!A0", "-x", "@SUM(1)", "\t=1", "\r=1"):
        assert as_text(cell) == f"'{cell}"
    for cell in ("maestro", "-1.5", "+3", "", -1.5, None, True):
        assert as_text(cell) is cell
    assert row_as_text({"policy": "=x", "mean": -1.0}) == {"policy": "'=x", "mean": -1.0}


def test_a_table_is_marked_cell_by_cell_and_stays_as_it_was() -> None:
    table = pd.DataFrame({"policy": ["=x", "fcfs"], "mean": [-1.0, 2.0], "=y": ["a", None]})
    marked = table_as_text(table)
    assert marked.to_csv(index=False) == "policy,mean,'=y\n'=x,-1.0,a\nfcfs,2.0,\n"
    assert list(table["policy"]) == ["=x", "fcfs"]

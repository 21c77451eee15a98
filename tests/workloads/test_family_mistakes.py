from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from maestro_gym.core.errors import MaestroError
from maestro_gym.workloads import load_family


def _family(**application: object) -> dict[str, Any]:
    role = {"size": "small", "system_tokens": 10, "max_output_tokens": 64, "answer_tokens": {"median": 20}}
    base = {
        "class": "batch",
        "share": 1,
        "deadline_s": 10,
        "ttft_limit_s": 1,
        "query_tokens": {"median": 5},
        "roles": {"agent": role},
        "steps": [{"call": "agent"}],
    }
    return {"description": "test", "applications": {"app": base | application}}


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"deadlines": 3}, "deadline_s"),
        ({"steps": [{"call": "nobody"}]}, "nobody"),
        (
            {"steps": [{"call": "agent", "loop": {"steps": [{"call": "agent"}], "again": 0.5, "limit": 2}}]},
            "exactly one",
        ),
        ({"steps": [{"branch": [{"p": 0.5, "steps": [{"call": "agent"}]}]}]}, "without any call"),
        ({"steps": [{"branch": [{"p": 0.8, "steps": [{"call": "agent"}]}] * 2}]}, "more than 1"),
        ({"steps": [{"fan_out": {"arms": [3, 2], "steps": [{"call": "agent"}]}}]}, "arms"),
        ({"steps": [{"loop": {"steps": [{"call": "agent"}], "again": 2.0, "limit": 2}}]}, "again"),
        ({"query_tokens": {"median": 5, "low": 9}}, "low <= median"),
        ({"class": "realtime"}, "interactive"),
    ],
)
def test_a_mistake_in_a_family_file_names_its_place(tmp_path: Path, change: dict[str, Any], named: str) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(yaml.safe_dump(_family(**change)))
    with pytest.raises(MaestroError, match=named) as raised:
        load_family(str(file))
    assert "mine.yaml" in str(raised.value)


def test_an_unknown_family_lists_those_that_exist() -> None:
    with pytest.raises(MaestroError, match="maestro"):
        load_family("maestr")

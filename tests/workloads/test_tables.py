"""What opens and what does not: shapes, encodings and endings of files, whatever their format."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import numpy as np
import pytest

from maestro_gym.core.errors import MaestroError
from maestro_gym.workloads import read_trace
from maestro_gym.workloads.traces.files import import_trace
from tests.workloads.foreign_files import FILES, write_rows

HEADER = "arrival_s,prompt_tokens,output_tokens"


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        (["0,1000,50,7", "1,2000,60,7", "2,3000,70,7"], "row 1 .* has 4 fields, the header names 3.*2 more rows"),
        (["0,1000,50", "1,2000,60,7"], "row 2 .* has 4 fields"),
        (["0,1000,50", "1,2000"], "row 2 .* has 2 fields"),
        (["0,1000,50", "1"], "row 2 .* has 1 field,"),
        (["0,1000,50,,9"], "row 1 .* has 5 fields"),
        (['0,1000,"50'], "cannot be read"),
    ],
)
def test_rows_that_contradict_their_header_are_refused(lines: list[str], told: str, tmp_path: Path) -> None:
    path = tmp_path / "trace.csv"
    path.write_text("\n".join([HEADER, *lines]) + "\n")
    with pytest.raises(MaestroError, match=told):
        read_trace(path)


@pytest.mark.parametrize("name", [name for name, known in FILES.items() if known.suffix == ".csv"])
def test_every_format_that_comes_as_csv_refuses_a_longer_row(name: str, tmp_path: Path) -> None:
    path = write_rows(FILES[name].rows, tmp_path / "trace.csv")
    path.write_text(path.read_text().replace("\n", ",7\n").replace(",7\n", "\n", 1))
    with pytest.raises(MaestroError, match=r"row 1 .* fields, the header names"):
        read_trace(path)


@pytest.mark.parametrize(
    "text",
    [
        f"{HEADER}\n0,100,5\n\n3,200,6\n",
        f"{HEADER}\r\n0,100,5\r\n3,200,6\r\n",
        f"{HEADER},\n0,100,5,\n3,200,6,\n",
        f"{HEADER}\n0,100,5,\n3,200,6,,\n",
        f",{HEADER}\n0,0,100,5\n1,3,200,6\n",
        " arrival_s , prompt_tokens,output_tokens\n0, 100 ,5\n3,200,6\n",
        f'{HEADER},note\n0,100,5,"a, b"\n3,200,6,"c\nd"\n',
    ],
)
def test_rows_that_hold_nothing_more_and_columns_without_a_name_do_no_harm(text: str, tmp_path: Path) -> None:
    path = tmp_path / "trace.csv"
    path.write_text(text, newline="")
    trace = read_trace(path)
    assert trace.workflows["arrival_s"].tolist() == [0.0, 3.0]
    assert trace.stages["prompt_tokens"].tolist() == [100, 200]
    assert trace.hidden["output_tokens"].tolist() == [5, 6]


def test_other_separators_are_named(tmp_path: Path) -> None:
    path = tmp_path / "trace.csv"
    path.write_text(HEADER.replace(",", ";") + "\n0;100;5\n")
    with pytest.raises(MaestroError, match="separates its fields by ';'; write commas"):
        read_trace(path)


@pytest.mark.parametrize("name", ["requests", "mooncake", "otel", "vllm_bench"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
@pytest.mark.parametrize("packed", [False, True])
def test_every_reader_takes_every_legal_encoding(name: str, encoding: str, packed: bool, tmp_path: Path) -> None:
    known = FILES[name]
    plain = write_rows(known.rows, tmp_path / f"plain{known.suffix}")
    content = plain.read_text().encode(encoding)
    other = tmp_path / f"other{known.suffix}{'.gz' if packed else ''}"
    other.write_bytes(gzip.compress(content) if packed else content)
    assert np.array_equal(read_trace(other).stages, read_trace(plain).stages)


def test_text_in_another_encoding_says_which_byte(tmp_path: Path) -> None:
    path = tmp_path / "trace.csv"
    path.write_bytes(f"{HEADER},name\n0,100,5,M\xfcller\n".encode("latin-1"))
    with pytest.raises(MaestroError, match=r"byte \d+ is no UTF-8.*save it as UTF-8"):
        read_trace(path)


def test_a_gzip_file_cut_short_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "trace.csv.gz"
    path.write_bytes(gzip.compress(f"{HEADER}\n0,100,5\n".encode())[:-9])
    with pytest.raises(MaestroError, match="cannot be read"):
        read_trace(path)


@pytest.mark.parametrize("name", ["mooncake", "otel", "langfuse", "langsmith", "weka", "aiperf"])
def test_json_is_read_as_lines_as_a_list_and_out_of_the_wrapping_of_an_api(name: str, tmp_path: Path) -> None:
    rows = FILES[name].rows
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    expected = read_trace(write_rows(rows, tmp_path / "lines.jsonl"))
    for file, content in {
        "lines.json": lines,
        "list.json": json.dumps(rows, indent=1),
        "list.jsonl": json.dumps(rows),
        "data.json": json.dumps({"data": rows, "meta": {"page": 1}}),
        "runs.json": json.dumps({"runs": rows}),
    }.items():
        (tmp_path / file).write_text(content)
        read = import_trace(tmp_path / file)
        assert read.format == name
        assert np.array_equal(read.trace.stages, expected.stages), file


def test_large_whole_numbers_stay_whole_beside_rows_that_lack_them(tmp_path: Path) -> None:
    rows = [dict(row) for row in FILES["otel"].rows]
    for row in rows:
        row["startTimeUnixNano"] = int(row["startTimeUnixNano"])
        row["endTimeUnixNano"] = int(row["endTimeUnixNano"])
    expected = read_trace(write_rows(rows, tmp_path / "whole.jsonl"))
    resource = {"traceId": "t1", "spanId": "metadata", "attributes": {}}
    trace = read_trace(write_rows([*rows, resource], tmp_path / "more.jsonl"))
    assert np.array_equal(trace.hidden, expected.hidden)


def test_a_refusal_lists_the_columns_of_the_file_and_no_other(tmp_path: Path) -> None:
    path = tmp_path / "trace.csv"
    path.write_text("TIMESTAMP,ContextTokens,Generated\n2023-11-16 18:15:46,4,4\n")
    with pytest.raises(MaestroError) as raised:
        read_trace(path)
    assert str(raised.value).endswith("the file has: TIMESTAMP, ContextTokens, Generated.")

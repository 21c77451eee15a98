"""Text of other people: refused by its extent, before anything is built of it."""

import time
from pathlib import Path

import pytest
import yaml

from maestro_gym.core.bounded_text import MAX_DEPTH, MAX_VALUES, parse_json, parse_yaml, read_bounded


def _bomb(levels: int) -> str:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, levels)]
    return "\n".join(lines)


def test_aliases_are_counted_as_they_would_be_written_out() -> None:
    assert len(parse_yaml(_bomb(4))) == 4
    begun = time.process_time()
    with pytest.raises(ValueError, match="values"):
        parse_yaml(_bomb(30))
    assert time.process_time() - begun < 5  # a guard: building it would take for ever


@pytest.mark.parametrize("opening", ["[", "{a: ", "- "])
def test_depth_is_bounded(opening: str) -> None:
    with pytest.raises(ValueError, match="deep"):
        parse_yaml(opening * 100_000)
    assert MAX_DEPTH < 100


def test_what_stands_inside_itself_is_refused() -> None:
    with pytest.raises(ValueError, match="inside what it stands for"):
        parse_yaml("a: &a [1, *a]")


def test_a_long_list_is_refused() -> None:
    with pytest.raises(ValueError, match="values"):
        parse_yaml("[" + "1," * (MAX_VALUES + 1) + "]")


@pytest.mark.parametrize("tag", ["!!python/object/apply:os.system ['true']", "!!python/name:os.system", "!mine x"])
def test_a_tag_makes_no_object(tag: str) -> None:
    with pytest.raises(yaml.YAMLError):
        parse_yaml(f"a: {tag}")


def test_a_repeated_key_is_a_mistake() -> None:
    with pytest.raises(yaml.YAMLError, match="'a' repeats"):
        parse_yaml("{a: 1, b: 2, a: 3}")
    assert parse_yaml("base: &base {a: 1}\nown: {<<: *base, a: 2}")["own"] == {"a": 2}


@pytest.mark.parametrize(
    ("text", "value"), [("1e9", 1e9), ("-2E+3", -2000.0), ("1e-3", 0.001), ("1e9x", "1e9x"), ("12e", "12e")]
)
def test_a_number_may_have_an_exponent_without_a_point(text: str, value: object) -> None:
    found = parse_yaml(text)
    assert found == value
    assert type(found) is type(value)


def test_json_may_not_exhaust_the_stack() -> None:
    with pytest.raises(ValueError, match="nested"):
        parse_json("[" * 100_000)


def test_a_file_is_not_read_beyond_its_bound(tmp_path: Path) -> None:
    path = tmp_path / "long"
    path.write_text("x" * 100)
    assert read_bounded(path, 100) == "x" * 100
    with pytest.raises(ValueError, match="larger than"):
        read_bounded(path, 99)

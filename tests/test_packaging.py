"""What is published: metadata, extras, citation, templates; and a wheel that works in an empty environment."""

import json
import os
import re
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from maestro_gym import __version__

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS = PROJECT["optional-dependencies"]
BUILT_ON = {"gymnasium", "stable-baselines3", "torch", "numpy", "pandas", "wandb", "tensorboard"}


def _names(requirements: list[str]) -> set[str]:
    return {re.split(r"[<>=\[; ]", requirement)[0] for requirement in requirements}


def _citation() -> dict[str, Any]:
    # The schema knows dates as text.
    text = re.sub(
        r"^(date-released: )\"?([\d-]+)\"?$", r'\1"\2"', (ROOT / "CITATION.cff").read_text("utf-8"), flags=re.M
    )
    return yaml.safe_load(text)


def test_what_the_project_is_built_on_needs_no_extra() -> None:
    assert _names(PROJECT["dependencies"]) >= BUILT_ON
    assert _names(PROJECT["dependencies"]).isdisjoint(_names(EXTRAS["live"]))


def test_the_extra_of_all_names_every_other_one() -> None:
    (spec,) = EXTRAS["all"]
    named = re.fullmatch(r"maestro-gym\[([a-z,]+)\]", spec)
    assert named is not None
    assert sorted(named[1].split(",")) == sorted(set(EXTRAS) - {"all", "dev"})


def test_tests_have_what_every_extra_brings() -> None:
    for name in set(EXTRAS) - {"all", "dev"}:
        assert _names(EXTRAS[name]) <= _names(EXTRAS["dev"]) | _names(PROJECT["dependencies"]), name


def test_extras_are_explained() -> None:
    page = (ROOT / "docs" / "installing.md").read_text(encoding="utf-8")
    for name in set(EXTRAS) - {"dev"}:
        assert f"| `{name}` |" in page, name


def test_the_pythons_of_the_metadata_are_those_that_it_allows() -> None:
    named = {line.rpartition(" ")[2] for line in PROJECT["classifiers"] if re.search(r"Python :: 3\.\d+$", line)}
    assert PROJECT["requires-python"] == f">={min(named, key=lambda v: int(v.split('.')[1]))}"


def test_real_servers_without_their_extra_are_one_paragraph() -> None:
    program = (
        "import importlib.util as util\n"
        "found = util.find_spec\n"
        "util.find_spec = lambda name, *rest: None if name == 'httpx' else found(name, *rest)\n"
        "import sys\n"
        "from maestro_gym.cli import main\n"
        "sys.argv = ['maestro-gym', 'fleet', 'status']\n"
        "main()\n"
    )
    ended = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
    assert ended.returncode == 2, ended.stderr
    assert "Real servers need httpx, which is not installed: pip install 'maestro-gym[live]'" in ended.stderr


def test_the_citation_keeps_to_its_schema_and_to_the_project() -> None:
    """The schema is that of the Citation File Format 1.2.0 (CC-BY-4.0)."""
    schema = json.loads((ROOT / "tests" / "citation_file_format.schema.json").read_text(encoding="utf-8"))
    citation = _citation()
    jsonschema.validate(citation, schema)
    assert citation["version"] == __version__
    assert citation["license"] == PROJECT["license"]
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(citation | {"licence": "Apache-2.0"}, schema)


def test_the_changelog_tells_of_this_version_below_what_is_unreleased() -> None:
    headings = re.findall(r"^## (.+)$", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert headings[0] == "Unreleased"
    assert headings[1].startswith(f"{__version__} (2")


def test_templates_of_issues_have_what_a_form_needs() -> None:
    forms = sorted((ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml"))
    assert len(forms) >= 3
    for path in forms:
        form = yaml.safe_load(path.read_text(encoding="utf-8"))
        if path.name == "config.yml":
            continue
        assert {"name", "description", "body"} <= set(form), path
        ids = [part["id"] for part in form["body"] if part["type"] != "markdown"]
        assert len(ids) == len(set(ids)) > 0
        for part in form["body"]:
            assert part["type"] in ("markdown", "textarea", "input", "dropdown", "checkboxes")
            assert "label" in part["attributes"] or part["type"] == "markdown"


def _run(*words: object, cwd: Path, **variables: object) -> str:
    env = os.environ | {name: str(value) for name, value in variables.items()}
    ended = subprocess.run([str(word) for word in words], cwd=cwd, env=env, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, f"{words}: {ended.stdout[-2000:]}{ended.stderr[-2000:]}"
    return ended.stdout


@pytest.mark.slow
def test_a_wheel_in_an_empty_environment_runs_the_shipped_configs_and_policies(tmp_path: Path) -> None:
    """Both archives are built, the wheel from the one of sources; pip fetches what it needs, as at a user's."""
    builder, dist, own = tmp_path / "builder", tmp_path / "dist", tmp_path / "own"
    pip = (sys.executable, "-m", "pip")
    _run(*pip, "install", "-q", "--target", builder, "hatchling", cwd=tmp_path)
    build = (sys.executable, "-m", "hatchling", "build", "-d", dist, "-t")
    _run(*build, "sdist", cwd=ROOT, PYTHONPATH=builder)
    (sdist,) = dist.glob("maestro_gym-*.tar.gz")
    with tarfile.open(sdist) as archive:
        archive.extractall(tmp_path / "sources", filter="data")
    (sources,) = (tmp_path / "sources").iterdir()
    assert (sources / "tests" / "test_packaging.py").is_file()
    _run(*build, "wheel", cwd=sources, PYTHONPATH=builder)
    (wheel,) = dist.glob("maestro_gym-*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    for folder, inside in (("configs", "maestro_gym/configs"), ("benchmarks/suite", "maestro_gym/benchmarks/suite")):
        for path in (ROOT / folder).rglob("*.yaml"):
            assert f"{inside}/{path.relative_to(ROOT / folder).as_posix()}" in names
    _run(sys.executable, "-m", "venv", "--without-pip", own, cwd=tmp_path)
    into = (*pip, "--python", own / "bin" / "python", "install", "-q", "--no-compile")
    _run(*into, wheel, "-c", ROOT / "constraints.txt", cwd=tmp_path)
    program = own / "bin" / "maestro-gym"
    assert __version__ in _run(program, "--version", cwd=tmp_path)
    assert "failed" not in _run(program, "doctor", cwd=tmp_path)
    words = (
        "compare",
        "--scenario",
        "quick",
        "--contention",
        "high",
        "--policy",
        "searched,maestro,fcfs",
        "--seeds",
        0,
    )
    _run(program, *words, "--jobs", 1, "--out", tmp_path / "run", "--json", tmp_path / "run.json", cwd=tmp_path)
    document = json.loads((tmp_path / "run.json").read_text(encoding="utf-8"))
    assert {row["policy"] for row in document["rows"]} == {"searched", "maestro", "fcfs"}
    assert (tmp_path / "run" / "report.html").stat().st_size > 100_000
    assert "quick-high" in _run(program, "benchmark", "list", cwd=tmp_path)

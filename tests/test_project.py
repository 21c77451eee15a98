"""The house around the code: what a clone promises before anything runs."""

import re
import subprocess
import tomllib
from importlib.metadata import requires
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
HERE = Path(__file__).relative_to(ROOT).as_posix()
TEXT_SUFFIXES = {".py", ".md", ".yaml", ".yml", ".toml", ".txt", ".csv", ".json", ".j2", ".html", ".sh", ""}
# First folders of absolute paths that name no particular machine, and routes of HTTP servers.
COMMON_FOLDERS = {"bin", "dev", "etc", "opt", "proc", "sys", "usr", "v1", "var"}
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def _tracked_files() -> list[Path]:
    listing = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listing.returncode:
        pytest.skip("not a git checkout")
    return [ROOT / name for name in listing.stdout.split("\0") if name and (ROOT / name).is_file()]


def _tracked_lines() -> list[tuple[str, str]]:
    """Place and text of every line of every tracked text file but this one."""
    lines = []
    for path in _tracked_files():
        name = path.relative_to(ROOT).as_posix()
        if path.suffix in TEXT_SUFFIXES and name != HERE:
            text = path.read_text(encoding="utf-8")
            lines += [(f"{name}:{number}", line) for number, line in enumerate(text.splitlines(), 1)]
    return lines


def _pins() -> dict[str, str]:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pairs = [line.split("==") for line in lines if line and not line.startswith("#")]
    return {name: version for name, version in pairs}


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def test_constraints_hold_plain_pins_and_nothing_else() -> None:
    for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines():
        assert re.fullmatch(r"#.*|[a-z0-9-]+==[a-z0-9.]+", line), line


def test_constraints_pin_torch_without_naming_a_build() -> None:
    assert re.fullmatch(r"\d+\.\d+\.\d+", _pins()["torch"])


def test_every_dependency_is_pinned_and_has_its_reason_in_the_docs() -> None:
    reasons = (ROOT / "docs" / "dependencies.md").read_text(encoding="utf-8")
    asked = PROJECT["dependencies"] + PROJECT["optional-dependencies"]["dev"]
    for name in (re.split(r"[<>=\[; ]", requirement)[0] for requirement in asked):
        assert _normal(name) in _pins(), f"{name} is not in constraints.txt"
        assert f"| {name} |" in reasons, f"{name} has no line in docs/dependencies.md"


def test_what_dependencies_need_is_pinned_too() -> None:
    pins = _pins()
    for name in pins:
        for requirement in requires(name) or ():
            spec, _, marker = requirement.partition(";")
            if not marker.strip():
                needed = _normal(re.split(r"[<>=!~\[( ]", spec.strip())[0])
                assert needed in pins, f"{name} needs {needed}, which constraints.txt lacks"


def test_no_tracked_file_names_a_place_on_somebodys_machine() -> None:
    absolute = re.compile(r"(?:^|[\s\"'`(=])/([A-Za-z][\w.-]*)/[\w.-]+")
    found = [
        f"{place}: {line.strip()}"
        for place, line in _tracked_lines()
        if any(folder not in COMMON_FOLDERS for folder in absolute.findall(line))
    ]
    assert not found, "\n".join(found)


def test_no_tracked_file_chooses_a_package_index() -> None:
    option = re.compile(r"--(?:extra-)?index-url|--find-links|--trusted-host")
    found = [place for place, line in _tracked_lines() if option.search(line)]
    assert not found, "\n".join(found)


def test_no_work_is_left_as_a_note_in_the_code() -> None:
    note = re.compile(r"\b(?:TODO|FIXME|XXX|HACK)\b")
    found = [place for place, line in _tracked_lines() if place.split(":")[0].endswith(".py") and note.search(line)]
    assert not found, "\n".join(found)


def test_modules_stay_small_enough_to_hold_one_idea() -> None:
    long = {
        path.relative_to(ROOT).as_posix(): size
        for path in (ROOT / "maestro_gym").rglob("*.py")
        if (size := len(path.read_text(encoding="utf-8").splitlines())) > 400
    }
    assert not long, long


def test_the_readme_names_only_verbs_that_exist() -> None:
    from maestro_gym.cli.app import app

    verbs = {command.name or command.callback.__name__ for command in app.registered_commands if command.callback}
    verbs |= {str(group.name) for group in app.registered_groups}
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    for page in (ROOT / "README.md", ROOT / "CONTRIBUTING.md"):
        text = page.read_text(encoding="utf-8")
        commands = set(re.findall(r"^(?:\$ )?maestro-gym ([a-z-]+)", text, re.MULTILINE))
        commands |= set(re.findall(r"`maestro-gym ([a-z-]+)", text))
        assert commands <= verbs, f"{page.name}: {sorted(commands - verbs)}"
        made = set(re.findall(r"(?:^|`)make ([a-z-]+)", text, re.MULTILINE))
        assert made <= targets, f"{page.name}: {sorted(made - targets)}"
        for script in re.findall(r"python ([\w/]+\.py)", text):
            assert (ROOT / script).is_file(), f"{page.name}: {script}"


def test_the_readme_points_only_at_files_that_exist() -> None:
    for page in [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]:
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_the_readmes_python_examples_run() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    examples = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    assert examples
    for example in examples:
        exec(compile(example, "README.md", "exec"), {"__name__": "readme"})


def test_the_licence_is_apache_2() -> None:
    text = (ROOT / "LICENSE").read_text(encoding="utf-8")
    assert "Apache License" in text
    assert "Version 2.0, January 2004" in text
    assert PROJECT["license"] == "Apache-2.0"


def test_continuous_integration_lints_and_tests() -> None:
    script = ROOT / ".ci" / "run"
    assert script.stat().st_mode & 0o111, ".ci/run must be executable"
    lines = script.read_text(encoding="utf-8").splitlines()
    assert "set -euo pipefail" in lines
    made = [line for line in lines if line.startswith("make ")]
    assert made == ["make lint", "make test", "make test-slow", "make test-live"]


def test_every_test_is_run_by_one_of_the_verbs() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert [makefile.count(f"-m {which}\n") for which in ('"not slow"', "slow")] == [1, 1]

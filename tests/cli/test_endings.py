"""Verbs that are ended and go on: the small kill table, and what a cut pipe costs."""

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from maestro_gym.evaluation.run_info import resumed_command

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = "import sys; from maestro_gym.cli import main; sys.argv[0] = 'maestro-gym'; sys.exit(main())"


@pytest.mark.slow
@pytest.mark.parametrize("verb", ["compare", "train", "search", "predict", "live"])
def test_what_is_ended_goes_on_and_ends_equal(verb: str) -> None:
    """benchmarks/kill.py fails where a result differs, a stack trace is shown or a worker lives on."""
    words = [sys.executable, "benchmarks/kill.py", "--small", "--moments", "1", "--verbs", verb]
    words += ["--ways", "TERM,KILL,full disk"]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False, timeout=900)
    assert done.returncode == 0, done.stdout + done.stderr
    ways = 2 if "left out" in done.stderr else 3
    assert done.stdout.count(f"| {verb} |") == ways


@pytest.mark.parametrize("cut", ["stdout", "stderr"])
def test_a_comparison_whose_words_nobody_reads_leaves_all_files(tmp_path: Path, cut: str) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    words = [
        "compare",
        "-s",
        "toy",
        "-p",
        "fcfs",
        "--seeds",
        "0,1",
        "horizon_s=5",
        "-j",
        "1",
        "--out",
        str(tmp_path / "run"),
    ]
    streams = {name: writing if name == cut else subprocess.DEVNULL for name in ("stdout", "stderr")}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *words, "--json", str(tmp_path / "own.json")],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        check=False,
        timeout=600,
        **streams,
    )
    os.close(writing)
    assert done.returncode == 0
    for name in ("results.csv", "results.parquet", "results.json", "report.html", "episodes.sqlite"):
        assert (tmp_path / "run" / name).stat().st_size > 0
    assert (tmp_path / "own.json").read_text() == (tmp_path / "run" / "results.json").read_text()


@pytest.mark.parametrize(
    ("words", "resumed"),
    [
        ("compare -s toy --out a -j 2", "compare -s toy -j 2 --out run --resume"),
        ("compare -s toy -o a x.y=1", "compare -s toy x.y=1 --out run --resume"),
        ("compare --out=a --overwrite", "compare --out run --resume"),
        ("compare --out a --resume", "compare --out run --resume"),
        ("compare 'workload.name=a b'", "compare 'workload.name=a b' --out run --resume"),
    ],
)
def test_the_command_that_goes_on_is_the_users_own(words: str, resumed: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["bin/maestro-gym", *shlex.split(words)])
    assert resumed_command(Path("run")) == f"maestro-gym {resumed}"

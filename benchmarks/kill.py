"""Ends long verbs in every way and at several moments, and goes on: what was kept, and is the result equal?

    python benchmarks/kill.py                                     5 verbs, 5 ways, 5 moments: half an hour
    python benchmarks/kill.py --verbs compare --ways KILL,TERM --moments 2

Each verb runs once to its end, for the time it takes, the size of its folder and its results. Then it is ended after
parts of that time by a signal, or in a file system that holds only a part of that size; after it nothing of it may run
on. Then `--resume` goes on (the full file system is made larger first), and the results are compared: of `compare`,
`train`, `search` and `predict` all but seconds of computing must be the same, of `live` every stage must have finished
once. File systems of a size of their own need user namespaces (`unshare`); without them that way is left out, which
is said.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import yaml

ROOT = Path(__file__).resolve().parents[1]
PROGRAM = "import sys; from maestro_gym.cli import main; sys.argv[0] = 'maestro-gym'; sys.exit(main())"
SIGNALS = {"INT": signal.SIGINT, "TERM": signal.SIGTERM, "HUP": signal.SIGHUP, "KILL": signal.SIGKILL}
DISK = "full disk"
WAYS = (*SIGNALS, DISK)
FIRST = 0.3
"""The part of a run before which nothing is ended: until then it imports and reads compiled code."""

GUARD_S = 1800.0
"""Only against hanging."""

ROOM = "1g"
_IN_NAMESPACE = "MAESTRO_KILL_NAMESPACE"


@dataclass(frozen=True)
class Verb:
    """A verb that can be ended and gone on with.

    Attributes:
        words: Its words, without its folder.
        resumed: From its folder to the words that go on.
        kept: From its folder to how much of the work is on disk.
        results: From its folder to what must be equal after all.
    """

    words: tuple[str, ...]
    resumed: Callable[[Path], tuple[str, ...]]
    kept: Callable[[Path], int]
    results: Callable[[Path], Any]


def _again(*words: str) -> Callable[[Path], tuple[str, ...]]:
    return lambda folder: (*words, "--out", str(folder), "--resume")


def _episodes(folder: Path) -> int:
    if not (folder / "episodes.sqlite").exists():
        return 0
    with sqlite3.connect(folder / "episodes.sqlite") as store:
        if not store.execute("SELECT 1 FROM sqlite_master WHERE name = 'episodes'").fetchone():
            return 0
        return int(store.execute("SELECT count(*) FROM episodes").fetchone()[0])


def _compared(folder: Path) -> Any:  # noqa: ANN401 - anything that can be compared
    document = json.loads((folder / "results.json").read_text(encoding="utf-8"))
    for row in document["rows"]:
        del row["wall_s"]
    del document["run"]
    return document, (folder / "workflows.parquet").read_bytes()


def _steps(folder: Path) -> int:
    from maestro_gym.agents.checkpoint import checkpoint_of

    place = checkpoint_of(folder)
    return 0 if place is None else json.loads((place / "state.json").read_text(encoding="utf-8"))["steps"]


def _trained(folder: Path) -> Any:  # noqa: ANN401
    weights = torch.load(folder / "policy.pt", weights_only=True)
    evaluations = (folder / "evaluations.csv").read_text(encoding="utf-8")
    last = torch.load(folder / "last" / "policy.pt", weights_only=True)
    return (
        evaluations,
        {name: value.tolist() for name, value in weights.items()},
        {n: v.tolist() for n, v in last.items()},
    )


def _generations(folder: Path) -> int:
    path = folder / "progress.csv"
    if not path.exists():
        return 0
    with path.open(newline="", encoding="utf-8") as file:
        return len(list(csv.DictReader(file)))


def _searched(folder: Path) -> Any:  # noqa: ANN401
    policy = yaml.safe_load((folder / "policy.yaml").read_text(encoding="utf-8"))
    return policy["numbers"], policy["about"]["validation"], (folder / "progress.csv").read_text(encoding="utf-8")


def _fits(folder: Path) -> int:
    return sum(".part" not in path.name for path in folder.glob("fits/*.npz"))


def _finished(folder: Path) -> list[int]:
    path = folder / "events.jsonl"
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    return [json.loads(line)["stage"] for line in lines if '"finish"' in line and line.endswith("}")]


def _delivered(folder: Path) -> Any:  # noqa: ANN401
    header = json.loads((folder / "events.jsonl").read_text(encoding="utf-8").partition("\n")[0])
    counts = Counter(_finished(folder))
    return {
        "lost": int(header["stages"]) - len(counts),
        "done twice": sum(count > 1 for count in counts.values()),
        "stages": int(header["stages"]),
    }


def verbs(fleet: Path, *, small: bool = False) -> dict[str, Verb]:
    """The verbs, each long enough to be ended at five moments.

    Args:
        fleet: A fleet file whose servers answer.
        small: Less of everything, for a test.
    """
    few = 1 if small else 4
    compare = ("compare", "-s", "toy", "-p", "fcfs,maestro", "--seeds", f"0-{10 * few - 1}", "-j", "2", "horizon_s=120")
    train = ("train", "-s", "toy", "-t", "cluster", f"train.total_steps={4096 * few}", "train.num_envs=16")
    train += ("train.rollout_steps=64", "train.batch_size=256", "train.eval_every_steps=8192", "train.horizon_s=60")
    train += (
        "train.torch_threads=1",
        "train.checkpoint_every_s=0.5",
        "train.eval_episodes=2",
        "train.hidden_sizes=[16]",
    )
    search = ("search", "--config", "quick", f"generations={2 * few}", "population=4", "episodes=1")
    search += ("validate_every=2", "validation_episodes=2", "horizon_s=120", "places=[{scenario: toy}]")
    predict = ("predict", "evaluate", "-s", "quick", "--workflows", "100", f"predictor.history={50 * few}")
    live = ("live", "--fleet", str(fleet), "-w", str(ROOT / "tests/real_backend/short.yaml"), "--load", "0.3")
    live += ("--horizon", "3" if small else "6")
    return {
        "compare": Verb(compare, _again(*compare), _episodes, _compared),
        "train": Verb(train, lambda folder: ("train", "--resume", str(folder)), _steps, _trained),
        "search": Verb(search, lambda folder: ("search", "--resume", str(folder)), _generations, _searched),
        "predict": Verb(
            predict, _again(*predict), _fits, lambda folder: json.loads((folder / "study.json").read_text())
        ),
        "live": Verb(
            live,
            lambda folder: ("live", "--fleet", str(fleet), "--resume", str(folder)),
            lambda folder: len(set(_finished(folder))),
            _delivered,
        ),
    }


def _start(words: tuple[str, ...], said: Path) -> subprocess.Popen[bytes]:
    where = os.environ | {"PYTHONPATH": str(ROOT), "MAESTRO_QUIET": "1"}
    with said.open("ab") as file:
        words_of_python = [sys.executable, "-c", PROGRAM, *words]
        return subprocess.Popen(words_of_python, env=where, stdout=file, stderr=file, start_new_session=True)


def _alive(session: int) -> list[int]:
    """Processes of a session that still run."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                fields = (entry / "stat").read_text(encoding="utf-8").rpartition(")")[2].split()
            except OSError:
                continue
            if int(fields[3]) == session and fields[0] != "Z":
                found.append(int(entry.name))
    return found


def _ends(session: int) -> float:
    """Seconds until nothing of a session runs."""
    begin = time.monotonic()
    while _alive(session):
        if time.monotonic() - begin > GUARD_S:
            raise TimeoutError(f"processes {_alive(session)} live on")
        time.sleep(0.02)
    return time.monotonic() - begin


def _bytes_of(folder: Path) -> int:
    return sum(-(-path.stat().st_size // 4096) * 4096 for path in folder.rglob("*") if path.is_file())


@contextmanager
def _small_disk(folder: Path, size: int) -> Iterator[None]:
    """A file system of a size of its own; for `_make_room` until the end of the context."""
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def _make_room(folder: Path) -> None:
    subprocess.run(["mount", "-o", f"remount,size={ROOM}", str(folder)], check=True)


def trial(name: str, verb: Verb, way: str, part: float, whole: dict[str, Any], place: Path) -> dict[str, Any]:
    """End a verb in one way at one moment, and go on.

    Args:
        name: Of the verb.
        verb: The verb.
        way: One of `WAYS`.
        part: Of the time, or of the size, of a whole run.
        whole: What the whole run took and came to.
        place: A folder for all of this, which is new.

    Returns:
        What came of it.
    """
    disk, said = place / "disk", place / "said.txt"
    place.mkdir(parents=True)
    folder = disk / "run"
    if way == DISK:
        with _small_disk(disk, max(4096, int(part * whole["bytes"]))):
            return _ended(name, verb, way, part, whole, folder, said, disk)
    disk.mkdir()
    return _ended(name, verb, way, part, whole, folder, said, None)


def _ended(
    name: str, verb: Verb, way: str, part: float, whole: dict[str, Any], folder: Path, said: Path, disk: Path | None
) -> dict[str, Any]:
    process = _start((*verb.words, "--out", str(folder)), said)
    if disk is None:
        try:
            process.wait(part * whole["seconds"])
        except subprocess.TimeoutExpired:
            process.send_signal(SIGNALS[way])
    code = process.wait(GUARD_S)
    left_s = _ends(process.pid)
    kept = verb.kept(folder) if folder.exists() else 0
    if disk is not None:
        _make_room(disk)
    text = said.read_text(encoding="utf-8", errors="replace")
    # What was ended before it had a folder, or a configuration in it, begins anew.
    began = name in ("compare", "predict") or any((folder / n).exists() for n in ("config.yaml", "events.jsonl"))
    words = verb.resumed(folder) if began else (*verb.words, "--out", str(folder))
    again = subprocess.run(
        [sys.executable, "-c", PROGRAM, *words],
        env=os.environ | {"PYTHONPATH": str(ROOT), "MAESTRO_QUIET": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=GUARD_S,
    )
    equal = again.returncode == 0 and verb.results(folder) == whole["results"]
    if again.returncode:
        print(f"{name} {way} {part}: {again.stderr[-600:]}", file=sys.stderr)
    return {
        "verb": name,
        "way": way,
        "part": part,
        "exit": code,
        "kept": kept,
        "whole": whole["kept"],
        "left_s": left_s,
        "says": "--resume" in text,
        "traceback": "Traceback" in text,
        "equal": equal,
    }


def row_of(trials: list[dict[str, Any]]) -> dict[str, str]:
    """The row of a verb and a way: what came of it at its moments."""
    first, count = trials[0], len(trials)

    def those(name: str) -> str:
        return f"{sum(bool(trial[name]) for trial in trials)} of {count}"

    moments = ", ".join(f"{trial['part']:.0%}" for trial in trials)
    return {
        "verb": first["verb"],
        "way": first["way"],
        "exit": ", ".join(dict.fromkeys(str(trial["exit"]) for trial in trials)),
        f"kept at {moments}": ", ".join(str(trial["kept"]) for trial in trials) + f" of {first['whole']}",
        "workers gone after": f"{max(trial['left_s'] for trial in trials):.1f} s",
        "says how to go on": those("says"),
        "tracebacks": those("traceback"),
        "equal": those("equal"),
    }


def _whole(verb: Verb, place: Path) -> dict[str, Any]:
    place.mkdir(parents=True)
    begin = time.monotonic()
    code = _start((*verb.words, "--out", str(place / "run")), place / "said.txt").wait(GUARD_S)
    if code:
        raise SystemExit((place / "said.txt").read_text(encoding="utf-8"))
    seconds = time.monotonic() - begin
    folder = place / "run"
    return {"seconds": seconds, "bytes": _bytes_of(folder), "kept": verb.kept(folder), "results": verb.results(folder)}


@contextmanager
def stand_ins(place: Path) -> Iterator[Path]:
    """Two servers that speak vLLM's protocol without a model, and the fleet file that names them."""
    sys.path.insert(0, str(ROOT))
    from tests.real_backend.conftest import fleet_of
    from tests.real_backend.stand_in import StandIn

    with StandIn(step_s=0.01) as one, StandIn(step_s=0.01) as other:
        path = place / "fleet.yaml"
        path.write_text(yaml.safe_dump(fleet_of([one, other]).model_dump(mode="json")), encoding="utf-8")
        yield path


def table(
    names: list[str], ways: list[str], moments: list[float], place: Path, *, small: bool = False
) -> Iterator[dict[str, Any]]:
    """End every verb in every way at every moment.

    Args:
        names: Of verbs.
        ways: Of `WAYS`.
        moments: Parts of a whole run.
        place: An empty folder.
        small: Less of everything, for a test.

    Yields:
        What came of each, as they come, moment by moment.
    """
    with stand_ins(place) as fleet:
        for name, verb in verbs(fleet, small=small).items():
            if name not in names:
                continue
            verb_place = place / name
            _whole(verb, verb_place / "first")  # compiles what is missing, which is no part of the time
            whole = _whole(verb, verb_place / "whole")
            for way in ways:
                for part in moments:
                    case = verb_place / f"{way.replace(' ', '-')}-{part:.2f}"
                    yield trial(name, verb, way, part, whole, case)
                    shutil.rmtree(case)


def in_namespace() -> bool:
    """Whether this process may mount; it starts itself again in a namespace of its own where there are any."""
    if os.environ.get(_IN_NAMESPACE):
        return True
    if shutil.which("unshare") is None:
        return False
    probe = "mkdir -p $0 && mount -t tmpfs tmpfs $0"
    with tempfile.TemporaryDirectory() as folder:
        words = ["unshare", "-Urm", "sh", "-c", probe, folder]
        return subprocess.run(words, capture_output=True, check=False).returncode == 0


def main() -> None:
    """Print the table as Markdown."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--verbs", default="compare,train,search,predict,live")
    parser.add_argument("--ways", default=",".join(WAYS))
    parser.add_argument("--moments", type=int, default=5, help="moments of each way")
    parser.add_argument("--small", action="store_true", help="less of everything")
    asked = parser.parse_args()
    signal.signal(signal.SIGINT, signal.default_int_handler)  # it is ignored in what a shell runs in the background
    ways = asked.ways.split(",")
    if DISK in ways and not os.environ.get(_IN_NAMESPACE):
        if in_namespace():
            os.environ[_IN_NAMESPACE] = "1"
            os.execvp("unshare", ["unshare", "-Urm", sys.executable, *sys.argv])
        print(f"{DISK}: left out, this system gives no user namespaces", file=sys.stderr)
        ways.remove(DISK)
    moments = [FIRST + (1 - FIRST) * (number + 0.5) / asked.moments for number in range(asked.moments)]
    bad = 0
    with tempfile.TemporaryDirectory(prefix="maestro-kill-") as folder:
        trials: list[dict[str, Any]] = []
        for number, found in enumerate(
            table(asked.verbs.split(","), ways, moments, Path(folder), small=asked.small), 1
        ):
            trials.append(found)
            bad += found["traceback"] or not found["equal"]
            if len(trials) < len(moments):
                continue
            row, trials = row_of(trials), []
            if number == len(moments):
                print(f"| {' | '.join(row)} |\n|{' --- |' * len(row)}")
            print(f"| {' | '.join(row.values())} |", flush=True)
    sys.exit(bool(bad))


if __name__ == "__main__":
    main()

"""The page of a reproduction: the same text as Markdown, as one HTML file, and in short on the terminal."""

from __future__ import annotations

import base64
import json
import math
import re
from collections import Counter
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined
from markdown_it import MarkdownIt
from rich.console import Console

from maestro_gym.core.whole_file import write_whole
from maestro_gym.evaluation.comparison_files import plain
from maestro_gym.evaluation.report.display import number
from maestro_gym.evaluation.reproduce.figures import draw_claims, draw_sweeps
from maestro_gym.evaluation.reproduce.judge import RULES, Outcome
from maestro_gym.evaluation.reproduce.reproduction import THRESHOLDS, Judged, Reading, Reproduction, SweptCell
from maestro_gym.evaluation.statistics import Interval

STEM = "reproduce"
_IMAGE = re.compile(r'src="([^"]+\.png)"')
_ASSUMPTIONS = """\
- **The machines are simulated** (docs/physics.md); `paper` is 64 A100-40GB nodes in four clusters with 75 deployments,
  `quick` eight A100-80GB nodes in two clusters with 19. High contention is a load of 1.1 of the capacity.
- **The workload is a modelling choice** but for its calls a workflow and its bimodal outputs: the paper publishes no
  applications, rates, deadlines or TTFT limits. The sweeps say what hangs on that.
- **Predictions** have the error that the paper reports (`noisy`), unless a reading says otherwise.
- **Rivals are given what Maestro has** beside its rules: late binding to warm nodes, elastic KV memory. `NAME@early`
  binds at readiness (docs/late_binding.md); on *stock nodes* every engine has a KV pool of its own and queues are
  endless.
- **No constant was chosen to meet a figure.** Intervals are 95 % bootstrap intervals over seeds, paired by episode."""


def write_pages(found: Reproduction, folder: Path, page: Path | None = None, json_path: Path | None = None) -> Path:
    """Write ``reproduce.md``, ``.html`` and ``.json`` with the figures they show.

    Args:
        found: What was found.
        folder: The run folder.
        page: Also write the Markdown there, its figures into ``images`` beside it; None does not.
        json_path: Another place for ``reproduce.json``; None: none.

    Returns:
        The HTML file.
    """
    places = [(folder / f"{STEM}.md", "plots")]
    if page is not None:
        places.append((page, f"images/{page.stem}"))
    for path, images in places:
        drawn = _draw(found, path.parent / images)
        names = {name: f"{images}/{file.name}" for name, file in drawn.items()}
        write_whole(path, markdown(found, names))
    numbers = json.dumps(plain(document(found)), indent=1, allow_nan=False) + "\n"
    for path in (folder / f"{STEM}.json", *([] if json_path is None else [json_path])):
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, numbers)
    html = folder / f"{STEM}.html"
    write_whole(html, _html(folder / f"{STEM}.md"))
    return html


def markdown(found: Reproduction, images: dict[str, str]) -> str:
    """Write the text.

    Args:
        found: What was found.
        images: Paths of the figures, by name: ``claims`` and the ids of swept claims.
    """
    info = found.info
    lines = [
        "# The claims of the Maestro paper, measured again",
        "",
        f"<!-- Written by `{info['command']}`; do not edit by hand. -->",
        "",
        f"**{answer(found)}**",
        "",
        f"![Every reading as a part of the claimed figure]({images['claims']})",
        "",
        "*Every reading as a part of the figure that the paper claims, with its 95 % interval; the dashed line is the "
        "claim, and an arrow lies beyond the edge. Green reaches it, blue falls short, grey tells nothing, orange goes "
        "the other way.*",
        "",
        "| claim | the paper | verdict | here, in the first reading |",
        "| --- | ---: | --- | ---: |",
        *(_summary_row(judged) for judged in found.judged),
        "",
        f"Measured on {info['created'][:10]}, commit `{_commit(info['commit'])}`, {info['machine']}, in "
        f"{info['wall_s'] / 60:.0f} minutes (this session), by `{info['command']}`.",
        "",
        "## How verdicts are made",
        "",
        RULES,
        "",
        "## What is assumed",
        "",
        _ASSUMPTIONS,
    ]
    if found.absent:
        lines += ["", f"Not available in this version, and left out: {', '.join(f'`{n}`' for n in found.absent)}."]
    for judged in found.judged:
        lines += _section(judged, found, images)
    return "\n".join([*lines, ""])


def answer(found: Reproduction) -> str:
    """Say in one sentence how many claims hold."""
    counts = Counter(judged.verdict.word for judged in found.judged)
    words = {
        "holds": ("holds under every reading", "hold under every reading"),
        "holds if": ("holds under assumptions that the table names", "hold under assumptions that the table names"),
        "does not hold": ("does not hold", "do not hold"),
        "cannot be told": ("cannot be told with these seeds", "cannot be told with these seeds"),
    }
    named = [f"{counts[word]} {text[counts[word] > 1]}" for word, text in words.items() if counts[word]]
    return f"Of {len(found.judged)} claims, {', '.join(named[:-1]) + ' and ' if len(named) > 1 else ''}{named[-1]}."


def print_verdicts(found: Reproduction, console: Console) -> None:
    """Print the answer and a line a claim.

    Args:
        found: What was found.
        console: Where to print.
    """
    console.print()
    console.print(answer(found), style="bold", highlight=False, markup=False)
    for judged in found.judged:
        line = f"- {judged.claim.title} ({_figure(judged)}): {judged.verdict.words}"
        console.print(line, highlight=False, markup=False)


def document(found: Reproduction) -> dict[str, object]:
    """Everything as one JSON document.

    Args:
        found: What was found.
    """
    return {
        "run": found.info,
        "absent": found.absent,
        "claims": [
            {
                "id": judged.claim.id,
                "title": judged.claim.title,
                "figure": judged.claim.figure,
                "unit": judged.claim.unit,
                "direction": judged.claim.direction,
                "source": judged.claim.source,
                "verdict": judged.verdict.word,
                "words": judged.verdict.words,
                "readings": [
                    {"words": r.condition.words, "outcome": r.outcome, **vars(r.interval)} for r in judged.readings
                ],
                "sweeps": [
                    {"axis": c.axis.name, "at": c.value, "words": c.words, "outcome": c.outcome, **vars(c.interval)}
                    for c in judged.swept
                ],
            }
            for judged in found.judged
        ],
    }


def _draw(found: Reproduction, folder: Path) -> dict[str, Path]:
    folder.mkdir(parents=True, exist_ok=True)
    drawn = {"claims": folder / "claims.png"}
    draw_claims(found, drawn["claims"])
    for judged in found.judged:
        if judged.swept:
            drawn[judged.claim.id] = folder / f"{judged.claim.id}.png"
            draw_sweeps(judged, found, drawn[judged.claim.id])
    return drawn


def _html(markdown_file: Path) -> str:
    """The Markdown as one page that needs no other file."""
    body = (
        MarkdownIt("commonmark", {"html": False})
        .enable("table")
        .render(re.sub(r"<!--.*?-->\n*", "", markdown_file.read_text(encoding="utf-8")))
    )

    def inlined(match: re.Match[str]) -> str:
        content = base64.b64encode((markdown_file.parent / match[1]).read_bytes()).decode("ascii")
        return f'src="data:image/png;base64,{content}"'

    body = re.sub(r"<h2>(.*?)</h2>", lambda match: f'<h2 id="{_anchor(match[1])}">{match[1]}</h2>', body)
    environment = Environment(
        loader=PackageLoader("maestro_gym.evaluation.reproduce", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
    )
    return environment.get_template("page.html.j2").render(body=_IMAGE.sub(inlined, body))


def _summary_row(judged: Judged) -> str:
    first = judged.readings[0]
    shown = f"{_interval(first.interval, judged.claim.unit)}, {first.condition.words}"
    verdict = f"**{judged.verdict.word}** {judged.verdict.because}"
    return f"| [{judged.claim.title}](#{_anchor(judged.claim.title)}) | {_figure(judged)} | {verdict} | {shown} |"


def _section(judged: Judged, found: Reproduction, images: dict[str, str]) -> list[str]:
    claim = judged.claim
    lines = [
        "",
        f"## {claim.title}",
        "",
        f"The paper: **{_figure(judged)}**. Source: {claim.source}.",
        "",
        claim.how,
        "",
        "| reading | here | seeds | outcome |",
        "| --- | ---: | ---: | --- |",
        *(_reading_row(reading, claim.unit) for reading in judged.readings),
        "",
        f"Verdict: it **{judged.verdict.word}** {judged.verdict.because}.",
    ]
    if judged.swept:
        image = images[claim.id]
        lines += ["", f"![{claim.title} in the sweeps]({image})", "", "*The dashed line is the paper's figure.*"]
        for axis in (*found.axes, THRESHOLDS):
            cells = [cell for cell in judged.swept if cell.axis is axis]
            lines += ["", *_swept_table(cells, claim.unit)] if cells else []
    return lines


def _swept_table(cells: list[SweptCell], unit: str) -> list[str]:
    names = list(dict.fromkeys(cell.words for cell in cells))
    axis = cells[0].axis
    place = f"`{axis.scenario}`, " if axis.scenario else ""
    words = f"{axis.words} [{unit}]; bold where the figure is reached. {place}{cells[0].interval.n} seeds."
    lines = [f"**{axis.name}**: {words}", ""]
    lines += [f"| {axis.name} | {' | '.join(names)} |", f"| ---: |{' ---: |' * len(names)}"]
    for value in dict.fromkeys(cell.value for cell in cells):
        row = [cell for cell in cells if cell.value == value]
        shown = [_interval(cell.interval, unit, words="") for cell in row]
        shown = [f"**{text}**" if c.outcome is Outcome.REACHES else text for c, text in zip(row, shown, strict=True)]
        lines.append(f"| {value:g} | {' | '.join(shown)} |")
    return lines


def _reading_row(reading: Reading, unit: str) -> str:
    condition, interval = reading.condition, reading.interval
    outcome = f"**{reading.outcome}**" if reading.outcome is Outcome.REACHES else str(reading.outcome)
    if not condition.is_claimed:
        outcome = "does not count"
    seeds = f"{interval.n:,} workflows" if condition.measure.kind == "study" else str(interval.n or "-")
    return f"| {condition.words} | {_interval(interval, unit)} | {seeds} | {outcome} |"


def _interval(interval: Interval, unit: str, words: str | None = None) -> str:
    """Estimate, unit and ends."""
    if not math.isfinite(interval.estimate):
        return "-"
    unit_words = f" {unit}" if words is None else words
    ends = "" if not math.isfinite(interval.low) else f" [{_number(interval.low)}, {_number(interval.high)}]"
    return f"{_number(interval.estimate, signed=unit == 'points')}{unit_words}{ends}"


def _number(value: float, *, signed: bool = False) -> str:
    """As tables of comparisons show it, but small ones with two digits that say something."""
    if 0.0 < abs(value) < 0.1:
        return f"{value:{'+' if signed else ''}.2g}".replace("-", "\N{MINUS SIGN}")
    return number(value, signed=signed)


def _figure(judged: Judged) -> str:
    claim = judged.claim
    if claim.figure is None:
        return "no figure; higher" if claim.direction == "higher" else "no figure; lower"
    if claim.id in ("oom", "decision-latency"):
        return f"under {claim.figure:g} {claim.unit}"
    sign = "" if claim.unit == "x" else "+"
    return f"{claim.figure:{sign}g} {claim.unit}".replace("-", "\N{MINUS SIGN}")


def _commit(commit: str) -> str:
    """The first digits, with the mark of files that differ."""
    return f"{commit[:12]}{'+' if commit.endswith('+') else ''}" or "unknown"


def _anchor(title: str) -> str:
    return re.sub(r"[^a-z0-9 -]", "", title.lower()).replace(" ", "-")

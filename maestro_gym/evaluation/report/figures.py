"""The figures of a comparison, as PNG files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter

from maestro_gym.core.colours import COLOURS, GREY
from maestro_gym.core.file_names import file_name
from maestro_gym.core.whole_file import whole_file
from maestro_gym.evaluation.comparison import Comparison, Setting
from maestro_gym.evaluation.report.display import SHOWN, Shown
from maestro_gym.evaluation.report.episode_trace import Trace
from maestro_gym.evaluation.report.gantt import draw_gantt
from maestro_gym.evaluation.report.palette import STYLE, figure, legend_below, look
from maestro_gym.evaluation.report.profiles import CAPTION, draw_profiles
from maestro_gym.evaluation.report.told_apart import training_summaries
from maestro_gym.state import CLASS_NAMES

MAX_GANTTS = 4
DASHED = (0, (5, 2))
DOTTED = (0, (1, 1.5))
MAX_MEMORY_PANELS = 6


@dataclass(frozen=True)
class Plot:
    """A figure on disk.

    Attributes:
        path: PNG file.
        title: Heading.
        caption: What it shows, in a sentence or two.
    """

    path: Path
    title: str
    caption: str


def draw_all(comparison: Comparison, folder: Path) -> list[Plot]:
    """Draw every figure of a comparison.

    Args:
        comparison: What was found.
        folder: Where the PNG files go; made if it is missing.

    Returns:
        The figures, in the order of a report.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with mpl.rc_context(STYLE):
        return _draw(comparison, folder)


def _draw(comparison: Comparison, folder: Path) -> list[Plot]:
    plots = []
    for scenario in dict.fromkeys(setting.scenario for setting in comparison.settings):
        settings = [setting for setting in comparison.settings if setting.scenario == scenario]
        stem = file_name(scenario)
        hardest = max(settings, key=lambda setting: setting.load)
        drawn = {t.policy: t for t in comparison.traces if (t.scenario, t.contention) == _key(hardest)}
        traces = [drawn[policy.name] for policy in comparison.policies if policy.name in drawn]
        plots += [
            _attainment_by_load(comparison, settings, folder / f"{stem}-slo-by-load.png"),
            _by_class(comparison, hardest, folder / f"{stem}-classes.png"),
            _completion_cdf(comparison, settings, folder / f"{stem}-completion-cdf.png"),
            _differences(comparison, hardest, folder / f"{stem}-differences.png"),
        ]
        sampled = _interesting(comparison, hardest, [t for t in traces if len(t.samples)], MAX_MEMORY_PANELS)
        if sampled:
            plots.append(_memory_over_time(sampled, hardest, folder / f"{stem}-kv-over-time.png"))
        for trace in _interesting(comparison, hardest, traces, MAX_GANTTS):
            path = folder / f"{stem}-gantt-{file_name(trace.policy)}.png"
            _save(draw_gantt(trace), path)
            caption = (
                "Each row is a model on a node. Bars are stages, darker where more run at once; a coloured line is a "
                "model awake, hatching one that loads, a thin dark line one asleep, white not resident."
            )
            plots.append(Plot(path, f"{trace.policy} on {hardest.title}, seed {trace.seed}", caption))
    if summaries := training_summaries(comparison):
        path = folder / "training-profiles.png"
        _save(draw_profiles(summaries), path)
        plots.append(Plot(path, "Seeds of one training: performance profiles", CAPTION))
    return plots


def _key(setting: Setting) -> tuple[str, str]:
    return setting.scenario, setting.contention


def _interesting(comparison: Comparison, setting: Setting, traces: list[Trace], most: int) -> list[Trace]:
    """The reference, the learned ones, then the best by SLO attainment; a page holds a few schedules, not twenty."""
    learned = {policy.name for policy in comparison.policies if policy.learned}

    def rank(trace: Trace) -> tuple[bool, bool, float]:
        attainment = comparison.cell(setting, trace.policy, "slo_attainment").value.estimate
        return trace.policy != comparison.reference, trace.policy not in learned, -np.nan_to_num(attainment)

    chosen = sorted(traces, key=rank)[:most]
    return [trace for trace in traces if trace in chosen]


def _save(fig: Figure, path: Path) -> None:
    with whole_file(path) as part:
        fig.savefig(part)


def _attainment_by_load(comparison: Comparison, settings: list[Setting], path: Path) -> Plot:
    ordered = sorted(settings, key=lambda setting: setting.load)
    fig, axes = figure(1, 2, width=10, height=4.2, share_y=True)
    for panel, column in zip(axes, ("slo_attainment", "ttft_attainment"), strict=True):
        if len(ordered) == 1:
            _dots(panel, comparison, ordered[0], SHOWN[column])
        else:
            _lines(panel, comparison, ordered, SHOWN[column])
    title = f"{ordered[0].scenario}: share of promises kept"
    if len(ordered) > 1:
        legend_below(fig, axes[0], [policy.name for policy in comparison.policies])
        title += " by load"
    _save(fig, path)
    caption = (
        "Left: workflows that finish by their deadline. Right: interactive stages whose first token comes in time. "
        f"Mean over {len(comparison.seeds)} seed(s), bars are 95 % intervals."
    )
    return Plot(path, title, caption)


def _lines(panel: Axes, comparison: Comparison, settings: list[Setting], shown: Shown) -> None:
    loads = np.array([setting.load for setting in settings])
    width = 0.012 * (loads[-1] - loads[0])
    for index, policy in enumerate(comparison.policies):
        cells = [comparison.cell(setting, policy.name, shown.column).value for setting in settings]
        middle = np.array([cell.estimate for cell in cells]) * shown.scale
        ends = np.array([(cell.low, cell.high) for cell in cells]).T * shown.scale
        sides = np.nan_to_num(np.abs(ends - middle))
        shift = (index - (len(comparison.policies) - 1) / 2) * width  # or the bars would hide each other
        panel.errorbar(loads + shift, middle, yerr=sides, label=policy.name, capsize=2, **look(index))
    panel.set(title=shown.heading, xlabel="offered load, relative to capacity", ylim=(0, 102))
    panel.set_xticks(loads, [f"{setting.contention}\n{setting.load:.2g}" for setting in settings])


def _dots(panel: Axes, comparison: Comparison, setting: Setting, shown: Shown) -> None:
    names = [policy.name for policy in comparison.policies]
    for index, name in enumerate(names):
        cell = comparison.cell(setting, name, shown.column).value
        sides = np.nan_to_num([[cell.estimate - cell.low], [cell.high - cell.estimate]]) * shown.scale
        panel.errorbar(cell.estimate * shown.scale, index, xerr=sides, capsize=3, **look(index))
    panel.set(title=shown.heading, xlim=(0, 102))
    panel.set_yticks(range(len(names)), names)
    panel.set_ylim(len(names) - 0.5, -0.5)


def _by_class(comparison: Comparison, setting: Setting, path: Path) -> Plot:
    columns = (("slo_attainment", "SLO attainment [%]", 100.0), ("completion_mean_s", "completion mean [s]", 1.0),
               ("ttft_mean_s", "TTFT mean [s]", 1.0))  # fmt: skip
    names = [policy.name for policy in comparison.policies]
    fig, axes = figure(1, len(columns), width=11, height=1.6 + 0.34 * len(names), share_y=True)
    place = np.arange(len(names))
    for panel, (column, heading, scale) in zip(axes, columns, strict=True):
        for offset, name in enumerate(CLASS_NAMES):
            cells = [comparison.cell(setting, policy, f"{column}_{name}").value for policy in names]
            middle = np.array([cell.estimate for cell in cells]) * scale
            ends = np.array([(cell.low, cell.high) for cell in cells]).T * scale
            panel.barh(
                place + (offset - 0.5) * 0.38,
                np.nan_to_num(middle),
                0.36,
                xerr=np.nan_to_num(np.abs(ends - middle)),
                color=COLOURS[offset],
                hatch=("", "///")[offset],
                edgecolor="white",
                error_kw={"elinewidth": 0.9, "capsize": 2},
                label=name,
            )
        panel.set(title=heading)
        panel.grid(axis="y", visible=False)
    axes[0].set_yticks(place, names)
    axes[0].set_ylim(len(names) - 0.5, -0.5)
    legend_below(fig, axes[0], CLASS_NAMES)
    _save(fig, path)
    return Plot(path, f"{setting.title}: by class", "Mean over seeds with 95 % intervals, per workflow class.")


def _completion_cdf(comparison: Comparison, settings: list[Setting], path: Path) -> Plot:
    fig, axes = figure(1, len(settings), width=max(6.0, 4.3 * len(settings)), height=4.2, share_y=True)
    for panel, setting in zip(axes, settings, strict=True):
        table = comparison.workflows
        table = table[(table["scenario"] == setting.scenario) & (table["contention"] == setting.contention)]
        for index, policy in enumerate(comparison.policies):
            own = table[table["policy"] == policy.name]
            times = np.sort(np.asarray(own["completion_s"])[np.asarray(own["finished"])])
            if len(times):
                share = np.arange(1, len(times) + 1) / len(own) * 100.0
                style = look(index) | {"marker": ""}
                panel.step(times, share, where="post", label=policy.name, **style)  # pyright: ignore[reportArgumentType]
        panel.set(title=setting.title, xscale="log", xlabel="completion time [s]", ylim=(0, 102))
        panel.xaxis.set_major_locator(LogLocator(subs=(1.0, 3.0)))
        panel.xaxis.set_major_formatter("{x:g}")
        panel.xaxis.set_minor_formatter(NullFormatter())
    axes[0].set_ylabel("workflows [%]")
    legend_below(fig, axes[0], [policy.name for policy in comparison.policies])
    _save(fig, path)
    caption = (
        "Share of all workflows, of all seeds, done within a time of their arrival. A curve that stays under 100 % "
        "leaves workflows unfinished."
    )
    return Plot(path, f"{settings[0].scenario}: completion times", caption)


def _differences(comparison: Comparison, setting: Setting, path: Path) -> Plot:
    others = [(i, p.name) for i, p in enumerate(comparison.policies) if p.name != comparison.reference]
    columns = [SHOWN[column] for column in ("slo_attainment", "ttft_attainment", "completion_mean_s")]
    fig, axes = figure(1, len(columns), width=11, height=1.5 + 0.3 * max(1, len(others)), share_y=True)
    for panel, shown in zip(axes, columns, strict=True):
        panel.axvline(0.0, color=GREY, linewidth=1)
        for row, (index, name) in enumerate(others):
            gap = comparison.cell(setting, name, shown.column).difference
            sides = np.nan_to_num([[gap.estimate - gap.low], [gap.high - gap.estimate]]) * shown.scale
            panel.errorbar(gap.estimate * shown.scale, row, xerr=sides, capsize=3, **look(index))
        toward = "right" if shown.better == "higher" else "left"
        panel.set(title=f"{shown.heading}, better to the {toward}", xlabel=f"difference to {comparison.reference}")
        panel.grid(axis="y", visible=False)
    axes[0].set_yticks(range(len(others)), [name for _, name in others])
    axes[0].set_ylim(len(others) - 0.5, -0.5)
    _save(fig, path)
    caption = (
        f"Paired differences to {comparison.reference} on the same seeds, with 95 % intervals. "
        "An interval that crosses the line decides nothing."
    )
    return Plot(path, f"{setting.title}: against {comparison.reference}", caption)


def _memory_over_time(shown: list[Trace], setting: Setting, path: Path) -> Plot:
    columns = min(3, len(shown))
    rows = -(-len(shown) // columns)
    fig, axes = figure(
        rows, columns, width=max(6.0, 3.9 * columns), height=0.7 + 2.7 * rows, share_x=True, share_y=True
    )
    for panel in axes[len(shown) :]:
        panel.set_visible(False)
    for panel, trace in zip(axes, shown, strict=False):
        time_s, table = trace.samples["time_s"], trace.samples
        panel.plot(time_s, table["kv_pool_bytes"] / 1e9, color=GREY, linestyle=DASHED, label="pool")
        panel.plot(time_s, table["kv_virtual_bytes"] / 1e9, color=COLOURS[3], linestyle=DOTTED, label="virtual")
        panel.plot(time_s, table["kv_reserved_bytes"] / 1e9, color=COLOURS[1], label="reserved")
        panel.fill_between(
            time_s, table["kv_used_bytes"] / 1e9, color=COLOURS[0], alpha=0.35, linewidth=0, label="used"
        )
        panel.axvline(trace.horizon_s, color=GREY, linewidth=0.8)
        panel.set(title=trace.policy)
    for panel in axes[::columns]:
        panel.set_ylabel("KV memory, fleet [GB]")
    for panel in axes[max(0, len(shown) - columns) : len(shown)]:
        panel.set_xlabel("simulated time [s]")
    legend_below(fig, axes[0], ("pool", "virtual", "reserved", "used"))
    _save(fig, path)
    caption = (
        f"KV memory of the fleet over one episode (seed {shown[0].seed}): set aside by admission, mapped, granted as "
        "address space, and the pool that weights leave. The thin vertical line is the end of arrivals."
    )
    return Plot(path, f"{setting.title}: KV memory over time", caption)

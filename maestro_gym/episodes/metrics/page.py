"""docs/metrics.md, written from the registry: ``python -m maestro_gym.episodes.metrics.page docs/metrics.md``."""

from __future__ import annotations

import sys
from pathlib import Path

from maestro_gym.episodes.metrics.row import METRICS

_HEAD = """# Metrics

<!-- Written by `python -m maestro_gym.episodes.metrics.page docs/metrics.md`; do not edit by hand. -->

One row of a results table (`results.parquet`, `results.csv`, `rows` in `results.json`) is one episode of one
policy. Its columns are those below; a metric marked *per class* also has `<name>_interactive` and `<name>_batch`.
The same code measures a simulated and a live run.

- **Population.** Averages run over the workflows and stages of the *episode*, which are the same for every policy.
  What is unfinished when the run ends is not left out: shares count it as a miss, and times count the wait that it had
  until the **cap** (the end of the drain, `drain_cap_s`). Read times together with `unfinished`.
- **Missing values.** A metric whose population is empty is missing (`null`, an empty cell), never zero.
- **Percentiles** interpolate linearly between order statistics.
- **Intervals** are 95 % bootstrap intervals of the mean over seeds (10,000 resamples, percentile method, widened for
  few seeds). **Differences** to the reference policy are paired: both policies meet the same seeds, and so the same
  arrivals, lengths and gaps. With fewer than five seeds an interval is little more than the range of the values.
- **What the seeds can tell.** Under a table it is said where an interval is too wide to tell 2 points of SLO
  attainment, or a twentieth of the mean completion time, from no difference, and how many seeds would do: those of a
  paired t-test at 5 % that misses such a difference in one case of five, with the spread that the seeds so far have.
  `power` in `results.json` has the numbers for every policy, with the least difference that the seeds do tell and the
  share of seeds on which the policy is better.
- **Training seeds.** Folders of trainings that differ by their seed alone are taken together: interquartile mean,
  performance profile and probability of improvement on the reference, with bootstrap intervals that resample runs
  within each setting (Agarwal et al., NeurIPS 2021). They stand under the table, as a figure, and in `trainings` of
  `results.json`.

| metric | unit | better | per class | formula |
| --- | --- | --- | --- | --- |
"""


def metrics_markdown() -> str:
    """Write the text of docs/metrics.md."""
    table = "".join(
        f"| [`{m.name}`](#{m.name}) | {m.unit} | {m.better} | {'yes' if m.per_class else ''} | {m.formula} |\n"
        for m in METRICS.values()
    )
    details = "".join(f"\n### {m.name}\n\n{m.description}\n" for m in METRICS.values())
    return f"{_HEAD}{table}\n## What they mean\n{details}"


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(metrics_markdown(), encoding="utf-8")

"""Evaluation: policies on the same episodes, and what can be said of the difference.

Start with ``compare.py`` (from names to a comparison), ``worker.py`` (one episode of one policy) and ``statistics.py``
(the intervals); ``power.py`` says how many seeds a difference needs, ``training_runs.py`` what several training seeds
say of a method. ``entrants.py`` says who takes part, ``comparison.py`` is the outcome, ``comparison_files.py`` writes
it; ``workers`` runs the episodes, ``episode_store.py`` keeps them as they end; ``finished_run.py`` reads a run back and
``merge_runs.py`` takes several together. ``report`` shows the outcome, ``watch`` plays an episode back, ``suite``
holds frozen benchmarks and their records, ``reproduce`` the paper's claims; ``knee.py``, ``predictions``, ``workloads``
and ``explain`` are studies of their own. What is measured is defined in ``maestro_gym/episodes/metrics``.

A new metric is a call of ``define`` there, a new figure a function of ``report/figures.py``. A new kind of interval is
a function of ``statistics.py``, as ``iqm_interval`` is.
"""

from typing import TYPE_CHECKING

from maestro_gym.core.handed_on import handed_on

if TYPE_CHECKING:
    from maestro_gym.evaluation.compare import run_compare
    from maestro_gym.evaluation.comparison import Comparison, PolicyLabel, Setting
    from maestro_gym.evaluation.comparison_files import write_results
    from maestro_gym.evaluation.report.figures import draw_all
    from maestro_gym.evaluation.report.page.write_page import write_report
    from maestro_gym.evaluation.report.table import print_comparison
    from maestro_gym.evaluation.statistics import Interval, iqm_interval, mean_intervals, paired_differences
    from maestro_gym.evaluation.worker import Runner

__all__ = [
    "Comparison",
    "Interval",
    "PolicyLabel",
    "Runner",
    "Setting",
    "draw_all",
    "iqm_interval",
    "mean_intervals",
    "paired_differences",
    "print_comparison",
    "run_compare",
    "write_report",
    "write_results",
]

__getattr__ = handed_on(
    __name__,
    {
        "Comparison": "comparison",
        "Interval": "statistics",
        "PolicyLabel": "comparison",
        "Runner": "worker",
        "Setting": "comparison",
        "draw_all": "report.figures",
        "iqm_interval": "statistics",
        "mean_intervals": "statistics",
        "paired_differences": "statistics",
        "print_comparison": "report.table",
        "run_compare": "compare",
        "write_report": "report.page.write_page",
        "write_results": "comparison_files",
    },
)

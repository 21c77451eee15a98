"""From the name of a scenario to a finished episode and its metrics: world, scenario, the run and its result.

Start with ``scenario.py`` (a scenario ready to run, and the episodes it makes), ``run.py`` (a whole episode under one
policy) and ``result.py`` (what it leaves behind, from which every metric is computed). ``world.py`` turns a fleet into
arrays, ``capacity.py`` says which rate is an offered load of one. ``metrics`` defines what is measured.

What a metric needs of a run is a field of ``EpisodeResult``, filled by ``result_of`` in ``run.py``; ``counters`` is an
example. A new property of the fleet is a field of ``maestro_gym/state/world.py``, filled in ``world.py``.
"""

from typing import TYPE_CHECKING

from maestro_gym.core.handed_on import handed_on

if TYPE_CHECKING:
    from maestro_gym.episodes.metrics.define import metric_of
    from maestro_gym.episodes.metrics.outcome import Outcome, outcome_of
    from maestro_gym.episodes.metrics.row import metrics_of, result_row
    from maestro_gym.episodes.result import EpisodeResult
    from maestro_gym.episodes.run import run_episode
    from maestro_gym.episodes.scenario import Scenario

__all__ = [
    "EpisodeResult",
    "Outcome",
    "Scenario",
    "metric_of",
    "metrics_of",
    "outcome_of",
    "result_row",
    "run_episode",
]

__getattr__ = handed_on(
    __name__,
    {
        "EpisodeResult": "result",
        "Outcome": "metrics.outcome",
        "Scenario": "scenario",
        "metric_of": "metrics.define",
        "metrics_of": "metrics.row",
        "outcome_of": "metrics.outcome",
        "result_row": "metrics.row",
        "run_episode": "run",
    },
)

"""The report of a search: the policy that was kept beside the reference, on the validation episodes that chose it."""

from __future__ import annotations

from pathlib import Path

from maestro_gym.agents.load import PolicyLoader
from maestro_gym.baselines.shaped.file import POLICY_FILE
from maestro_gym.config.search import SearchConfig
from maestro_gym.evaluation.compare import Place, compare
from maestro_gym.evaluation.comparison import Comparison
from maestro_gym.evaluation.report.page.write_page import write_report
from maestro_gym.evaluation.worker import Runner, scenario_of
from maestro_gym.evaluation.workers.workers import Workers

REPORT_FILE = "report.html"
"""Its name in the folder of a search."""


def report_search(config: SearchConfig, folder: Path, workers: Workers | None = None) -> tuple[Comparison, Path]:
    """Hold the policy of a finished search against the reference, and write the page of a comparison.

    Validation episodes chose the policy, so they flatter it; what it is worth is said by test episodes (`compare`).

    Args:
        config: The settings of the search.
        folder: Its folder, with `POLICY_FILE`.
        workers: Who runs the episodes; None: a process of this machine for every usable core.

    Returns:
        The comparison, and the page in the folder.
    """
    comparison = compare(
        [],
        [config.reference, str(folder / POLICY_FILE)],
        places=_places(config),
        seeds=range(config.validation_episodes),
        reference=config.reference,
        split="validation",
        own_limits=bool(config.knobs),
        # The search itself wrote the file, and the rule that the file names is the one that was searched.
        runner=Runner(load=PolicyLoader(True)),
        workers=workers,
    )
    return comparison, write_report(comparison, folder / REPORT_FILE)


def _places(config: SearchConfig) -> list[Place]:
    """The places of a search; of those that tables would call alike, the first."""
    found: dict[tuple[str, str], Place] = {}
    for place in config.places:
        named = (place.scenario, tuple(place.overrides))
        settings = scenario_of(*named).config
        found.setdefault((settings.name, settings.contention), named)
    return list(found.values())

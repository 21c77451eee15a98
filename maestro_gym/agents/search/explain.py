"""``maestro-gym explain``: what a policy does otherwise than another, and what comes of it, as a folder to read."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path

from maestro_gym.agents.search.number_worth import number_worths
from maestro_gym.baselines import load_policy
from maestro_gym.core.errors import MaestroError
from maestro_gym.core.run_folder import clear_earlier, run_folder
from maestro_gym.episodes.scenario import Scenario
from maestro_gym.evaluation.explain.explanation import Explanation, explanation_of
from maestro_gym.evaluation.explain.page import write_page
from maestro_gym.evaluation.explain.picture import draw_explanation
from maestro_gym.scheduling.policy import Policy

PAGE_FILE, PICTURE_FILE = "explanation.md", "explanation.png"


def run_explain(
    spec: str,
    scenario: Scenario,
    seeds: Sequence[int],
    *,
    reference: str = "maestro",
    split: str = "validation",
    out: Path | None = None,
    overwrite: bool = False,
    load: Callable[[str, Scenario], Policy] = load_policy,
) -> tuple[Explanation, Path]:
    """Explain a policy, and leave a folder with a page and a picture.

    Args:
        spec: What names the policy.
        scenario: Where.
        seeds: One episode each.
        reference: What names the policy that it is held against.
        split: Split of the episodes.
        out: The folder; None makes one below ``runs/explain``.
        overwrite: Put it in the place of what an earlier run has left in ``out``.
        load: How specs become policies.

    Returns:
        The explanation and its folder.

    Raises:
        MaestroError: A policy does not exist, both are the same, a seed is given twice, or the folder cannot be
            written.
    """
    if spec == reference:
        raise MaestroError(f"{spec} cannot be held against itself; name another policy by --reference.")
    if len(set(seeds)) != len(seeds):
        raise MaestroError(f"Seeds {list(seeds)} repeat; every seed must be given once, it would count twice.")
    policy, other = load(spec, scenario), load(reference, scenario)
    names = (policy.name, other.name) if policy.name != other.name else (spec, reference)
    folder = out or Path("runs") / "explain" / time.strftime("%Y%m%d-%H%M%S")
    with run_folder(folder, overwrite=overwrite):
        worths = number_worths(policy, scenario, seeds, split)
        found = explanation_of(scenario, policy, other, split=split, seeds=seeds, names=names, worths=worths)
        clear_earlier(folder)
        draw_explanation(found, folder / PICTURE_FILE)
        write_page(found, folder / PICTURE_FILE, folder / PAGE_FILE)
    return found, folder

"""What the episodes of a sweep depend on, by name, so that a resume can tell what differs."""

from __future__ import annotations

from collections.abc import Sequence

from maestro_gym.evaluation.comparison import Setting
from maestro_gym.evaluation.entrants import Entrant
from maestro_gym.evaluation.run_info import versions
from maestro_gym.evaluation.suite.fingerprint import digest, scenario_parts, source_hashes
from maestro_gym.evaluation.suite.identity import identity_of
from maestro_gym.evaluation.worker import Runner, policy_of, scenario_of


def sweep_facts(
    places: Sequence[tuple[str, tuple[str, ...]]],
    settings: Sequence[Setting],
    entrants: Sequence[Entrant],
    seeds: Sequence[int],
    split: str,
    runner: Runner,
) -> dict[str, str]:
    """Describe a sweep: its plan, and everything that a change of would change an episode.

    Args:
        places: Names and overrides of scenarios.
        settings: The same, resolved.
        entrants: Who takes part.
        seeds: Evaluation seeds.
        split: Split of the episodes.
        runner: How policies are loaded.

    Returns:
        Words or hashes by name.
    """
    facts = {
        "settings": ", ".join(f"{setting.scenario} {setting.contention}" for setting in settings),
        "policies": ", ".join(entrant.label.name for entrant in entrants),
        "seeds": ", ".join(map(str, seeds)),
        "split": split,
    }
    for place, setting in zip(places, settings, strict=True):
        words = f"{setting.scenario} {setting.contention}"
        facts[f"arrival rate of {words}"] = repr(setting.rate_rps)
        parts = scenario_parts(scenario_of(*place).config)
        facts |= {f"{part} of {words}": value for part, value in parts.items()}
    for entrant in entrants:
        changes = (*places[0][1], *entrant.overrides, *entrant.limits)
        identity = identity_of(policy_of(runner, entrant.spec, places[0][0], changes), entrant.label, entrant.spec)
        its = [identity.model_dump(mode="json"), entrant.overrides, entrant.limits]
        facts[f"policy {entrant.label.name}"] = digest(its)
    facts |= {f"version of {name}": version for name, version in versions().items()}
    return facts | {f"sources of {name}": value for name, value in source_hashes().items()}

"""An explanation in sentences that can stand in a paper: every claim with its number and its interval."""

from __future__ import annotations

from collections.abc import Sequence

from maestro_gym.evaluation.explain.decisions import KindDifference, PlaceDifference
from maestro_gym.evaluation.explain.explanation import Explanation, Worth
from maestro_gym.evaluation.explain.tables import PERCENT, shown
from maestro_gym.evaluation.explain.workflows import Fate
from maestro_gym.evaluation.report.display import number
from maestro_gym.evaluation.statistics import FEW_SEEDS, Interval

_MOST_NUMBERS, _MOST_KINDS = 5, 2


def paragraphs(found: Explanation) -> list[str]:
    """The findings, a paragraph each: how it does, its numbers, its decisions, its workflows."""
    return [part for part in (_outcome(found), _numbers(found), _decisions(found), _workflows(found)) if part]


def seed_words(seeds: Sequence[int]) -> str:
    """Seeds as they are typed: ``0-15``, or one by one where there are gaps."""
    if len(seeds) > 1 and list(seeds) == list(range(seeds[0], seeds[0] + len(seeds))):
        return f"{seeds[0]}-{seeds[-1]}"
    return ",".join(map(str, seeds))


def _outcome(found: Explanation) -> str:
    rows = {row.metric: row for row in found.measured}
    slo, mean, tail = (rows[name] for name in ("slo_attainment", "completion_mean_s", "completion_p95_s"))
    text = (
        f"On {found.scenario} at {found.contention} contention (offered load {found.load:.2f} of the capacity), over "
        f"{len(found.seeds)} {found.split} episodes (seeds {seed_words(found.seeds)}), {found.policy} finishes "
        f"{_percent(slo.policy)} of the workflows by their deadline and {found.reference} {_percent(slo.reference)}, a "
        f"paired difference of {_points(slo.difference)}. Mean completion changes by {_seconds(mean.difference)}, its "
        f"95th percentile by {_seconds(tail.difference)}. Brackets are 95 % intervals over episodes."
    )
    if len(found.seeds) < FEW_SEEDS:
        text += (
            f" With {len(found.seeds)} episode(s) they say little: run {FEW_SEEDS} or more before claiming anything."
        )
    return text


def _numbers(found: Explanation) -> str:
    numbers = [worth for worth in found.worths if not worth.is_part]
    parts = [worth for worth in found.worths if worth.is_part]
    if not found.worths:
        return f"{found.policy} has no numbers that differ from a default, so none is taken back."
    if not numbers:
        return f"All numbers of {found.policy} are at their defaults."
    sure = [worth for worth in numbers if worth.slo.excludes_zero and worth.slo.estimate > 0]
    text = (
        f"{len(numbers)} of its numbers differ from the family's defaults. Each was taken back alone, on the same "
        f"episodes; for {len(sure)} of them this loses SLO attainment beyond the interval"
    )
    if sure:
        text += ", most for " + _listed([f"`{w.name}` ({_points(w.slo)})" for w in sure[:_MOST_NUMBERS]])
    harmful = [worth for worth in numbers if worth.slo.high < 0]
    if harmful:
        text += "; it gains for " + _listed([f"`{w.name}` ({_points(w.slo)})" for w in harmful[::-1]])
    return f"{text}." + (f" Of the parts, {_parts(parts)}." if parts else "")


def _parts(parts: list[Worth]) -> str:
    ordered = sorted(parts, key=lambda worth: -worth.slo.estimate)
    return _listed([f"{worth.name} is worth {_points(worth.slo)}" for worth in ordered])


def _decisions(found: Explanation) -> str:
    tiers = [tier for tier in found.differences.tiers if tier.decisions > 0]
    shares = [f"{_percent(tier.differ)} of the {number(tier.decisions)} {tier.tier}" for tier in tiers]
    text = (
        f"{found.reference} was asked at every decision of an episode under {found.policy}, in the same state. It "
        f"would have decided otherwise in {_listed(shares)} decisions of an episode."
    )
    for tier in tiers:
        kinds = [kind for kind in found.differences.kinds if kind.tier == tier.tier][:_MOST_KINDS]
        if kinds:
            text += f" At the {tier.tier} tier {found.policy} mostly {_listed([_kind(kind) for kind in kinds])}."
    places = [place for place in found.differences.places if place.tier == tiers[0].tier and place.by == "backlog"]
    return text + _trend(places, tiers[0].tier) if tiers else text


def _kind(kind: KindDifference) -> str:
    about = f"{_percent(kind.share)} of the tier's decisions"
    if kind.stages < 0.95 * kind.decisions:
        about += f", about {number(kind.stages)} different stages an episode, which are asked about again and again"
    if kind.at_once > 0:
        about += f"; in {PERCENT * kind.at_once:.0f} % of these the other stage goes at the same instant too"
    return f"{kind.words} ({about})"


def _trend(places: list[PlaceDifference], tier: str) -> str:
    if len(places) < 2:
        return ""
    least, most = places[0], places[-1]
    return (
        f" Of the {tier} decisions, {_percent(least.differ)} differ at the least backlog ({least.group}) and "
        f"{_percent(most.differ)} at the largest ({most.group})."
    )


def _workflows(found: Explanation) -> str:
    every, *groups = found.fates
    text = (
        f"{found.policy} saves {every.saved:,} of {every.workflows:,} workflows ({_percent(every.saved_share)}), which "
        f"are late or unfinished under {found.reference}, and gives up {every.given_up:,} "
        f"({_percent(every.given_up_share)}) that are in time there. Mean completion of the "
        f"{every.in_time_in_both:,} that are in time under both changes by {_seconds(every.completion_s)}."
    )
    for by, words in (("application", "application"), ("class", "class"), ("rarest model", "rarest model called")):
        own = sorted((fate for fate in groups if fate.by == by), key=lambda fate: -fate.net_share.estimate)
        if len(own) > 1:
            text += f" By {words}, the net gain is largest for {_group(own[0])} and least for {_group(own[-1])}."
    given = max(groups, key=lambda fate: fate.given_up_share.estimate)
    if given.given_up:
        text += (
            f" The group of which it gives up most is {given.group} (by {given.by}): {_percent(given.given_up_share)}."
        )
    return text


def _group(fate: Fate) -> str:
    return f"{fate.group} ({_points(fate.net_share)}; {fate.saved:,} saved, {fate.given_up:,} given up)"


def _percent(interval: Interval) -> str:
    return _with_unit(shown(interval, PERCENT), "%")


def _points(interval: Interval) -> str:
    return _with_unit(shown(interval, PERCENT, signed=True), "points")


def _seconds(interval: Interval) -> str:
    return _with_unit(shown(interval, signed=True), "s")


def _with_unit(words: str, unit: str) -> str:
    """Put a unit between an estimate and its interval."""
    estimate, bracket, rest = words.partition(" [")
    return f"{estimate} {unit}{bracket}{rest}"


def _listed(parts: Sequence[str]) -> str:
    if len(parts) < 2:
        return "".join(parts)
    return f"{', '.join(parts[:-1])} and {parts[-1]}"

"""Other futures of an episode: the same past, and the arrivals of another episode from now on.

What a scheduler cannot know at a decision is which workflows will come and how long running ones will be. Here the
former is drawn anew; workflows that have arrived keep their own hidden lengths, so that an average over such futures
still knows a little more than a scheduler does.
"""

from __future__ import annotations

import numpy as np

from maestro_gym.state import Episode


def with_arrivals_of(episode: Episode, other: Episode, after_s: float) -> Episode:
    """An episode whose workflows are its own up to a time, and another's from then on.

    Args:
        episode: Whose past it is.
        other: Of the same scenario; whose arrivals come later.
        after_s: Simulated time of the last arrival that is kept.

    Returns:
        The episode; rows of what has arrived by ``after_s`` are those of ``episode``, and so are outages.
    """
    kept = int(np.searchsorted(episode.workflows["arrival_s"], after_s, side="right"))
    first = int(np.searchsorted(other.workflows["arrival_s"], after_s, side="right"))
    stages_kept = int(episode.workflows["num_stages"][:kept].sum())
    stages_first = int(other.workflows["num_stages"][:first].sum())
    children_kept = int(episode.hidden["num_children"][:stages_kept].sum())
    children_first = int(other.hidden["num_children"][:stages_first].sum())
    workflows, stages, hidden = (
        other.workflows[first:].copy(),
        other.stages[stages_first:].copy(),
        other.hidden[stages_first:].copy(),
    )
    workflows["first_stage"] += stages_kept - stages_first
    stages["workflow"] += kept - first
    hidden["child_start"] += children_kept - children_first
    # Contexts are a workflow's own: numbers that neither episode uses. System prompts are shared by both.
    groups = [part.stages[name] for part in (episode, other) for name in ("sys_group", "ctx_group")]
    largest = max(int(group.max(initial=0)) for group in groups)
    stages["ctx_group"][stages["ctx_group"] >= 0] += largest + 1
    return Episode(
        workflows=np.concatenate([episode.workflows[:kept], workflows]),
        stages=np.concatenate([episode.stages[:stages_kept], stages]),
        hidden=np.concatenate([episode.hidden[:stages_kept], hidden]),
        predictions=np.concatenate([episode.predictions[:stages_kept], other.predictions[stages_first:]]),
        children=np.concatenate(
            [episode.children[:children_kept], other.children[children_first:] + stages_kept - stages_first]
        ),
        outages=episode.outages,
    )

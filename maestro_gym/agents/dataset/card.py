"""From a dataset to the card of a policy that learns from it, which `save_policy` needs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from maestro_gym.agents.dataset.write import METADATA
from maestro_gym.agents.observed_rule import spec_of_encoder
from maestro_gym.agents.policy_card import PolicyCard
from maestro_gym.core.errors import MaestroError
from maestro_gym.evaluation.run_info import versions


def card_of_dataset(dataset: Any, hidden_sizes: Sequence[int] = (64, 64)) -> PolicyCard:  # noqa: ANN401 - minari ships no stubs
    """Describe a scorer that reads what a dataset shows.

    Args:
        dataset: A ``minari.MinariDataset`` that ``maestro-gym dataset`` has written.
        hidden_sizes: Widths of the hidden layers.

    Returns:
        The card; its companions are the policy of the dataset, which decides for the other tiers.

    Raises:
        MaestroError: The dataset is from elsewhere, or shows what this version of the environments no longer does.
    """
    name, metadata = dataset.spec.dataset_id, dataset.storage.metadata
    if METADATA not in metadata:
        raise MaestroError(
            f"{name}: is no dataset of `maestro-gym dataset` (its metadata have no {METADATA}). Write one with it."
        )
    about = json.loads(metadata[METADATA])
    predictions = about["information"] == "P"
    try:
        spec_of_encoder(about["encoder"], about["tier"], predictions=predictions)
    except MaestroError:
        raise MaestroError(
            f"{name}: its observations have columns of another version of maestro-gym. Write it again with this one."
        ) from None
    space = dataset.spec.observation_space
    rows, columns = space["candidates"].shape
    return PolicyCard(
        tier=about["tier"],
        network="scorer",
        num_features=columns,
        num_context=space["context"].shape[0],
        num_candidates=rows,
        hidden_sizes=tuple(hidden_sizes),
        encoder=about["encoder"],
        predictions=predictions,
        window=about["window"],
        companions=about["policy"],
        scenario=about["scenario"],
        contention=about["contention"],
        versions=versions(),
    )

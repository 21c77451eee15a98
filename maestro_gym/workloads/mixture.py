"""Several workloads side by side: each with its share of the workflows, its arrivals and its tenants."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from maestro_gym.core import hashing
from maestro_gym.state import PREDICTION, Episode
from maestro_gym.workloads.workload import Mix, Workload


class Part(NamedTuple):
    """One workload of a mixture."""

    workload: Workload
    share: float  # of the workflows, relative to the other parts


class MixtureWorkload:
    """Episodes in which several workloads meet.

    Every part draws from a key of its own, so that another part's share does not change its lengths.

    Attributes:
        name: Names of the parts, joined by +.
        notes: Of the parts.
        application_names: "part.application", by ``workflows.application``.
        role_names: "part.application.role", by ``stages.role``.
        tenant_names: "part/tenant", by ``workflows.tenant``.
    """

    def __init__(self, parts: list[Part], num_clusters: int = 1) -> None:
        """Put parts together.

        Args:
            parts: The parts, at least one.
            num_clusters: Tenants are spread over so many ingress clusters.
        """
        self._parts = parts
        total = sum(part.share for part in parts)
        self._shares = [part.share / total for part in parts]
        self._num_clusters = num_clusters
        names = [part.workload.name for part in parts]
        # Two parts of one family are told apart by their place.
        self._labels = [name if names.count(name) == 1 else f"{name}-{i}" for i, name in enumerate(names)]
        self.name = "+".join(self._labels)
        labelled = list(zip(self._labels, (part.workload for part in parts), strict=True))
        self.application_names = tuple(f"{label}.{n}" for label, made in labelled for n in made.application_names)
        self.role_names = tuple(f"{label}.{n}" for label, made in labelled for n in made.role_names)
        self.tenant_names = tuple(f"{label}/{n}" for label, made in labelled for n in made.tenant_names)

    @property
    def notes(self) -> tuple[str, ...]:
        """Return what the parts have to say."""
        return tuple(note for part in self._parts for note in part.workload.notes)

    def mix(self) -> Mix:
        """Return the statistics of the parts, weighted by their calls."""
        mixes = [part.workload.mix() for part in self._parts]
        calls = np.array([share * mix.calls_per_workflow for share, mix in zip(self._shares, mixes, strict=True)])
        stages = np.stack([mix.model_share for mix in mixes]) * calls[:, None]
        by_model = stages.sum(axis=0)
        weights = np.where(by_model > 0, stages, calls[:, None])
        weights = weights / weights.sum(axis=0)
        return Mix(
            model_share=by_model / by_model.sum(),
            prompt_tokens=(weights * np.stack([mix.prompt_tokens for mix in mixes])).sum(axis=0),
            output_tokens=(weights * np.stack([mix.output_tokens for mix in mixes])).sum(axis=0),
            calls_per_workflow=float(calls.sum()),
            interactive_share=float(np.dot(self._shares, [mix.interactive_share for mix in mixes])),
        )

    def episode(
        self, key: int, rate_rps: float, horizon_s: float, service: np.ndarray, split: str = "train"
    ) -> Episode:
        """Make one episode; see ``Workload.episode``."""
        return self._join(
            [
                part.workload.episode(
                    int(hashing.mix(key, hashing.MIXTURE, index)), rate_rps * share, horizon_s, service, split
                )
                for index, (part, share) in enumerate(zip(self._parts, self._shares, strict=True))
            ]
        )

    def history(self, num_workflows: int, service: np.ndarray) -> Episode:
        """Return past workflows of all parts, at least one each; see ``Workload.history``."""
        return self._join(
            [
                part.workload.history(max(1, round(num_workflows * share)), service)
                for part, share in zip(self._parts, self._shares, strict=True)
            ]
        )

    def _join(self, episodes: list[Episode]) -> Episode:
        """Put episodes into one, workflows in order of arrival, all names and groups numbered through."""
        parts = [part.workload for part in self._parts]
        workflows, stages, hidden, children = [], [], [], []
        applications = roles = tenants = groups = first_stage = first_workflow = first_child = 0
        for made, episode in zip(parts, episodes, strict=True):
            own_workflows, own_stages, own_hidden = (array.copy() for array in episode[:3])
            own_workflows["application"] += applications
            own_workflows["tenant"] += tenants
            own_workflows["ingress_cluster"] = own_workflows["tenant"] % self._num_clusters
            own_workflows["first_stage"] += first_stage
            own_stages["workflow"] += first_workflow
            own_stages["role"] += roles
            most = -1
            for column in ("sys_group", "ctx_group"):
                most = max(most, int(own_stages[column].max(initial=-1)))
                own_stages[column] = np.where(own_stages[column] >= 0, own_stages[column] + groups, -1)
            own_hidden["child_start"] += first_child
            workflows.append(own_workflows)
            stages.append(own_stages)
            hidden.append(own_hidden)
            children.append(episode.children + first_stage)
            applications += len(made.application_names)
            roles += len(made.role_names)
            tenants += len(made.tenant_names)
            groups += most + 1
            first_stage += len(own_stages)
            first_workflow += len(own_workflows)
            first_child += len(episode.children)
        return _in_order_of_arrival(
            np.concatenate(workflows), np.concatenate(stages), np.concatenate(hidden), np.concatenate(children)
        )


def _in_order_of_arrival(
    workflows: np.ndarray, stages: np.ndarray, hidden: np.ndarray, children: np.ndarray
) -> Episode:
    order = np.argsort(workflows["arrival_s"], kind="stable")
    old_stages = _ranges(workflows["first_stage"][order], workflows["num_stages"][order])
    new_place = np.empty(len(stages), np.int64)
    new_place[old_stages] = np.arange(len(stages))
    new_workflow = np.empty(len(workflows), np.int64)
    new_workflow[order] = np.arange(len(workflows))
    workflows, stages, hidden = workflows[order], stages[old_stages], hidden[old_stages]
    counts = workflows["num_stages"]
    workflows["first_stage"] = np.cumsum(counts) - counts
    stages["workflow"] = new_workflow[stages["workflow"]]
    children = new_place[children[_ranges(hidden["child_start"], hidden["num_children"])]]
    hidden["child_start"] = np.cumsum(hidden["num_children"]) - hidden["num_children"]
    return Episode(workflows, stages, hidden, np.zeros(len(stages), PREDICTION), children)


def _ranges(starts: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Return start, start + 1, ... of every range, one after the other."""
    ends = np.cumsum(counts)
    return np.arange(int(ends[-1]) if len(ends) else 0) + np.repeat(starts - (ends - counts), counts)

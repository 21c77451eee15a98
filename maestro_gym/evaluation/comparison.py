"""The outcome of a comparison: rows, intervals, and what was run."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from maestro_gym.episodes.metrics.row import metric_columns
from maestro_gym.evaluation.report.episode_trace import Trace
from maestro_gym.evaluation.statistics import Interval, mean_intervals, paired_differences
from maestro_gym.scheduling.tiers import RULE_TIERS

RULE_COLUMNS = tuple(f"{tier}_rule" for tier in RULE_TIERS)
"""The columns that name the rules of a policy."""


@dataclass(frozen=True)
class PolicyLabel:
    """How a policy is called in tables.

    Attributes:
        name: Name, unique in the comparison.
        rules: Names of its global, cluster, node and reclaim rule.
        information: "N" past and present, "P" predictions, "O" oracle.
        learned: Whether it was trained.
        predictor: What informs it; None: the scenario's own predictor.
        training: What trainings that differ by their seed alone have in common; None: no training run.
    """

    name: str
    rules: tuple[str, ...]
    information: str
    learned: bool
    predictor: str | None = None
    training: str | None = None


@dataclass(frozen=True)
class Setting:
    """A scenario at one contention: the policies of one setting are compared with each other.

    Attributes:
        scenario: The scenario's name.
        contention: The contention's label.
        load: Offered load relative to capacity.
        rate_rps: Workflows that arrive per second.
        config_yaml: The resolved configuration.
        notes: What the reader should know of its workload, such as what a trace left out.
        knee_rps: Rate at which the backlog of a reference policy stops draining; None where it was not measured.
    """

    scenario: str
    contention: str
    load: float
    rate_rps: float
    config_yaml: str
    notes: tuple[str, ...] = ()
    knee_rps: float | None = None

    @property
    def title(self) -> str:
        """Words for headings."""
        beside = "knee not measured" if self.knee_rps is None else f"{self.rate_rps / self.knee_rps:.2g} of the knee"
        return f"{self.scenario}, {self.contention} contention (load {self.load:.2g}, {beside})"


@dataclass(frozen=True)
class Cell:
    """A metric of a policy in a setting: its mean over seeds and its paired difference to the reference."""

    value: Interval
    difference: Interval


@dataclass
class Comparison:
    """Everything that tables, plots and reports are made of.

    Attributes:
        rows: One row an episode; columns of identity, rules and metrics.
        workflows: One row a workflow of an episode.
        traces: Episodes that are drawn, one a policy and setting.
        settings: In the order asked for.
        policies: In the order asked for.
        reference: Name of the policy that differences refer to.
        seeds: Evaluation seeds.
        split: Split of the episodes.
        info: Command, versions, machine, time.
    """

    rows: pd.DataFrame
    workflows: pd.DataFrame
    traces: list[Trace]
    settings: list[Setting]
    policies: list[PolicyLabel]
    reference: str
    seeds: list[int]
    split: str
    info: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Work the intervals out once: tables, plots and report read the same ones."""
        self._cells = {(s.scenario, s.contention): self._cells_of(s) for s in self.settings}

    def cell(self, setting: Setting, policy: str, column: str) -> Cell:
        """A metric of a policy in a setting.

        Args:
            setting: Scenario and contention.
            policy: The policy's name.
            column: A metric column.
        """
        return self._cells[setting.scenario, setting.contention][policy, column]

    def values(self, setting: Setting, policy: str) -> pd.DataFrame:
        """Metric values of a policy in a setting, shape (seeds, columns), in the order of ``seeds``."""
        rows = self.rows
        chosen = rows[
            (rows["scenario"] == setting.scenario)
            & (rows["contention"] == setting.contention)
            & (rows["policy"] == policy)
        ]
        return chosen.set_index("seed").loc[self.seeds, metric_columns()]

    def difference(self, setting: Setting, policy: str, other: str, column: str) -> Interval:
        """Paired difference of a metric between two policies.

        Args:
            setting: Scenario and contention.
            policy: The policy whose value counts positive.
            other: The one that is subtracted.
            column: A metric column.
        """
        own, its = self.values(setting, policy)[column], self.values(setting, other)[column]
        return paired_differences(own.to_numpy(), its.to_numpy())[0]

    def _cells_of(self, setting: Setting) -> dict[tuple[str, str], Cell]:
        columns = metric_columns()
        names = [policy.name for policy in self.policies]
        table = np.concatenate([self.values(setting, name).to_numpy(dtype=float).T for name in names])
        reference = self.values(setting, self.reference).to_numpy(dtype=float).T
        means = mean_intervals(table)
        differences = paired_differences(table, np.tile(reference, (len(names), 1)))
        keys = [(name, column) for name in names for column in columns]
        return {key: Cell(m, d) for key, m, d in zip(keys, means, differences, strict=True)}

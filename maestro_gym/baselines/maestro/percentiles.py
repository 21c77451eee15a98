"""The frozen percentiles of Maestro's fitness terms, by scenario, from ``configs/baselines/fitness.yaml``."""

from __future__ import annotations

from pydantic import Field

from maestro_gym.config import StrictModel, config_dir, read_yaml
from maestro_gym.config.bounds import Free
from maestro_gym.core.errors import MaestroError
from maestro_gym.scheduling.fitness_scale import FitnessScale


class ScaleConfig(StrictModel):
    """Percentiles of one scenario, each pair (5th, 95th) in seconds."""

    benefit_s: tuple[Free, Free] = Field(strict=False, description="A: prefix time saved - network - queue wait [s]")
    ready_s: tuple[Free, Free] = Field(strict=False, description="T_ready [s]")
    harm_s: tuple[Free, Free] = Field(strict=False, description="C_deg [s]")
    measured_on: str = Field(description="episodes and policy of the validation run")

    @property
    def scale(self) -> FitnessScale:
        """The same as the rules read it."""
        return FitnessScale(*self.benefit_s, *self.ready_s, *self.harm_s)


def frozen_scales() -> dict[str, FitnessScale]:
    """All measured scales, by name of the scenario."""
    path = config_dir() / "baselines" / "fitness.yaml"
    rows = read_yaml(path)
    try:
        return {str(name): ScaleConfig.model_validate(row).scale for name, row in (rows or {}).items()}
    except ValueError as error:
        raise MaestroError(f"{path}: not a table of fitness percentiles ({error}); restore the file") from error


def scale_for(scenario_name: str | None) -> FitnessScale:
    """The frozen scale of a scenario, the default where none was measured."""
    if scenario_name is None:
        return FitnessScale()
    return frozen_scales().get(scenario_name, FitnessScale())

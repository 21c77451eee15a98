"""Configuration: what the YAML files and the words of a command line may say, checked before anything runs.

Start with ``scenario.py`` (a scenario, field by field), ``loading.py`` (from a name and overrides to a complete one)
and ``base.py`` (why an unknown key is an error that names the nearest valid one). ``workload.py``, ``contention.py``,
``fleet.py``, ``hardware.py``, ``limits.py``, ``training.py`` and ``live.py`` hold the other sections; ``messages.py``
turns a mistake into a sentence.

A new setting is one field with a unit in its description, such as ``node_queue_limit`` in ``limits.py``. A new model,
GPU, fleet or workload is a YAML file below ``configs`` and no code: ``configs/models/Llama-3.1-8B.yaml`` is an
example.
"""

from maestro_gym.config.base import StrictModel, hint, nearest
from maestro_gym.config.contention import CONTENTION_LOADS, KneeConfig, contention_loads
from maestro_gym.config.files import config_dir, config_names, find_config, read_yaml
from maestro_gym.config.fleet import ClusterConfig, FleetConfig, HostGroupConfig
from maestro_gym.config.hardware import (
    ArchitectureConfig,
    GpuConfig,
    HostConfig,
    ResidencyCosts,
)
from maestro_gym.config.law import Law
from maestro_gym.config.limits import LimitsConfig
from maestro_gym.config.loading import (
    compose_scenario,
    dump_config,
    load_scenario,
    load_search,
    load_train,
    load_tune,
    scenario_names,
)
from maestro_gym.config.messages import validated
from maestro_gym.config.scenario import DeploymentConfig, PlacementConfig, ScenarioConfig
from maestro_gym.config.step_coefficients import MoeKernel, StepCoefficients
from maestro_gym.config.training import TrainConfig
from maestro_gym.config.workload import (
    ArrivalsConfig,
    MixturePartConfig,
    PredictorConfig,
    RequestsConfig,
    WorkloadConfig,
)

__all__ = [
    "CONTENTION_LOADS",
    "ArchitectureConfig",
    "ArrivalsConfig",
    "ClusterConfig",
    "DeploymentConfig",
    "FleetConfig",
    "GpuConfig",
    "HostConfig",
    "HostGroupConfig",
    "KneeConfig",
    "Law",
    "LimitsConfig",
    "MixturePartConfig",
    "MoeKernel",
    "PlacementConfig",
    "PredictorConfig",
    "RequestsConfig",
    "ResidencyCosts",
    "ScenarioConfig",
    "StepCoefficients",
    "StrictModel",
    "TrainConfig",
    "WorkloadConfig",
    "compose_scenario",
    "config_dir",
    "config_names",
    "contention_loads",
    "dump_config",
    "find_config",
    "hint",
    "load_scenario",
    "load_search",
    "load_train",
    "load_tune",
    "nearest",
    "read_yaml",
    "scenario_names",
    "validated",
]

"""Workloads: applications, arrival processes and traces, as Episode arrays."""

from maestro_gym.state.allocate import by_name
from maestro_gym.workloads.applications.spec import SIZE_CLASSES, FamilySpec
from maestro_gym.workloads.arrivals.processes import ArrivalProcess, renewal_times_s
from maestro_gym.workloads.build import build_workload, deployments_of, load_family, scenario_workload
from maestro_gym.workloads.deployments import Deployments, make_deployments
from maestro_gym.workloads.family import FamilyWorkload
from maestro_gym.workloads.machines.machine_spec import MachineFamilySpec
from maestro_gym.workloads.records import unit_service
from maestro_gym.workloads.requests import Requests, RequestsWorkload, request_episode
from maestro_gym.workloads.traces.files import FORMATS, read_trace
from maestro_gym.workloads.traces.format import Trace
from maestro_gym.workloads.traces.mapping import BY_POPULARITY
from maestro_gym.workloads.traces.replayed import TraceWorkload, trace_episode
from maestro_gym.workloads.traces.writer import trace_table, write_table, write_trace
from maestro_gym.workloads.workload import SPLITS, Mix, Workload, episode_key

__all__ = [
    "BY_POPULARITY",
    "FORMATS",
    "SIZE_CLASSES",
    "SPLITS",
    "ArrivalProcess",
    "Deployments",
    "FamilySpec",
    "FamilyWorkload",
    "MachineFamilySpec",
    "Mix",
    "Requests",
    "RequestsWorkload",
    "Trace",
    "TraceWorkload",
    "Workload",
    "build_workload",
    "by_name",
    "deployments_of",
    "episode_key",
    "load_family",
    "make_deployments",
    "read_trace",
    "renewal_times_s",
    "request_episode",
    "scenario_workload",
    "trace_episode",
    "trace_table",
    "unit_service",
    "write_table",
    "write_trace",
]

"""Workloads: what arrives, when, and what it truly needs, as the arrays of an episode.

Start with ``workload.py`` (what every workload offers), ``build.py`` (from a configuration to a workload) and
``family.py`` (the usual kind: applications with laws of their lengths). ``mixture.py`` puts families side by side,
``requests.py`` draws single calls, ``traces`` replays tables; ``applications`` and ``machines`` are the two ways to
describe a family, ``arrivals`` says when workflows come, ``importers`` reads public traces and ``fitting`` fits
families to them. Everything random is a hash of (key, purpose, entity), so that no policy changes what arrives.

A new family is a file of ``configs/workloads`` and no code (``configs/workloads/toy.yaml``). A new kind of workload is
a class with the methods of ``Workload`` and a branch of ``build_workload``: ``requests.py`` is the shortest.
"""

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
from maestro_gym.workloads.workload import SPLITS, Mix, Workload, episode_key, fold_seed

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
    "fold_seed",
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

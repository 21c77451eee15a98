"""From a name and overrides to a complete, checked scenario."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from maestro_gym.config.base import hint, shortened
from maestro_gym.config.contention import KneeConfig, contention_loads
from maestro_gym.config.files import config_names, find_config, read_yaml
from maestro_gym.config.fleet import FleetConfig
from maestro_gym.config.hardware import ArchitectureConfig, GpuConfig, HostConfig
from maestro_gym.config.messages import validated
from maestro_gym.config.overrides import Override, assign, parse_override
from maestro_gym.config.scenario import ScenarioConfig
from maestro_gym.config.search import SearchConfig
from maestro_gym.config.training import TrainConfig
from maestro_gym.config.tune import TuneConfig
from maestro_gym.core.errors import MaestroError

M = TypeVar("M", bound=BaseModel)

# Sections that may be written as the name of a file.
_REFERENCES: dict[str, tuple[str, type[BaseModel]]] = {
    "fleet": ("fleets", FleetConfig),
    "train": ("train", TrainConfig),
}
# An override of the first takes the place of the others, which it contradicts; a knee is that of one workload.
_KINDS = ("family", "mixture", "trace", "requests")
_REPLACES: dict[tuple[str, ...], tuple[tuple[str, ...], ...]] = {
    ("contention",): (("workload", "load"),),
    ("workload", "load"): (("contention",),),
    **{
        ("workload", kind): tuple(("workload", other) for other in (*_KINDS, "knee") if other != kind)
        for kind in _KINDS
    },
}
_MIN_KV_TOKENS = 2048
"""A node hosts a model when beside it there is KV room for this: a full prefill step."""


def load_scenario(name_or_path: str, overrides: Sequence[str] = ()) -> ScenarioConfig:
    """Read a scenario.

    Args:
        name_or_path: A name of ``configs/scenarios``, or a YAML file.
        overrides: ``a.b.c=value``, applied in order.

    Returns:
        The complete scenario: files it refers to are read, contention is turned into a load.

    Raises:
        MaestroError: A key is unknown, a value bad, a name not found, or the fleet cannot host a model.
    """
    path = find_config("scenarios", name_or_path, "scenario")
    return compose_scenario(_read_scenario(path, ()), str(path), overrides, path.parent)


def compose_scenario(
    raw: dict[str, Any], place: str, overrides: Sequence[str] = (), folder: Path | None = None
) -> ScenarioConfig:
    """Complete and check what a scenario file would say.

    Args:
        raw: Its keys; they are changed.
        place: Where they come from, for errors.
        overrides: ``a.b.c=value``, applied in order.
        folder: Where files that it names are looked for first; None: where the program runs.

    Returns:
        The complete scenario.

    Raises:
        MaestroError: As ``load_scenario``.
    """
    folder = Path() if folder is None else folder
    parsed = [parse_override(text) for text in overrides]
    for override in parsed:
        _apply(raw, override, folder)
    _resolve_references(raw, place, folder)
    _resolve_catalogue(raw, place)
    _resolve_load(raw)
    config = validated(ScenarioConfig, raw, _origin(place, parsed))
    _check_fleet(config, place)
    return config


def load_train(name_or_path: str) -> TrainConfig:
    """Read the settings of a training run.

    Args:
        name_or_path: A name of ``configs/train``, or a YAML file.

    Returns:
        The settings.

    Raises:
        MaestroError: A key is unknown, a value bad, or there is no such file.
    """
    path = find_config("train", name_or_path, "train")
    return validated(TrainConfig, read_yaml(path), lambda _: str(path))


def load_search(name_or_path: str, overrides: Sequence[str] = ()) -> SearchConfig:
    """Read the settings of a search.

    Args:
        name_or_path: A name of ``configs/search``, or a YAML file.
        overrides: ``a.b=value``, applied in order.

    Returns:
        The settings.

    Raises:
        MaestroError: A key is unknown, a value bad, or there is no such file.
    """
    return _load_settings(SearchConfig, "search", name_or_path, overrides)


def load_tune(name_or_path: str, overrides: Sequence[str] = ()) -> TuneConfig:
    """Read the settings of a study.

    Args:
        name_or_path: A name of ``configs/tune``, or a YAML file.
        overrides: ``a.b=value``, applied in order.

    Returns:
        The settings.

    Raises:
        MaestroError: A key is unknown, a value bad, or there is no such file.
    """
    return _load_settings(TuneConfig, "tune", name_or_path, overrides)


def _load_settings(model: type[M], section: str, name_or_path: str, overrides: Sequence[str]) -> M:
    path = find_config(section, name_or_path, section)
    raw, parsed = read_yaml(path), [parse_override(text) for text in overrides]
    for override in parsed:
        assign(raw, override)
    return validated(model, raw, _origin(str(path), parsed))


def scenario_names() -> list[str]:
    """Return the names of the scenarios that come with the package."""
    return config_names("scenarios")


def dump_config(config: BaseModel) -> str:
    """Write a resolved configuration as YAML, which loads again to an equal one.

    Args:
        config: Any configuration model.

    Returns:
        YAML text.
    """
    return yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False, allow_unicode=True, width=120)


def _read_scenario(path: Path, seen: tuple[Path, ...]) -> dict[str, Any]:
    raw = read_yaml(path)
    base = raw.pop("extends", None)
    raw.setdefault("name", path.stem)
    _anchor_trace(raw, path.parent)
    if base is None:
        return raw
    parent = find_config("scenarios", str(base), f"{path}: extends", path.parent)
    if parent.resolve() in (*seen, path.resolve()):
        raise MaestroError(f"{path}: `extends: {base}` leads back to itself; break the circle.")
    inherited = _read_scenario(parent, (*seen, path.resolve()))
    _forget_knee(inherited, raw)
    return _merge(inherited, raw)


def _forget_knee(inherited: dict[str, Any], raw: dict[str, Any]) -> None:
    """Drop the knee of the scenario that a file extends where the file names another workload."""
    old, new = inherited.get("workload"), raw.get("workload")
    if isinstance(old, dict) and isinstance(new, dict) and any(new.get(kind) is not None for kind in _KINDS):
        old.pop("knee", None)


def _anchor_trace(raw: dict[str, Any], folder: Path) -> None:
    """Let a relative trace path mean the folder of the file that wrote it, if it is there."""
    workload = raw.get("workload")
    if not isinstance(workload, dict):
        return
    trace = workload.get("trace")
    if isinstance(trace, str) and (folder / trace).is_file():
        workload["trace"] = str((folder / trace).resolve())


def _merge(base: dict[str, Any], change: dict[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in change.items():
        kept = merged.get(key)
        merged[key] = _merge(kept, value) if isinstance(kept, dict) and isinstance(value, dict) else value
    return merged


def _apply(raw: dict[str, Any], override: Override, folder: Path) -> None:
    section = override.path[0]
    if len(override.path) > 1 and section in _REFERENCES and isinstance(raw.get(section), str):
        raw[section] = _read_reference(section, raw[section], f"`{section}`", folder)
    for loser in _REPLACES.get(override.path, ()) if override.value is not None else ():
        place: Any = raw
        for key in loser[:-1]:
            place = place.get(key) if isinstance(place, dict) else None
        if isinstance(place, dict):
            place.pop(loser[-1], None)
    assign(raw, override)


def _resolve_references(raw: dict[str, Any], place: str, folder: Path) -> None:
    for section in _REFERENCES:
        if isinstance(raw.get(section), str):
            raw[section] = _read_reference(section, raw[section], f"{place}: {section}", folder)


def _read_reference(section: str, name: str, place: str, folder: Path) -> dict[str, Any]:
    """Read the file that a section names, checked by itself so that an error names that file."""
    directory, model = _REFERENCES[section]
    file = find_config(directory, name, place, folder)
    content = read_yaml(file)
    validated(model, content, lambda _: str(file))
    return content


def _resolve_catalogue(raw: dict[str, Any], place: str) -> None:
    """Fill in the architectures, GPUs and hosts that deployments and fleet name."""
    deployments = [item for item in _items(raw.get("models")) if isinstance(item.get("architecture"), str)]
    for index, item in enumerate(deployments):
        where = f"{place}: models.{index}.architecture of `{item.get('name')}`"
        _fetch(raw, "architectures", "models", item["architecture"], ArchitectureConfig, where)
    fleet = raw.get("fleet")
    for cluster in _items(fleet.get("clusters") if isinstance(fleet, dict) else None):
        for group in _items(cluster.get("hosts")):
            where = f"{place}: fleet, cluster `{cluster.get('name')}`"
            for key, section, model in (("gpu", "gpus", GpuConfig), ("host", "hosts", HostConfig)):
                if isinstance(group.get(key), str):
                    _fetch(raw, section, f"hardware/{section}", group[key], model, where)


def _fetch(raw: dict[str, Any], section: str, folder: str, name: str, model: type[BaseModel], place: str) -> None:
    table = raw.setdefault(section, {})
    if not isinstance(table, dict):
        return
    own = table.get(name)
    known = config_names(folder)
    if own is not None and (not isinstance(own, dict) or name not in known):
        return
    if name not in known:
        raise MaestroError(
            f"{place}: `{shortened(name)}` is not in the catalogue configs/{folder}. {hint(name, known)}"
        )
    file = find_config(folder, name, place)
    content = read_yaml(file)
    validated(model, content, lambda _: str(file))
    table[name] = _merge(content, own or {})


def _items(value: Any) -> list[dict[str, Any]]:  # noqa: ANN401 (raw YAML; its shape is checked later)
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _resolve_load(raw: dict[str, Any]) -> None:
    workload = raw.get("workload")
    if not isinstance(workload, dict):
        return
    loads = contention_loads(_knee(workload.get("knee")))
    if workload.get("load") is None:
        contention = raw.get("contention", "medium")
        if isinstance(contention, str):
            raw["contention"] = contention
            workload["load"] = loads.get(contention)
    elif "contention" not in raw:
        named = {load: name for name, load in loads.items()}
        load = workload["load"]
        raw["contention"] = named.get(load, "custom") if isinstance(load, int | float) else "custom"


def _knee(raw: Any) -> KneeConfig | None:  # noqa: ANN401 (raw YAML)
    """Read a knee; a mistake in it is left to the check of the whole scenario, which tells its place."""
    try:
        return None if raw is None else KneeConfig.model_validate(raw)
    except ValidationError:
        return None


def _origin(source: str, overrides: Sequence[Override]) -> Callable[[str], str]:
    """Map a dotted place to the override that wrote it, or to the file."""

    def origin(place: str) -> str:
        for override in reversed(overrides):
            written = ".".join(override.path)
            if place == written or place.startswith(written + ".") or written.startswith(place + "."):
                return f"override `{override.text}`"
        return source

    return origin


def _check_fleet(config: ScenarioConfig, place: str) -> None:
    """Raise when a host has too few GPUs, a deployment fits no node, or a node with room for it cannot shard it."""
    for cluster in config.fleet.clusters:
        for group in cluster.hosts:
            gpus = config.hosts[group.host].gpus
            if gpus is not None and group.nodes * group.tp > gpus:
                raise MaestroError(
                    f"{place}: cluster `{cluster.name}`: {group.nodes} nodes of tp {group.tp} take "
                    f"{group.nodes * group.tp} GPUs, and the host `{group.host}` has {gpus}. Ask for fewer nodes or a "
                    "lower tp, or take a larger host."
                )
    for index, deployment in enumerate(config.models):
        architecture = config.architectures[deployment.architecture]
        for group in config.groups_of(deployment):
            why = architecture.refuses_tp(group.tp)
            if why and config.kv_room_tokens(deployment, group) > 0:
                fit = [tp for tp in range(1, 65) if not architecture.refuses_tp(tp)]
                raise MaestroError(
                    f"{place}: models.{index}: no server runs `{deployment.name}` at tp {group.tp}: {why}. Take a tp "
                    f"of {', '.join(map(str, fit))}."
                )
        room_tokens, group = max(
            ((config.kv_room_tokens(deployment, group), group) for group in config.groups_of(deployment)),
            key=lambda item: item[0],
        )
        if room_tokens >= _MIN_KV_TOKENS:
            continue
        weight_gb = architecture.weight_bytes_per_gpu(group.tp) / 1e9
        pool_gb = config.node_pool_bytes(group) / 1e9
        parts = config.limits.partitions if config.limits.memory_mode == "partitioned" else 1
        where = " of the fleet" if deployment.placement is None else " that its `placement` names"
        share = f"{pool_gb:.1f} GB of HBM" + (f" in {parts} partitions" if parts > 1 else "")
        raise MaestroError(
            f"{place}: models.{index}: no node{where} can host `{deployment.name}`. The roomiest ({group.gpu}, "
            f"tp {group.tp}) offers {share} a GPU; the weights take {weight_gb:.1f} GB and the engine "
            f"{config.limits.margin_gb:g} GB, which leaves no room for {_MIN_KV_TOKENS} KV tokens. Take a larger GPU, "
            "a higher tp, other `limits.partitions` or a smaller architecture."
        )

"""Every number that somebody may write has a lower and an upper limit, and no word stands for a number."""

import importlib
import pkgutil
import types
import typing
from collections.abc import Iterator
from typing import Any

import pytest
from annotated_types import Ge, Gt, Le, Lt
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.fields import FieldInfo

import maestro_gym
from maestro_gym.agents.policy_card import PolicyCard
from maestro_gym.config import ScenarioConfig, StrictModel, load_scenario
from maestro_gym.core.errors import MaestroError

UNBOUNDED = {
    ("PolicyCard", "validation"): "measures of a run, which are shown and never reckoned with",
}
"""Fields without both limits, each with its reason."""


def _models() -> list[Any]:
    for module in pkgutil.walk_packages(maestro_gym.__path__, "maestro_gym."):
        if module.name != "maestro_gym.v1":  # its import registers environments, which other tests count
            importlib.import_module(module.name)
    found: list[Any] = [PolicyCard]
    waiting: list[Any] = [BaseModel]
    while waiting:
        below = waiting.pop().__subclasses__()
        waiting += below
        found += [model for model in below if model.__module__.startswith("maestro_gym")]
    return sorted(set(found), key=lambda model: (model.__module__, model.__qualname__))


def _numbers(annotation: object, limits: list[Any]) -> Iterator[list[Any]]:
    """The limits of every number in an annotation: of a field, an item, a key, a branch of a union."""
    origin = typing.get_origin(annotation)
    if origin is typing.Annotated:
        inner, *more = typing.get_args(annotation)
        for item in more:
            limits = limits + (list(item.metadata) if isinstance(item, FieldInfo) else [item])
        yield from _numbers(inner, limits)
    elif origin in (typing.Union, types.UnionType):
        for branch in typing.get_args(annotation):
            yield from _numbers(branch, limits)
    elif origin is not typing.Literal and origin is not None:
        for item in typing.get_args(annotation):
            yield from _numbers(item, [])
    elif annotation in (int, float):
        yield limits


def _has_both(limits: list[Any]) -> bool:
    return all(any(isinstance(limit, kinds) for limit in limits) for kinds in ((Ge, Gt), (Le, Lt)))


def test_every_number_of_every_model_has_both_limits() -> None:
    models = _models()
    assert len(models) > 60
    bare = [
        (model.__name__, name)
        for model in models
        for name, field in model.__pydantic_fields__.items()
        if not all(_has_both(limits) for limits in _numbers(field.annotation, list(field.metadata)))
    ]
    assert sorted(set(bare)) == sorted(UNBOUNDED)


def test_the_look_at_the_models_finds_what_it_looks_for() -> None:
    class Sample(StrictModel):
        good: list[typing.Annotated[int, Field(ge=0, le=3)]] | None = None
        bare: dict[str, list[float]] | None = None
        half: float = Field(default=1.0, ge=0)

    found = {
        name: all(_has_both(limits) for limits in _numbers(field.annotation, list(field.metadata)))
        for name, field in Sample.model_fields.items()
    }
    assert found == {"good": True, "bare": False, "half": False}


def _config(model: Any) -> ConfigDict:  # noqa: ANN401 - a model, or the one dataclass
    return getattr(model, "model_config", None) or model.__pydantic_config__


def test_no_model_takes_a_word_for_a_number() -> None:
    lax = [model.__name__ for model in _models() if not _config(model).get("strict")]
    assert lax == []
    with pytest.raises(ValidationError):
        ScenarioConfig.model_validate(load_scenario("toy").model_dump() | {"horizon_s": "5"})


@pytest.mark.parametrize(
    "word",
    [
        "workload.load=1e9",
        "workload.rate_rps=1e12",
        "horizon_s=1e12",
        "horizon_s=true",
        "horizon_s=nan",
        "limits.margin_gb=1e300",
        "limits.sample_period_s=1e-300",
        "limits.share_decode=1e-300",
        "predictor.history=1e12",
        "workload.time_scale=1e300",
        "workload.arrivals={process: gamma, cv: 1e-300}",
        "workload.arrivals={process: diurnal, profile: [1e300, 1e300]}",
        "fleet.link_bytes_per_s=1e-300",
        "seeds=[1e30]",
        "train.hidden_sizes=[1000000000]",
    ],
)
def test_what_no_machine_could_mean_is_one_paragraph(word: str) -> None:
    with pytest.raises(MaestroError) as caught:
        load_scenario("toy", [word])
    assert word.partition("=")[0].rpartition(".")[2] in str(caught.value)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 1500

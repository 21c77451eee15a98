"""Single requests: workflows of one call, drawn one by one or given as arrays."""

from __future__ import annotations

from functools import cached_property
from typing import NamedTuple

import numpy as np

from maestro_gym.config import Law, RequestsConfig
from maestro_gym.core import hashing
from maestro_gym.core.compile import njit
from maestro_gym.core.errors import MaestroError
from maestro_gym.state import INTERACTIVE, STAGE, STAGE_HIDDEN, WORKFLOW, Episode
from maestro_gym.state.allocate import by_name
from maestro_gym.workloads.applications.generator import draw_tokens
from maestro_gym.workloads.applications.tables import LAW, cumulative, law_row
from maestro_gym.workloads.arrivals.processes import POISSON, ArrivalProcess
from maestro_gym.workloads.deployments import Deployments
from maestro_gym.workloads.graph import assemble
from maestro_gym.workloads.records import unit_service
from maestro_gym.workloads.workload import Mix, mix_of

# Keys of samples for statistics; negative, so that no episode has them.
_MIX_KEY, _HISTORY_KEY = -2, -3
_MIX_REQUESTS = 40_000


class Requests(NamedTuple):
    """Requests by arrival, R of them.

    Attributes:
        arrival_s: float64, shape (R,), rising.
        model: int64, shape (R,), deployments.
        prompt_tokens: int64, shape (R,).
        output_tokens: int64, shape (R,).
        max_output_tokens: int64, shape (R,): what the client allows.
        prefix_group: int64, shape (R,): who shares a prefix; -1 = nobody.
        prefix_tokens: int64, shape (R,): leading prompt tokens that the group shares.
    """

    arrival_s: np.ndarray
    model: np.ndarray
    prompt_tokens: np.ndarray
    output_tokens: np.ndarray
    max_output_tokens: np.ndarray
    prefix_group: np.ndarray
    prefix_tokens: np.ndarray


def request_episode(requests: Requests, deadline_s: float, ttft_limit_s: float, service: np.ndarray) -> Episode:
    """Lay requests out as an episode of interactive workflows of one call.

    Args:
        requests: What arrives.
        deadline_s: After the arrival.
        ttft_limit_s: Of every request.
        service: SERVICE, shape (num_models,).

    Returns:
        The episode, its predictions zero.
    """
    count = len(requests.arrival_s)
    workflows, stages, hidden = np.zeros(count, WORKFLOW), np.zeros(count, STAGE), np.zeros(count, STAGE_HIDDEN)
    workflows["arrival_s"] = requests.arrival_s
    workflows["deadline_s"] = requests.arrival_s + deadline_s
    workflows["ttft_limit_s"] = ttft_limit_s
    workflows["weight"], workflows["num_stages"], workflows["cls"] = 1.0, 1, INTERACTIVE
    workflows["first_stage"] = stages["workflow"] = np.arange(count)
    stages["model"] = requests.model
    stages["prompt_tokens"] = requests.prompt_tokens
    stages["max_output_tokens"] = requests.max_output_tokens
    stages["sys_group"], stages["sys_prefix_tokens"] = requests.prefix_group, requests.prefix_tokens
    stages["ctx_group"] = -1
    hidden["output_tokens"] = requests.output_tokens
    return assemble(workflows, stages, hidden, np.zeros(count + 1, np.int64), np.zeros(0, np.int64), service)


class RequestsWorkload:
    """Episodes of single requests whose lengths follow laws; see ``Workload``.

    Attributes:
        name: ``requests``.
        application_names: One.
        role_names: One.
        tenant_names: One.
        notes: Empty.
    """

    name: str = "requests"
    application_names: tuple[str, ...] = ("request",)
    role_names: tuple[str, ...] = ("request",)
    tenant_names: tuple[str, ...] = ("tenant-0",)
    notes: tuple[str, ...] = ()

    def __init__(
        self,
        spec: RequestsConfig,
        deployments: Deployments,
        *,
        arrivals: ArrivalProcess = POISSON,
        time_scale: float = 1.0,
    ) -> None:
        """Prepare requests for a set of deployments.

        Args:
            spec: Their laws.
            deployments: What can be asked for; each is asked for by its popularity.
            arrivals: The process by which requests arrive.
            time_scale: Multiplies deadline and TTFT limit.

        Raises:
            MaestroError: A typical request is above a deployment's context, or a length below one token.
        """
        self._spec, self._deployments, self._arrivals, self._time_scale = spec, deployments, arrivals, time_scale
        for name, law in (("prompt_tokens", spec.prompt_tokens), ("output_tokens", spec.output_tokens)):
            if law.median < 1:
                raise MaestroError(f"workload.requests.{name}: {law.median:g} tokens; a request has at least one.")
        if spec.prefix_tokens.median > spec.prompt_tokens.median:
            raise MaestroError(
                f"workload.requests.prefix_tokens: {spec.prefix_tokens.median:g} tokens are more than the "
                f"{spec.prompt_tokens.median:g} of a prompt, which includes its prefix. Lengthen the prompt."
            )
        need = spec.prompt_tokens.median + spec.output_tokens.median
        for name, limit in zip(deployments.names, deployments.max_model_len.tolist(), strict=True):
            if need > limit:
                raise MaestroError(
                    f"workload.requests: a prompt of {spec.prompt_tokens.median:g} and an output of "
                    f"{spec.output_tokens.median:g} tokens are above the {limit} that `{name}` can hold in context "
                    "and KV memory here. Shorten them, or give the model more memory (a larger GPU or tp)."
                )

    def episode(
        self, key: int, rate_rps: float, horizon_s: float, service: np.ndarray, split: str = "train"
    ) -> Episode:
        """Make one episode; see ``Workload.episode``. The key alone keeps the splits apart."""
        del split
        return self._make(key, self._arrivals.times_s(key, rate_rps, horizon_s), service)

    def mix(self) -> Mix:
        """Return the statistics of 40,000 requests of a fixed key."""
        return self._mix

    def history(self, num_workflows: int, service: np.ndarray) -> Episode:
        """Return past requests; see ``Workload.history``."""
        return self._make(_HISTORY_KEY, np.zeros(num_workflows), service)

    @cached_property
    def _mix(self) -> Mix:
        num_models = len(self._deployments.names)
        return mix_of(self._make(_MIX_KEY, np.zeros(_MIX_REQUESTS), unit_service(num_models)), num_models)

    def _make(self, key: int, arrivals_s: np.ndarray, service: np.ndarray) -> Episode:
        spec, count = self._spec, len(arrivals_s)
        model, group = np.empty(count, np.int64), np.empty(count, np.int64)
        _choose(key, hashing.DEPLOYMENT, cumulative(self._deployments.popularity), model)
        _choose(key, hashing.PREFIX_GROUP, np.arange(1, spec.prefix_groups + 1) / spec.prefix_groups, group)
        prompt = _draw_all(spec.prompt_tokens, key, hashing.INPUT_TOKENS, np.arange(count))
        output = _draw_all(spec.output_tokens, key, hashing.OUTPUT_TOKENS, np.arange(count))
        prefix = _draw_all(spec.prefix_tokens, key, hashing.PREFIX_TOKENS, group)
        # The tails of the laws end at the model's context, of which an output takes at most half.
        limit = self._deployments.max_model_len[model]
        most = np.full(count, max(1, int(spec.output_tokens.largest)))
        if spec.output_tokens.sigma > 0:
            most = np.minimum(most, np.maximum(limit // 2, 1))
        output = np.clip(output, 1, most)
        prompt = np.clip(prompt, 1, limit - output)
        requests = Requests(
            arrival_s=arrivals_s,
            model=model,
            prompt_tokens=prompt,
            output_tokens=output,
            max_output_tokens=np.minimum(most, limit - prompt),
            prefix_group=np.where(prefix > 0, group, -1),
            prefix_tokens=np.minimum(prefix, prompt),
        )
        scale = self._time_scale
        return request_episode(requests, spec.deadline_s * scale, spec.ttft_limit_s * scale, service)


@njit
def _choose(key: int, purpose: int, cdf: np.ndarray, chosen: np.ndarray) -> None:
    """Draw an index for every entity by cumulative shares."""
    for i in range(len(chosen)):
        chosen[i] = min(np.searchsorted(cdf, hashing.uniform(key, purpose, i), side="right"), len(cdf) - 1)


@njit
def _fill(laws: np.ndarray, key: int, purpose: int, entities: np.ndarray, tokens: np.ndarray) -> None:
    """Draw the tokens of every entity from the one law."""
    for i in range(len(entities)):
        tokens[i] = draw_tokens(laws[0], key, purpose, entities[i])


def _draw_all(law: Law, key: int, purpose: int, entities: np.ndarray) -> np.ndarray:
    tokens = np.empty(len(entities), np.int64)
    _fill(by_name(np.array([law_row(law)], LAW)), key, purpose, entities, tokens)
    return tokens

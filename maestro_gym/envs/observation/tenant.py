"""The columns of the tenant of a stage, where the scenario tells tenants apart (docs/tenants.md)."""

from __future__ import annotations

import math

from maestro_gym.envs.observation.columns import Block
from maestro_gym.envs.observation.scales import of_count, of_share
from maestro_gym.scheduling.service import (
    OUTPUT_WEIGHT,
    PROMPT_WEIGHT,
    num_waiting,
    quota_tokens_per_s,
    served_tokens,
    service_share,
    weight_share,
)
from maestro_gym.scheduling.view import now_s, tenant_of
from maestro_gym.state import View

TENANT = Block("tenant", __name__)


@TENANT.column("tenant_weight", "share", "of the service that its weight entitles it to")
def _weight(view: View, e: int, stage: int) -> float:
    return of_share(weight_share(view, tenant_of(view, e, stage)), 1.0)


@TENANT.column("tenant_service", "share", "of all service so far that it has had")
def _service(view: View, e: int, stage: int) -> float:
    return of_share(service_share(view, e, tenant_of(view, e, stage)), 1.0)


@TENANT.column("tenant_quota", "share", "of its quota so far that it has had, 0 without a quota")
def _quota(view: View, e: int, stage: int) -> float:
    tenant = tenant_of(view, e, stage)
    quota = quota_tokens_per_s(view, tenant)
    if quota == math.inf:
        return 0.0
    served = served_tokens(view, e, tenant, PROMPT_WEIGHT, OUTPUT_WEIGHT)
    return of_share(served, quota * max(1.0, now_s(view, e)))


@TENANT.column("tenant_waiting", "count", "its stages in the global queue")
def _waiting(view: View, e: int, stage: int) -> float:
    return of_count(float(num_waiting(view, e, tenant_of(view, e, stage))))


@TENANT.column("tenant_running", "count", "its admitted stages")
def _running(view: View, e: int, stage: int) -> float:
    record = view.tenants[e, tenant_of(view, e, stage)]
    return of_count(float(record.admitted - record.answered))


write_tenant = TENANT.writer()

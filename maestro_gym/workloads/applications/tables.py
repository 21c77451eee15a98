"""A workload family as arrays: what the compiled generator reads in place of the YAML."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from maestro_gym.core.errors import MaestroError
from maestro_gym.state import BATCH, INTERACTIVE
from maestro_gym.workloads.applications.spec import SIZE_CLASSES, ApplicationSpec, FamilySpec, Law, RoleSpec, StepSpec

LAW = np.dtype([("median", "f8"), ("sigma", "f8"), ("low", "f8"), ("high", "f8")])

APPLICATION = np.dtype(
    [
        ("cls", "i8"),
        ("deadline_s", "f8"),
        ("ttft_limit_s", "f8"),
        ("weight", "f8"),
        ("entry", "i8"),  # first instruction
        ("max_stages", "i8"),
        ("max_width", "i8"),  # parents a stage may have
        ("shared", "i8"),  # 1: one transcript for all roles
        ("first_role", "i8"),
        ("query", LAW),
    ]
)

ROLE = np.dtype(
    [
        ("size_class", "i8"),  # not `size`, which every NumPy scalar has already
        ("sys_group", "i8"),
        ("system_tokens", "i8"),
        ("max_output_tokens", "i8"),
        ("tools", "i8"),
        ("instruction", LAW),
        ("answer", LAW),
        ("tool_call", LAW),
        ("tool_result", LAW),
        ("tool_gap", LAW),
    ]
)

# Instructions of a stage graph.
CALL, LOOP, AGAIN, BRANCH, JUMP, FORK, JOIN, END = range(8)

INSTRUCTION = np.dtype(
    [
        ("op", "i8"),
        ("a", "i8"),  # CALL: role; LOOP, AGAIN: counter; FORK: fewest arms
        ("b", "i8"),  # AGAIN, BRANCH, JUMP, JOIN: target; FORK: most arms; CALL: counter of its while_tool loop or -1
        ("limit", "i8"),  # AGAIN: rounds at most; CALL: rounds of that loop
        ("p", "f8"),  # CALL: chance of a tool; AGAIN: chance, or -1 = while the last call called a tool; BRANCH: chance
    ]
)

MAX_COUNTERS = 16
MAX_ARMS = 16
MAX_STAGES = 512
"""Most stages of one workflow."""


class FamilyTables(NamedTuple):
    """A family, compiled. A applications, R roles, I instructions, T tenants."""

    applications: np.ndarray  # APPLICATION (A,)
    roles: np.ndarray  # ROLE (R,)
    program: np.ndarray  # INSTRUCTION (I,)
    application_cdf: np.ndarray  # float64 (A,), last is 1
    tenant_cdf: np.ndarray  # float64 (T,), last is 1
    application_names: tuple[str, ...]
    role_names: tuple[str, ...]  # "application.role"
    num_sys_groups: int


def cumulative(shares: np.ndarray) -> np.ndarray:
    """Turn shares into a cumulative distribution whose last value is exactly 1.

    Args:
        shares: float64, shape (..., n), not negative, positive sum along the last axis.

    Returns:
        float64 of the same shape.
    """
    cdf = np.cumsum(shares, axis=-1)
    cdf /= cdf[..., -1:]
    cdf[..., -1] = 1.0
    return cdf


def law_row(law: Law) -> tuple[float, float, float, float]:
    """Lay a law out as a LAW record."""
    return (law.median, law.sigma, law.low, law.high)


def _role(role: RoleSpec, sys_group: int) -> tuple[object, ...]:
    laws = (role.instruction_tokens, role.answer_tokens, role.tool_call_tokens, role.tool_result_tokens)
    group = sys_group if role.system_tokens > 0 else -1
    head = (SIZE_CLASSES.index(role.size), group, role.system_tokens, role.max_output_tokens, role.tools)
    return (*head, *(law_row(law) for law in laws), law_row(role.tool_gap_s))


class _Compiler:
    """Lays the stage graph of one application out as instructions."""

    def __init__(self, application: ApplicationSpec, first_role: int, offset: int) -> None:
        self.application = application
        self.role_ids = {name: first_role + i for i, name in enumerate(application.roles)}
        self.rows: list[list[float]] = []
        self.offset = offset
        self.counters = 0
        self.max_width = 1
        self.max_stages = self._steps(application.steps, loop=-1, limit=0)
        self._emit(END)

    def _emit(self, op: int, a: int = 0, b: int = -1, limit: int = 0, p: float = 0.0) -> int:
        self.rows.append([op, a, b, limit, p])
        return len(self.rows) - 1

    def _here(self) -> int:
        return self.offset + len(self.rows)

    def _steps(self, steps: list[StepSpec], loop: int, limit: int) -> int:
        """Lay steps out; return how many stages they make at most."""
        return sum(self._step(step, loop, limit) for step in steps)

    def _step(self, step: StepSpec, loop: int, limit: int) -> int:
        if step.call is not None:
            chance = self.application.roles[step.call].tool_probability if step.tool is None else step.tool
            self._emit(CALL, self.role_ids[step.call], loop, limit, chance)
            return 1
        if step.loop is not None:
            counter, self.counters = self.counters, self.counters + 1
            by_tool = step.loop.again == "while_tool"
            self._emit(LOOP, counter)
            start = self._here()
            inner = self._steps(step.loop.steps, counter if by_tool else -1, step.loop.limit if by_tool else 0)
            self._emit(AGAIN, counter, start, step.loop.limit, -1.0 if by_tool else float(step.loop.again))
            return inner * step.loop.limit
        if step.fan_out is not None:
            self._emit(FORK, step.fan_out.arms[0], step.fan_out.arms[1])
            start = self._here()
            inner = self._steps(step.fan_out.steps, -1, 0)
            self._emit(JOIN, 0, start)
            self.max_width = max(self.max_width, step.fan_out.arms[1])
            return inner * step.fan_out.arms[1]
        most, left, ends = 0, 1.0, []
        for arm in step.branch or ():
            # Ways are tried in turn, each with its chance given that those before were not taken.
            row = self._emit(BRANCH, p=arm.p / left if left > 1e-12 else 0.0)
            left -= arm.p
            most = max(most, self._steps(arm.steps, loop, limit))
            ends.append(self._emit(JUMP))
            self.rows[row][2] = self._here()
        for row in ends:
            self.rows[row][2] = self._here()
        return most


def compile_family(spec: FamilySpec) -> FamilyTables:
    """Lay a family out as arrays.

    Args:
        spec: The family.

    Returns:
        Its tables.

    Raises:
        MaestroError: An application has more loops or stages than the generator can hold.
    """
    applications, roles, rows, role_names = [], [], [], []
    num_groups = 0
    for name, app in spec.applications.items():
        compiler = _Compiler(app, first_role=len(roles), offset=len(rows))
        if compiler.counters > MAX_COUNTERS:
            raise MaestroError(
                f"Application `{name}` has {compiler.counters} loops; at most {MAX_COUNTERS} are possible."
            )
        if compiler.max_stages > MAX_STAGES:
            raise MaestroError(
                f"Application `{name}` may run {compiler.max_stages} stages in one workflow; lower the limits of its "
                f"loops until at most {MAX_STAGES} are left."
            )
        shared = app.context == "shared"
        cls = INTERACTIVE if app.cls == "interactive" else BATCH
        constants = (cls, app.deadline_s, app.ttft_limit_s, app.weight)
        shape = (len(rows), compiler.max_stages, compiler.max_width, int(shared), len(roles))
        applications.append((*constants, *shape, law_row(app.query_tokens)))
        for index, (role_name, role) in enumerate(app.roles.items()):
            roles.append(_role(role, num_groups + (0 if shared else index)))
            role_names.append(f"{name}.{role_name}")
        num_groups += 1 if shared else len(app.roles)
        rows += [tuple(row) for row in compiler.rows]
    tenant_shares = 1.0 / np.arange(1, spec.tenants + 1) ** spec.tenant_skew
    return FamilyTables(
        applications=np.array(applications, APPLICATION),
        roles=np.array(roles, ROLE),
        program=np.array(rows, INSTRUCTION),
        application_cdf=cumulative(np.array([app.share for app in spec.applications.values()])),
        tenant_cdf=cumulative(tenant_shares),
        application_names=tuple(spec.applications),
        role_names=tuple(role_names),
        num_sys_groups=num_groups,
    )

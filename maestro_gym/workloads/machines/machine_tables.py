"""A family of state machines as arrays: what the compiled generator reads in place of the YAML."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from maestro_gym.core.errors import MaestroError
from maestro_gym.state import BATCH, INTERACTIVE
from maestro_gym.workloads.applications.spec import SIZE_CLASSES
from maestro_gym.workloads.applications.tables import MAX_STAGES, cumulative
from maestro_gym.workloads.laws import LawTables, law_quantile
from maestro_gym.workloads.machines.machine_spec import END, JobEffectsSpec, MachineFamilySpec, MachineSpec

MACHINE = np.dtype(
    [
        ("cls", "i8"),
        ("deadline_s", "f8"),
        ("ttft_limit_s", "f8"),
        ("weight", "f8"),
        ("first_state", "i8"),
        ("num_states", "i8"),
        ("first_thread", "i8"),
        ("most_calls", "i8"),
        ("calls_at", "i8"),  # in calls_cdf: chance of at most 1, 2, ... most_calls calls
        ("walk_at", "i8"),  # in transition: num_states x num_states chances
        ("onward_at", "i8"),  # in onward: row r, state i: how likely exactly r calls follow, up to a factor a row
        ("load_output", "f8"),
        ("load_prompt", "f8"),
        ("load_gap", "f8"),
        # Effects from independent normal scores: output = a z0 + b z1, prompt = c z0 + d z1 + e z2.
        ("calls_mean", "f8"),  # mean score of the number of calls over calls, where long workflows count more often
        ("effect_a", "f8"),
        ("effect_b", "f8"),
        ("effect_c", "f8"),
        ("effect_d", "f8"),
        ("effect_e", "f8"),
        ("youth_extra", "f8"),
        ("youth_calls", "f8"),
        ("continues", "f8"),
        ("lag", "i8"),
        ("context", "i8"),
    ]
)

STATE = np.dtype(
    [
        ("role", "i8"),
        ("thread", "i8"),  # -1: every prompt is made afresh
        ("tool", "i8"),
        ("keeps_output", "i8"),
        ("reset", "f8"),
        ("start", "f8"),
        ("output", "i8"),
        ("prompt", "i8"),
        ("grows", "i8"),
        ("gap", "i8"),
    ]
)

MACHINE_ROLE = np.dtype(
    [
        ("size_class", "i8"),
        ("sys_group", "i8"),
        ("system_tokens", "i8"),
        ("max_output_tokens", "i8"),
        ("tools", "i8"),
    ]
)


class MachineTables(NamedTuple):
    """A family of machines, compiled. A applications, S states, R roles, T tenants."""

    machines: np.ndarray  # MACHINE (A,)
    states: np.ndarray  # STATE (S,)
    roles: np.ndarray  # MACHINE_ROLE (R,)
    transition: np.ndarray  # float64
    onward: np.ndarray  # float64
    calls_cdf: np.ndarray  # float64
    laws: np.ndarray  # LAW_ROW
    levels: np.ndarray  # float64
    values: np.ndarray  # float64
    application_cdf: np.ndarray  # float64 (A,)
    tenant_cdf: np.ndarray  # float64 (T,)
    application_names: tuple[str, ...]
    role_names: tuple[str, ...]  # "application.role"
    num_sys_groups: int
    num_threads: int


def transition_matrix(machine: MachineSpec) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return a machine's chances as arrays.

    Args:
        machine: The machine, N states.

    Returns:
        Transitions, float64 (N, N); ends, float64 (N,): together the rows sum to 1; starts, float64 (N,).
    """
    names = list(machine.states)
    moves = np.zeros((len(names), len(names)))
    ends = np.zeros(len(names))
    for i, state in enumerate(machine.states.values()):
        total = sum(state.next.values())
        ends[i] = state.next.get(END, 0.0) / total
        for name, chance in state.next.items():
            if name != END:
                moves[i, names.index(name)] = chance / total
    starts = np.array([machine.start.get(name, 0.0) for name in names])
    return moves, ends, starts / starts.sum()


def onward_table(moves: np.ndarray, ends: np.ndarray, most_calls: int) -> np.ndarray:
    """Reckon how likely exactly r calls follow a state, for r from 0 to most_calls - 1.

    h_0 = ends, h_r = moves h_(r-1). Conditioning a walk on its number of calls multiplies its chances
    by these (Doob's h-transform). Every row is scaled to a largest value of 1, which changes no choice.

    Args:
        moves: float64, shape (N, N).
        ends: float64, shape (N,).
        most_calls: Rows.

    Returns:
        float64, shape (most_calls, N).
    """
    table = np.zeros((most_calls, len(ends)))
    row = ends
    for r in range(most_calls):
        top = row.max()
        table[r] = row / top if top > 0 else 0.0
        row = moves @ table[r]
    return table


def _calls_chances(name: str, machine: MachineSpec) -> tuple[np.ndarray, np.ndarray]:
    """Return the chances of 1, 2, ... calls and the machine's onward table."""
    moves, ends, starts = transition_matrix(machine)
    if machine.calls is None:
        chances, now = [], starts
        while len(chances) < MAX_STAGES and now.sum() > 1e-9:
            chances.append(float(now @ ends))
            now = now @ moves
        if now.sum() > 1e-3:
            raise MaestroError(
                f"Application `{name}`: {now.sum():.1%} of its workflows would run more than {MAX_STAGES} calls. Raise "
                f"the chances of `{END}`, or give `calls`, the law of a workflow's calls."
            )
        pmf = np.array(chances)
    else:
        calls = np.round(law_quantile(machine.calls, (np.arange(4000) + 0.5) / 4000)).astype(int)
        if calls.min() < 1 or calls.max() > MAX_STAGES:
            raise MaestroError(
                f"Application `{name}`: its law of `calls` reaches from {calls.min()} to {calls.max()}; a workflow "
                f"runs 1 to {MAX_STAGES} calls."
            )
        pmf = np.bincount(calls - 1).astype(np.float64)
    onward = onward_table(moves, ends, len(pmf))
    possible = np.flatnonzero(onward @ starts > 0)
    if not len(possible):
        raise MaestroError(
            f"Application `{name}`: no walk from `start` ends after at most {len(pmf)} calls. Give a state that can be "
            f"reached a chance of `{END}`, or let `calls` reach further."
        )
    # A number of calls that no walk has goes to the nearest that one has.
    moved = np.zeros(len(pmf))
    for n in np.flatnonzero(pmf):
        moved[possible[np.argmin(np.abs(possible - n))]] += pmf[n]
    return moved / moved.sum(), onward


def _mean_over_calls(pmf: np.ndarray) -> float:
    """Return the mean normal score of a workflow's number of calls, over calls.

    The integral of z phi(z) between two scores is phi(low) - phi(high).
    """
    from scipy.stats import norm

    density = norm.pdf(norm.ppf(np.concatenate([[0.0], np.minimum(np.cumsum(pmf), 1.0)])))
    counts = np.arange(1, len(pmf) + 1)
    return float(counts @ (density[:-1] - density[1:]) / (counts @ pmf))


def _effects(effects: JobEffectsSpec) -> tuple[float, float, float, float, float]:
    """Return the Cholesky factor of the correlations of number of calls, outputs and prompts."""
    a, c = effects.calls_output, effects.calls_prompt
    b = max(1.0 - a * a, 0.0) ** 0.5
    d = (effects.output_prompt - a * c) / b if b > 0 else 0.0
    return a, b, c, d, max(1.0 - c * c - d * d, 0.0) ** 0.5


def compile_machines(spec: MachineFamilySpec) -> MachineTables:
    """Lay a family of machines out as arrays.

    Args:
        spec: The family.

    Returns:
        Its tables.

    Raises:
        MaestroError: A machine cannot end, or runs too many calls.
    """
    laws = LawTables()
    machines, states, roles, role_names = [], [], [], []
    transition, onward, calls_cdf = [], [], []
    num_groups = num_threads = 0
    for name, machine in spec.machines.items():
        moves, _, starts = transition_matrix(machine)
        pmf, follow = _calls_chances(name, machine)
        role_ids = {role: len(roles) + i for i, role in enumerate(machine.roles)}
        threads = list(dict.fromkeys(role.thread for role in machine.roles.values() if role.thread is not None))
        groups: dict[str, int] = {}
        for role_name, role in machine.roles.items():
            # Roles that share a thread share its system prompt.
            group = groups.setdefault(role.thread or f" {role_name}", num_groups + len(groups))
            roles.append(
                (
                    SIZE_CLASSES.index(role.size),
                    group if role.system_tokens > 0 else -1,
                    role.system_tokens,
                    role.max_output_tokens,
                    role.tools,
                )
            )
            role_names.append(f"{name}.{role_name}")
        effects, go_on = machine.job_effects, machine.continues
        machines.append(
            (
                INTERACTIVE if machine.cls == "interactive" else BATCH,
                machine.deadline_s,
                machine.ttft_limit_s,
                machine.weight,
                len(states),
                len(machine.states),
                num_threads,
                len(pmf),
                sum(map(len, calls_cdf)),
                sum(map(len, transition)),
                sum(map(len, onward)),
                effects.output,
                effects.prompt,
                effects.gap,
                _mean_over_calls(pmf),
                *_effects(effects),
                machine.youth.extra if machine.youth else 0.0,
                machine.youth.calls if machine.youth else 1.0,
                go_on.chance if go_on else 0.0,
                laws.add(go_on.lag_s if go_on else None),
                laws.add(go_on.context_tokens if go_on else None),
            )
        )
        for i, state in enumerate(machine.states.values()):
            thread = machine.roles[state.role].thread
            states.append(
                (
                    role_ids[state.role],
                    num_threads + threads.index(thread) if thread is not None else -1,
                    int(state.tool != ""),
                    int(state.keeps_output),
                    state.reset,
                    starts[i],
                    laws.add(state.output_tokens),
                    laws.add(state.prompt_tokens),
                    laws.add(state.grows_tokens),
                    laws.add(state.gap_s),
                )
            )
        transition.append(moves.ravel())
        onward.append(follow.ravel())
        calls_cdf.append(cumulative(pmf))
        num_groups += len(groups)
        num_threads += len(threads)
    rows, levels, values = laws.arrays()
    return MachineTables(
        machines=np.array(machines, MACHINE),
        states=np.array(states, STATE),
        roles=np.array(roles, MACHINE_ROLE),
        transition=np.concatenate(transition),
        onward=np.concatenate(onward),
        calls_cdf=np.concatenate(calls_cdf),
        laws=rows,
        levels=levels,
        values=values,
        application_cdf=cumulative(np.array([machine.share for machine in spec.machines.values()])),
        tenant_cdf=cumulative(1.0 / np.arange(1, spec.tenants + 1) ** spec.tenant_skew),
        application_names=tuple(spec.machines),
        role_names=tuple(role_names),
        num_sys_groups=num_groups,
        num_threads=num_threads,
    )

"""An agent from a Python file: ``my_policy.py:Agent``."""

from __future__ import annotations

import inspect
from typing import Any

from maestro_gym.agents.foreign.agent import Agent, AgentCard
from maestro_gym.baselines.user_rules import UserObject
from maestro_gym.core.errors import MaestroError

_TAKES = ("observation", "mask")


class _Function:
    """A function that decides, as an agent."""

    def __init__(self, act: Any) -> None:  # noqa: ANN401 - whatever the user wrote
        self.act = act


def agent_from(found: UserObject, companions: str | None) -> tuple[Agent, AgentCard]:
    """Make an agent of a class with ``act``, of an instance of one, or of a function.

    What is known of it are attributes of the class, the instance or the function: ``tier``, and perhaps
    ``information``, ``companions``, ``window``, ``additions``, ``name`` and ``description``; a function may leave them
    to its file.

    Args:
        found: What stands in the file.
        companions: Policy of the other tiers, in place of the agent's own word.

    Returns:
        The agent and what is known of it.

    Raises:
        MaestroError: It has no tier, or its ``act`` takes something else, or making an instance of it fails.
    """
    value, where = found.value, f"{found.path}: {found.name}"
    if inspect.isclass(value):
        make: Any = value
        try:
            agent: Any = make()
        except Exception as error:
            raise MaestroError(
                f"{where}() fails: {type(error).__name__}: {error}. An agent is made without arguments; give them "
                "defaults, or name an instance."
            ) from error
    else:
        agent = _Function(value) if inspect.isfunction(value) else value
    _check_arguments(agent, where)
    known = {
        field: _said(found, field)
        for field in ("tier", "information", "companions", "window", "additions", "name", "description")
        if _said(found, field) is not None
    }
    if "tier" not in known:
        raise MaestroError(
            f"{where} has no tier. Write tier = 'cluster' into it (or node, global, joint): whose decisions it takes."
        )
    known.setdefault("name", found.name)
    known.setdefault("description", (inspect.getdoc(value) or "an agent in Python").splitlines()[0])
    if companions is not None:
        known["companions"] = companions
    return agent, AgentCard(**known, file=str(found.path))


def _said(found: UserObject, field: str) -> Any:  # noqa: ANN401 - whatever the user wrote
    said = getattr(found.value, field, None)
    if said is None and inspect.isfunction(found.value):
        said = found.value.__globals__.get(field)
    return said


def _check_arguments(agent: Agent, where: str) -> None:
    try:
        inspect.signature(agent.act).bind(*_TAKES)
    except TypeError:
        raise MaestroError(
            f"{where}.act takes {inspect.signature(agent.act)}; write it as act(self, observation, mask)."
        ) from None
    except ValueError:
        return  # written in C, which shows no signature

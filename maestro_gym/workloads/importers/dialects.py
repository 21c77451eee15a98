"""What attributes of OpenTelemetry spans mean in the conventions that recorders follow.

Sources: OpenTelemetry's semantic conventions for generative AI (gen_ai.*, v1.41; status: development), also under the
names of before v1.27; OpenInference (openinference.span.kind, llm.*; Arize-ai/openinference, spec); OpenLLMetry
(traceloop.*, llm.request.type; traceloop.com/docs/openllmetry/contributing/semantic-conventions).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

Kind = Literal["call", "tool", "agent", ""]

INPUT = (
    "gen_ai.usage.input_tokens",
    "gen_ai.usage.prompt_tokens",
    "llm.token_count.prompt",
    "llm.usage.prompt_tokens",
)
OUTPUT = (
    "gen_ai.usage.output_tokens",
    "gen_ai.usage.completion_tokens",
    "llm.token_count.completion",
    "llm.usage.completion_tokens",
)
TOTAL = ("gen_ai.usage.total_tokens", "llm.usage.total_tokens", "llm.token_count.total")
CACHE_READ = (
    "gen_ai.usage.cache_read.input_tokens",
    "gen_ai.usage.cache_read_input_tokens",
    "llm.token_count.prompt_details.cache_read",
)
CACHE_WRITE = (
    "gen_ai.usage.cache_creation.input_tokens",
    "gen_ai.usage.cache_creation_input_tokens",
    "llm.token_count.prompt_details.cache_write",
)
MODEL = ("gen_ai.request.model", "llm.request.model", "llm.model_name", "gen_ai.response.model", "llm.response.model")
LIMIT = ("gen_ai.request.max_tokens", "llm.request.max_tokens")
AGENT = ("gen_ai.agent.name", "agent.name")
TOOL = ("gen_ai.tool.name", "tool.name", "traceloop.entity.name")
_PARAMETERS = "llm.invocation_parameters"
_LIMITS_OF_PARAMETERS = ("max_completion_tokens", "max_output_tokens", "max_tokens")


class Dialect(NamedTuple):
    """One convention.

    Attributes:
        name: As its authors write it.
        keys: Attributes that say what a span is; the first that is there decides.
        kinds: What their values mean, in small letters.
    """

    name: str
    keys: tuple[str, ...]
    kinds: Mapping[str, Kind]


DIALECTS = (
    Dialect(
        "OpenInference",
        ("openinference.span.kind",),
        {"llm": "call", "tool": "tool", "retriever": "tool", "agent": "agent"},
    ),
    Dialect(
        "OpenLLMetry",
        ("traceloop.span.kind", "llm.request.type"),
        {"chat": "call", "completion": "call", "tool": "tool", "agent": "agent"},
    ),
    Dialect(
        "OpenTelemetry GenAI",
        ("gen_ai.operation.name",),
        {
            "chat": "call",
            "text_completion": "call",
            "generate_content": "call",
            "execute_tool": "tool",
            "invoke_agent": "agent",
            "create_agent": "agent",
        },
    ),
)
CALLS = "a call has `gen_ai.operation.name` chat, text_completion or generate_content (OpenTelemetry), " + (
    "`openinference.span.kind` LLM (OpenInference), or `llm.request.type` chat or completion (OpenLLMetry)"
)


def kind_of(attributes: Mapping[str, Any]) -> tuple[Kind, str]:
    """Say what a span is.

    Args:
        attributes: Of the span.

    Returns:
        Its kind, blank for structure, and the convention that says so, blank if none does.
    """
    for dialect in DIALECTS:
        for key in dialect.keys:
            if attributes.get(key) is not None:
                return dialect.kinds.get(str(attributes[key]).lower(), ""), dialect.name
    return "", ""


def first(attributes: Mapping[str, Any], names: tuple[str, ...]) -> tuple[str, Any]:
    """Find the first attribute that is there; its name is blank if none is."""
    return next(((name, attributes[name]) for name in names if attributes.get(name) is not None), ("", None))


def flat(attributes: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Spell nested attributes with dots, as they were before an exporter took them apart."""
    spelled: dict[str, Any] = {}
    for key, value in attributes.items():
        if isinstance(value, Mapping):
            spelled |= flat(value, f"{prefix}{key}.")
        else:
            spelled[f"{prefix}{key}"] = value
    return spelled


def limit_of(attributes: Mapping[str, Any]) -> tuple[str, Any]:
    """Find the output limit, which OpenInference keeps in a text of JSON; its name is blank if there is none."""
    name, value = first(attributes, LIMIT)
    if name:
        return name, value
    try:
        parameters = json.loads(str(attributes.get(_PARAMETERS) or "{}"))
    except (ValueError, RecursionError):
        return "", None
    name, value = first(parameters, _LIMITS_OF_PARAMETERS) if isinstance(parameters, dict) else ("", None)
    return (f"{_PARAMETERS}.{name}", value) if name else ("", None)

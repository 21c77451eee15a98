"""The stand-in keeps the contract that a real server keeps (tests/live holds vLLM to the same)."""

from tests.real_backend.contract import Contract


class TestStandIn(Contract):
    """All of it."""

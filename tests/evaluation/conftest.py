"""The hand-made result as a fixture."""

from types import SimpleNamespace

import pytest

from tests.evaluation.by_hand import make_result


@pytest.fixture
def result() -> SimpleNamespace:
    return make_result()

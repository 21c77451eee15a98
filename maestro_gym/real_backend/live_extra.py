"""What real servers need beyond the rest of the project; whoever lacks it is told so, before any part imports it."""

from __future__ import annotations

from importlib.util import find_spec

from maestro_gym.core.errors import MaestroError

LIVE_PACKAGES = ("httpx", "prometheus_client")
"""The packages of the extra ``live``, as they are imported."""

_missing = [package for package in LIVE_PACKAGES if find_spec(package) is None]
if _missing:
    raise MaestroError(
        f"Real servers need {' and '.join(_missing)}, which is not installed: pip install 'maestro-gym[live]', or in a "
        "checkout pip install -e '.[live]' -c constraints.txt."
    )

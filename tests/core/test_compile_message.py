from __future__ import annotations

import sys
import threading
from pathlib import Path

import pytest

from maestro_gym.core import compile as compiler
from maestro_gym.core.code_cache import code_dir


def kernel() -> None:
    """Stands for a kernel."""


@pytest.fixture(autouse=True)
def _fresh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAESTRO_CACHE_DIR", str(tmp_path))
    monkeypatch.delenv("MAESTRO_QUIET", raising=False)
    monkeypatch.setattr(compiler, "INTERPRETED", False)
    monkeypatch.setattr(compiler, "_told", threading.Event())


def test_compiling_is_announced_once_on_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    compiler._tell(kernel)
    compiler._tell(kernel)
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("Compiling the simulator") == 1


def test_nothing_is_said_when_the_kernel_is_cached(capsys: pytest.CaptureFixture[str]) -> None:
    folder = code_dir(kernel)
    folder.mkdir(parents=True)
    version = f"py{sys.version_info[0]}{sys.version_info[1]}"
    module = kernel.__module__.rpartition(".")[2]
    (folder / f"{module}.kernel-{kernel.__code__.co_firstlineno}.{version}.nbi").touch()
    compiler._tell(kernel)
    assert capsys.readouterr().err == ""


def test_nothing_is_said_when_quiet_or_interpreted(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MAESTRO_QUIET", "1")
    compiler._tell(kernel)
    monkeypatch.delenv("MAESTRO_QUIET")
    monkeypatch.setattr(compiler, "_told", threading.Event())
    monkeypatch.setattr(compiler, "INTERPRETED", True)
    compiler._tell(kernel)
    assert capsys.readouterr().err == ""

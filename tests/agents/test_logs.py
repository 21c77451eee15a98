"""Logs of a run whose disk is full: the run hears of it, and nobody else."""

from __future__ import annotations

import errno
import subprocess
import sys
from pathlib import Path

PROGRAM = """
import errno, os, sys, threading, time
from pathlib import Path
from tensorboard.compat.tensorflow_stub.io import gfile
from maestro_gym.agents.logs import open_logger

logger = open_logger(Path(sys.argv[1]), 0, "off", {})

def full(*given):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

gfile.GFile.write = gfile.GFile.flush = full
try:
    while True:
        logger.record("a", 1.0)
        logger.dump(1)
        time.sleep(0.01)
except OSError as error:
    sys.exit(error.errno)
"""


def test_a_full_disk_under_tensorboard_ends_the_run_with_its_error_and_no_trace(tmp_path: Path) -> None:
    words = [sys.executable, "-c", PROGRAM, str(tmp_path)]
    ended = subprocess.run(words, capture_output=True, text=True, check=False, timeout=120)
    assert ended.returncode == errno.ENOSPC
    assert ended.stderr == ""

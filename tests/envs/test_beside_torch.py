"""The environments and torch in one process: neither slows the other down, nor changes its settings."""

import json
import subprocess
import sys

STEPS = """
import json, os, sys, time
before = dict(os.environ)
threads = None
if sys.argv[1] == "torch":
    import torch
    torch.set_num_threads(1)
    a = torch.rand(512, 512)
    (a @ a).sum()
import gymnasium, threading, maestro_gym
env = gymnasium.make("Maestro/Cluster-v0", overrides=("contention=high",))
env.reset(seed=0)
alone = threading.active_count()
envs = gymnasium.make_vec("Maestro/Cluster-v0", num_envs=64, overrides=("contention=high",))
_, info = envs.reset(seed=0)
spent_s = []
for _ in range(30):
    begin = time.process_time()
    for _ in range(10):
        info = envs.step(info["action_mask"].argmax(axis=1))[-1]
    spent_s.append(time.process_time() - begin)
if sys.argv[1] == "torch":
    threads = torch.get_num_threads()
changed = {name for name in {*os.environ, *before} if os.environ.get(name) != before.get(name)}
print(json.dumps([min(spent_s), threads, sorted(changed), alone]))
"""


def _steps(word: str) -> list:
    words = [sys.executable, "-c", STEPS, word]
    return json.loads(subprocess.run(words, capture_output=True, text=True, check=True, timeout=500).stdout)


def test_torch_imported_first_does_not_slow_the_steps_down() -> None:
    # Processor time, which other processes do not change much, unlike the time of the clock. Threads of OpenMP that
    # spun for both cost 7 to 30 times the steps.
    (with_torch_s, threads, changed, alone), (without_s, *_) = _steps("torch"), _steps("nothing")
    assert with_torch_s < 3 * without_s
    assert threads == 1, "the environments changed torch's number of threads"
    assert "OMP_NUM_THREADS" not in changed
    assert "OMP_WAIT_POLICY" not in changed
    assert alone == 1, "one environment needs no threads"

from __future__ import annotations

import numpy as np
import torch

from maestro_gym.agents.imitation import guided
from maestro_gym.envs.batch.own_rule import NO_ANSWER


def test_a_teacher_steers_as_often_as_its_share_and_never_without_an_answer() -> None:
    torch.manual_seed(0)
    chosen, lesson = np.zeros(100_000, np.int64), np.ones(100_000, np.int64)
    lesson[::2] = NO_ANSWER
    assert guided(chosen, lesson, 0.0).sum() == 0
    assert guided(chosen, lesson, 1.0)[1::2].all()
    some = guided(chosen, lesson, 0.3)
    assert not some[::2].any()
    assert abs(some[1::2].mean() - 0.3) < 0.01

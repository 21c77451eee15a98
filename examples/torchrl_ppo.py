"""PPO by the parts of TorchRL: its environment, masks, collector, advantage and loss.

    pip install 'maestro-gym[learners]'
    python examples/torchrl_ppo.py [DECISIONS]

`ActionMaskObservation` puts the mask where TorchRL looks for it. The discount is by decision, not by time.
"""

from __future__ import annotations

import sys

import gymnasium
import torch
from tensordict import TensorDict
from tensordict.nn import TensorDictModule, TensorDictSequential
from torch import Tensor, nn
from torchrl.collectors import Collector
from torchrl.envs import GymWrapper
from torchrl.modules import MaskedCategorical, ProbabilisticActor, ValueOperator
from torchrl.objectives import ClipPPOLoss
from torchrl.objectives.value import GAE

from maestro_gym.envs import ActionMaskObservation

DECISIONS = int(sys.argv[1]) if len(sys.argv) > 1 else 20_000
ID, FLEET = "maestro_gym.v1:Maestro/Cluster-v1", {"scenario": "quick", "overrides": ["contention=high", "horizon_s=30"]}


class Scorer(nn.Module):
    """Every candidate (..., A, F) is scored by the same weights, beside the context (..., G)."""

    def __init__(self, row: int, context: int) -> None:
        """Make the network for rows of `row` and contexts of `context` columns."""
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(row + context, 64), nn.Tanh(), nn.Linear(64, 1))

    def forward(self, candidates: Tensor, context: Tensor) -> Tensor:
        """Logits (..., A)."""
        around = context.unsqueeze(-2).expand(*candidates.shape[:-1], context.shape[-1])
        return self.layers(torch.cat([candidates, around], -1)).squeeze(-1)


def main() -> None:
    """Train, and say what the decisions of each rollout were paid on the average."""
    torch.manual_seed(0)
    env = GymWrapper(ActionMaskObservation(gymnasium.make(ID, **FLEET)), categorical_action_encoding=True)
    row, context = (env.observation_spec[name].shape[-1] for name in ("candidates", "context"))
    score = TensorDictModule(Scorer(row, context), in_keys=["candidates", "context"], out_keys=["logits"])
    legal = TensorDictModule(lambda mask: mask.bool(), in_keys=["action_mask"], out_keys=["mask"])
    actor = ProbabilisticActor(
        TensorDictSequential(score, legal),
        in_keys=["logits", "mask"],
        distribution_class=MaskedCategorical,
        spec=env.action_spec,
        return_log_prob=True,
    )
    critic = ValueOperator(nn.Sequential(nn.Linear(context, 64), nn.Tanh(), nn.Linear(64, 1)), in_keys=["context"])
    advantage = GAE(gamma=0.999, lmbda=0.95, value_network=critic, average_gae=True)
    loss = ClipPPOLoss(actor, critic, entropy_coeff=0.01)
    optimizer = torch.optim.Adam(loss.parameters(), 1e-3)
    settings = {"frames_per_batch": 500, "total_frames": DECISIONS, "auto_register_policy_transforms": True}
    collector = Collector(env, actor, **settings)
    for number, rollout in enumerate(collector, 1):
        for _ in range(4):
            advantage(rollout)
            for batch in rollout[torch.randperm(len(rollout))].split(125):
                losses: TensorDict = loss(batch)
                optimizer.zero_grad()
                sum(value for name, value in losses.items() if name.startswith("loss_")).backward()
                optimizer.step()
        print(f"{number * len(rollout):6} decisions, mean reward {rollout['next', 'reward'].mean():.3f}")
    collector.shutdown()


if __name__ == "__main__":
    main()

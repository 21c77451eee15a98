"""The other libraries around torch: TorchRL, Tianshou, RLlib, CleanRL; and PettingZoo and Optuna."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import gymnasium

from door_list.door import ID, SHORT, check_told, door

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


@door("TorchRL: GymEnv", "torchrl")
def torchrl_env(_: Path) -> None:
    """`GymEnv` with `categorical_action_encoding`, `check_env_specs`, a rollout."""
    from torchrl.envs import GymEnv, check_env_specs

    env = GymEnv(ID, categorical_action_encoding=True, **SHORT)
    check_env_specs(env)
    assert env.rollout(20)["next", "reward"].shape[-1] == 1


@door("TorchRL: masks and collector", "torchrl")
def torchrl_masks(_: Path) -> None:
    """`GymWrapper` of `ActionMaskObservation`, the transform `ActionMask`, a `Collector` of 64 legal decisions."""
    from torchrl.collectors import Collector
    from torchrl.envs import GymWrapper, TransformedEnv
    from torchrl.envs.transforms import ActionMask

    from maestro_gym.envs import ActionMaskObservation

    inner = GymWrapper(
        ActionMaskObservation(gymnasium.make(ID, illegal="raise", **SHORT)), categorical_action_encoding=True
    )
    env = TransformedEnv(inner, ActionMask())
    collector = Collector(env, env.rand_action, frames_per_batch=32, total_frames=64)
    assert sum(batch.numel() for batch in collector) == 64
    collector.shutdown()


@door("Tianshou: PPO", "tianshou")
def tianshou_ppo(_: Path) -> None:
    """`DummyVectorEnv` of flat environments in `FiniteInfo`, an epoch of on-policy training."""
    import torch
    from tianshou.algorithm import PPO
    from tianshou.algorithm.modelfree.reinforce import DiscreteActorPolicy
    from tianshou.algorithm.optim import AdamOptimizerFactory
    from tianshou.data import Collector, VectorReplayBuffer
    from tianshou.trainer import OnPolicyTrainerParams
    from tianshou.utils.net.common import Net
    from tianshou.utils.net.discrete import DiscreteActor, DiscreteCritic

    env, envs = _flat(), _tianshou_envs()
    count = int(env.action_space.n)
    net = Net(state_shape=env.observation_space.shape, hidden_sizes=[16])
    policy = DiscreteActorPolicy(
        actor=DiscreteActor(preprocess_net=net, action_shape=count),
        dist_fn=torch.distributions.Categorical,
        action_space=env.action_space,
    )
    algorithm = PPO(policy=policy, critic=DiscreteCritic(preprocess_net=net), optim=AdamOptimizerFactory(lr=1e-3))
    params = OnPolicyTrainerParams(
        training_collector=Collector(algorithm, envs, VectorReplayBuffer(500, 2)),
        max_epochs=1,
        epoch_num_steps=64,
        batch_size=32,
        collection_step_num_env_steps=64,
        update_step_num_repetitions=1,
    )
    assert algorithm.run_training(params).train_step == 64


@door("Tianshou: DQN", "tianshou")
def tianshou_dqn(_: Path) -> None:
    """`DummyVectorEnv` of flat environments in `FiniteInfo`, an epoch of off-policy training."""
    from tianshou.algorithm import DQN
    from tianshou.algorithm.modelfree.dqn import DiscreteQLearningPolicy
    from tianshou.algorithm.optim import AdamOptimizerFactory
    from tianshou.data import Collector, VectorReplayBuffer
    from tianshou.trainer import OffPolicyTrainerParams
    from tianshou.utils.net.common import Net

    env, envs = _flat(), _tianshou_envs()
    net = Net(state_shape=env.observation_space.shape, action_shape=int(env.action_space.n), hidden_sizes=[16])
    policy = DiscreteQLearningPolicy(model=net, action_space=env.action_space)
    algorithm = DQN(policy=policy, optim=AdamOptimizerFactory(lr=1e-3))
    params = OffPolicyTrainerParams(
        training_collector=Collector(algorithm, envs, VectorReplayBuffer(500, 2)),
        max_epochs=1,
        epoch_num_steps=64,
        batch_size=16,
        collection_step_num_env_steps=16,
        update_step_num_gradient_steps_per_sample=0.1,
    )
    assert algorithm.run_training(params).train_step == 64


def _flat() -> gymnasium.Env:
    from maestro_gym.envs import FiniteInfo

    return FiniteInfo(gymnasium.make(ID, observation="flat", **SHORT))


def _tianshou_envs() -> Any:  # noqa: ANN401 - of a library that may be missing
    from tianshou.env import DummyVectorEnv

    return DummyVectorEnv([_flat] * 2)


@door("RLlib: PPO", "ray")
def rllib(_: Path) -> None:
    """One iteration of the new API stack on flat observations; a callback reads `episode_metrics`."""
    import ray
    from ray.rllib.algorithms.ppo import PPOConfig
    from ray.rllib.callbacks.callbacks import RLlibCallback
    from ray.tune.registry import register_env

    class Told(RLlibCallback):
        def on_episode_end(self, *, episode: Any, metrics_logger: Any, **_: Any) -> None:  # noqa: ANN401 - RLlib's
            info = episode.get_infos(-1)
            check_told(info)
            metrics_logger.log_value("slo_attainment", info["episode_metrics"]["slo_attainment"])

    register_env("maestro", lambda _: gymnasium.make(ID, observation="flat", **SHORT))
    ray.init(num_cpus=1, include_dashboard=False, log_to_driver=False, ignore_reinit_error=True)
    config = (
        PPOConfig()
        .environment("maestro")
        .env_runners(num_env_runners=0)
        .learners(num_learners=0)
        .training(train_batch_size=256, minibatch_size=64, num_epochs=1)
        .callbacks(Told)
    )
    algorithm = config.build_algo()
    result = algorithm.train()
    assert "slo_attainment" in result["env_runners"]
    algorithm.stop()


@door("CleanRL: ppo.py", "cleanrl")
def cleanrl(folder: Path) -> None:
    """`examples/cleanrl_ppo.py`: its single file with 16 lines that become 19, 256 decisions."""
    _example("cleanrl_ppo.py", folder, "--total-timesteps", "256", "--num-steps", "32")


@door("PettingZoo: AEC", "pettingzoo")
def pettingzoo(_: Path) -> None:
    """`api_test` and `seed_test`, agents by tier and by node."""
    from pettingzoo.test import api_test, seed_test

    from maestro_gym.envs import pettingzoo as door

    # Its own comparison of infos takes nan for a difference, and an episode of a few seconds leaves much unmeasured.
    fleet = {"overrides": ("horizon_s=60",)}
    for agents in ("tiers", "nodes"):
        api_test(door.env(agents=agents, **fleet), num_cycles=50)
        seed_test(lambda agents=agents: door.env(agents=agents, **fleet), num_cycles=50)


@door("Optuna: study", "optuna")
def optuna(folder: Path) -> None:
    """`examples/optuna_search.py`: two trials over validation seeds."""
    _example("optuna_search.py", folder, "2")


def _example(name: str, folder: Path, *words: str) -> None:
    subprocess.run([sys.executable, str(EXAMPLES / name), *words], cwd=folder, check=True, capture_output=True)

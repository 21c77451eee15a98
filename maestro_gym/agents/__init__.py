"""Learned policies: how they are trained, kept on disk, and run at the speed of a rule.

Start with ``ppo.py`` (the algorithm, whole), ``networks.py`` (what it trains) and ``train.py`` (from a scenario to a
run folder). ``training_env.py`` is what it learns in, ``trainer.py`` puts evaluations and checkpoints between the
updates, ``validation.py`` scores them, ``policy_file.py`` is the policy on disk, and ``export.py`` compiles it into a
rule that ``load.py`` finds by the name of its folder. ``fine_tune.py`` goes on learning on real servers.
``foreign/`` makes policies of agents that were trained elsewhere, and ``onnx_export.py`` hands ours to others.
``search/`` searches the numbers of a family, and ``rollout/`` plays what other answers would have come to. ``tune/``
lets Optuna choose settings, and ``dataset/`` writes episodes for learners that touch no environment.

A new network is a class of ``networks.py`` with ``forward_actor`` and ``forward_critic``, a branch of
``build_network`` and its compiled form in ``forward.py``: ``SlotMlp`` is an example. A new setting is a field of
``config/training.py``. An own learner needs nothing of this package: it takes the environments, and its policy comes
back as docs/own_agents.md says. Beside one of Stable-Baselines3's, ``episode_eval.py`` plays validation episodes.
"""

from typing import TYPE_CHECKING

from maestro_gym.core.handed_on import handed_on

if TYPE_CHECKING:
    from maestro_gym.agents.actor_critic import CandidatePolicy
    from maestro_gym.agents.dataset.card import card_of_dataset
    from maestro_gym.agents.dataset.write import write_dataset
    from maestro_gym.agents.episode_eval import EpisodeMetricsEval
    from maestro_gym.agents.load import load_any_policy
    from maestro_gym.agents.policy_card import PolicyCard
    from maestro_gym.agents.policy_file import load_network, read_card, save_policy
    from maestro_gym.agents.ppo import ContinuousTimePPO
    from maestro_gym.agents.train import TrainResult, run_train
    from maestro_gym.agents.tune.study import run_tune

__all__ = [
    "CandidatePolicy",
    "ContinuousTimePPO",
    "EpisodeMetricsEval",
    "PolicyCard",
    "TrainResult",
    "card_of_dataset",
    "load_any_policy",
    "load_network",
    "read_card",
    "run_train",
    "run_tune",
    "save_policy",
    "write_dataset",
]

__getattr__ = handed_on(
    __name__,
    {
        "CandidatePolicy": "actor_critic",
        "ContinuousTimePPO": "ppo",
        "EpisodeMetricsEval": "episode_eval",
        "PolicyCard": "policy_card",
        "TrainResult": "train",
        "card_of_dataset": "dataset.card",
        "load_any_policy": "load",
        "load_network": "policy_file",
        "read_card": "policy_file",
        "run_train": "train",
        "run_tune": "tune.study",
        "save_policy": "policy_file",
        "write_dataset": "dataset.write",
    },
)

"""PettingZoo's door: the joint environment as several agents that share one fleet, each asked when it must decide.

    from maestro_gym.envs import pettingzoo

    env = pettingzoo.env(agents="nodes", scenario="quick")
    env.reset(seed=0)
    for agent in env.agent_iter():
        observation, reward, terminated, truncated, info = env.last()
        over = terminated or truncated
        env.step(None if over else env.action_space(agent).sample(observation["action_mask"]))

``aec.py`` is the environment, ``seats.py`` cuts each agent's part out of the joint one. Needs the extra ``pettingzoo``.
docs/pettingzoo.md has the table of the agents.
"""

from maestro_gym.envs.pettingzoo.aec import MaestroAEC, env, raw_env

__all__ = ["MaestroAEC", "env", "raw_env"]

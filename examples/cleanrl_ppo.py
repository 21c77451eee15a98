"""CleanRL's single-file PPO on a Maestro environment: 16 lines of its ppo.py become 19.

    pip install cleanrl==1.2.0 --no-deps --ignore-requires-python
    python examples/cleanrl_ppo.py --total-timesteps 100000

CHANGES says what each line becomes and why. The changed file is written to ./cleanrl_ppo_maestro.py and run, with all
the arguments of CleanRL: read it, and go on from there. A ppo.py of another version differs by the same ideas.
CleanRL is Costa Huang's and others', under the MIT licence: https://github.com/vwxyzjn/cleanrl
"""

from __future__ import annotations

import runpy
import sys
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

ENV_ID, FLEET = "maestro_gym.v1:Maestro/Cluster-v1", 'scenario="quick", overrides=("contention=high", "horizon_s=60")'

CHANGES: dict[int, str] = {
    # Gymnasium instead of gym, and an observation that is one vector.
    8: "import gymnasium as gym",
    81: f'        env = gym.make(env_id, observation="flat", {FLEET})',
    86: "        env.reset(seed=seed)",
    # The mask stands last in the vector: an illegal action is never drawn.
    122: "        logits = self.actor(x).masked_fill(x[:, -self.actor[-1].out_features :] == 0, -1e8)",
    161: "    , autoreset_mode=gym.vector.AutoresetMode.SAME_STEP)",
    178: "    next_obs = torch.Tensor(envs.reset()[0]).to(device)",
    # Decisions fall at uneven times: --gamma is the discount of a second, and not of a decision.
    179: "    next_done, gammas = torch.zeros(args.num_envs).to(device), torch.zeros_like(rewards)",
    202: "            next_obs, reward, *ends, info = envs.step(action.cpu().numpy())\n"
    "            done = np.logical_or(*ends)\n"
    '            gammas[step] = args.gamma ** torch.tensor(info["dt_s"])',
    225: "                delta = rewards[t] + gammas[t] * nextvalues * nextnonterminal - values[t]",
    226: "                lastgaelam = delta + gammas[t] * args.gae_lambda * nextnonterminal * lastgaelam\n"
    "                advantages[t] = lastgaelam",
    # What an episode tells at its end.
    206: '            for e in np.flatnonzero(info.get("_final_info", [])):',
    207: '                told = info["final_info"]',
    208: '                slo_attainment = told["episode_metrics"]["slo_attainment"][e]',
    209: '                print(f"global_step={global_step}, slo_attainment={slo_attainment:.3f}")',
    210: '                writer.add_scalar("charts/slo_attainment", slo_attainment, global_step)',
    211: '                writer.add_scalar("charts/episodic_return", told["episode"]["r"][e], global_step)',
}
"""New text by line of CleanRL 1.2.0's ppo.py."""


def changed(original: str) -> str:
    """CleanRL's file with the changed lines."""
    lines = original.splitlines()
    return "\n".join(CHANGES.get(number, line) for number, line in enumerate(lines, 1)) + "\n"


def main() -> None:
    """Change the installed file and run it."""
    spec = find_spec("cleanrl")
    if spec is None or not spec.submodule_search_locations or version("cleanrl") != "1.2.0":
        raise SystemExit("CleanRL 1.2.0 is missing: pip install cleanrl==1.2.0 --no-deps --ignore-requires-python")
    file = Path("cleanrl_ppo_maestro.py")
    file.write_text(changed((Path(spec.submodule_search_locations[0]) / "ppo.py").read_text(encoding="utf-8")))
    sys.argv = [str(file), "--env-id", ENV_ID, *sys.argv[1:]]
    runpy.run_path(str(file), run_name="__main__")


if __name__ == "__main__":
    main()

"""Real vLLM servers under the policies of the simulator: the same rules, masks, encoders and agents.

A live run keeps the simulator's own state of the fleet and lets the answers of the servers move it, where the
simulator would take a step. ``vllm`` talks to one server, ``fleet`` starts servers and turns a fleet file into a
scenario, ``control`` is the loop that decides and carries decisions out, ``prometheus`` shows a run while it lasts,
``envs`` hands decisions to an agent, and ``validation`` calibrates the simulator to the servers and measures how far
apart the two are.

Start with ``control/controller.py`` (the loop of a run), ``control/moves.py`` (how the state changes) and
``vllm/client.py`` (the calls to a server). Another serving engine is a client with the methods of ``NodeClient``;
docs/live.md says what is decided, what is done on the servers, and what was measured.
"""

from maestro_gym.real_backend.live_extra import LIVE_PACKAGES

__all__ = ["LIVE_PACKAGES"]

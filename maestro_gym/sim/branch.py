"""One environment of a batch copied over others: several ways on from one decision, in the same future or in another.

`Simulation.fork` copies a whole batch; here the copies lie beside their origin, so that one engine runs them all.
"""

from __future__ import annotations

from collections.abc import Sequence

from maestro_gym.sim.batch import Simulation
from maestro_gym.state import Episode
from maestro_gym.state.fields import arrays_of


def branch(simulation: Simulation, source: int, targets: Sequence[int], future: Episode | None = None) -> None:
    """Let environments go on from where another one stands.

    Whoever keeps buffers of observations beside the batch writes them anew.

    Args:
        simulation: The batch; open its engine again if a longer future made its arrays grow.
        source: The environment to go on from.
        targets: Environments that become its copies; what they held is lost.
        future: What happens to the copies, in place of the source's own future. Everything that has arrived by now
            must stand in the same rows of both, see `futures.with_arrivals_of`.
    """
    if future is not None:
        for target in targets:
            simulation.load(target, future)
    # After loading, which may have replaced the arrays by larger ones.
    view, hidden, core = simulation.state
    for part in (view, core) if future is not None else (view, hidden, core):
        for name in arrays_of(type(part)):
            array = getattr(part, name)
            for target in targets:
                array[target] = array[source]
    for target in targets:
        simulation.numbers[target] = simulation.numbers[source]
    if future is not None:
        core.env["num_workflows"][list(targets)] = len(future.workflows)

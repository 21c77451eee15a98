"""The columns of a tensor-parallel degree, and of the board whose GPUs are grouped (docs/elastic.md)."""

from __future__ import annotations

from maestro_gym.baselines.elastic.shaped import WINDOW_S
from maestro_gym.core.compile import njit
from maestro_gym.envs.observation.columns import Block
from maestro_gym.envs.observation.scales import of_flag, of_share, of_time
from maestro_gym.scheduling.degrees import degree_of, is_any_changing, largest_degree, response_s
from maestro_gym.scheduling.legal import may_regroup
from maestro_gym.state import View

DEGREE = Block("degree", __name__)
"""Its columns take a node of the degree, which may be off."""


@DEGREE.column("degree_regroups", "flag", "groups the GPUs of the board anew")
def _regroups(view: View, e: int, node: int) -> float:
    return 1.0


@DEGREE.column("degree_gpus", "share", "of the board's GPUs that a node then has")
def _gpus(view: View, e: int, node: int) -> float:
    return of_share(float(degree_of(view, node)), float(largest_degree(view, node)))


@DEGREE.column("degree_response", "time", "mean response time of recent calls at this degree", predicted=True)
def _response(view: View, e: int, node: int) -> float:
    return of_time(response_s(view, e, node, WINDOW_S))


write_degree = DEGREE.writer()

BOARD = Block("board", __name__)


@njit
def _is_on_board(view: View, node: int) -> bool:
    return int(view.world.nodes[node].board) >= 0


@BOARD.column("board_due", "flag", "the decision is how the GPUs of the node's board are grouped")
def _due(view: View, e: int, node: int) -> float:
    return of_flag(may_regroup(view, e))


@BOARD.column("board_gpus", "share", "of the board's GPUs that a node has now")
def _own_gpus(view: View, e: int, node: int) -> float:
    return (
        of_share(float(degree_of(view, node)), float(largest_degree(view, node))) if _is_on_board(view, node) else 0.0
    )


@BOARD.column("board_changing", "flag", "some board is between two degrees")
def _changing(view: View, e: int, node: int) -> float:
    return of_flag(is_any_changing(view, e))


@BOARD.column("board_response", "time", "mean response time of recent calls at the present degree", predicted=True)
def _own_response(view: View, e: int, node: int) -> float:
    return of_time(response_s(view, e, node, WINDOW_S)) if may_regroup(view, e) else 0.0


write_board = BOARD.writer()

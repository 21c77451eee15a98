"""The last minute of a fleet as an image: lanes of models, queues, memory, workflows and deadlines at risk.

Everything but words is filled into an array by numpy, a lane at a time: a column of time is a column of pixels, so that
a lane's pixels are looked up by its codes.
"""

from __future__ import annotations

import numpy as np

from maestro_gym.core.colours import COLOURS, GREY
from maestro_gym.envs.batch.agent_batch import AgentBatch
from maestro_gym.envs.render.glyphs import Colour, write
from maestro_gym.envs.render.history import ASLEEP, BATCH_SHADES, IDLE, LOADING, SPAN_S, History
from maestro_gym.envs.render.places import FOOTER, HEADER, HEIGHT, WIDTH, places_for
from maestro_gym.envs.render.text import decision_text, hbm_shares
from maestro_gym.scheduling.tiers import TIER_CLUSTER, TIER_NODE
from maestro_gym.scheduling.tool_view import rule_tier

_NUM_HUES = len(COLOURS) - 1
_MOST_LANE = 26
_PANEL_GAP = 8
_CHART_LEFT, _CHART_HEIGHT = 176, 20


def _rgb(code: str) -> Colour:
    return int(code[1:3], 16), int(code[3:5], 16), int(code[5:7], 16)


_INK, _PALE_INK, _LINE = (40, 40, 40), (110, 110, 110), (214, 214, 214)
_PRESENT, _RISK, _LATE, _READY, _ASKED = map(_rgb, ("#8FA3B5", "#E69F00", "#D55E00", "#0072B2", "#D55E00"))
_QUEUE = _INK
_WEIGHTS, _RESERVED, _CACHED, _FREE = (77, 77, 77), (140, 140, 140), (205, 205, 205), (255, 255, 255)


def _shades() -> np.ndarray:
    """Colour of every code in every hue, uint8, shape (hues, codes, 3): darker with the batch, white without."""
    full = np.array([_rgb(code) for code in (*COLOURS[:_NUM_HUES], GREY)], np.float64)[:, None]
    filled = np.linspace(0.0, 1.0, BATCH_SHADES + 1)[None, :, None]
    # An idle engine stands apart from the smallest batch; large batches are darker than the hue itself.
    share = np.where(filled > 0.0, 0.35 + 0.65 * np.minimum(1.0, 1.4 * filled), 0.14)
    busy = (255.0 - share * (255.0 - full)) * (1.0 - 0.45 * np.maximum(0.0, filled - 0.6))
    still = np.full((len(full), IDLE, 3), 255.0)
    return np.concatenate([still, busy], axis=1).astype(np.uint8)


class FleetPicture:
    """The last minute of one environment of a batch.

    Lanes are the models that a node served or loaded in that minute, darker the larger the batch, hatched while they
    load; a thin line is a model asleep. The band below a node's lanes is its queue, as a share of the most it holds.
    The bar at its right is its HBM now. At the top are the workflows in the system, with those whose deadline is at
    risk (`history.workflow_counts`) and those that are late, and the stages in the global queue.

    The same states give the same pixels. With ``information="N"`` the picture uses no predictions either.
    """

    def __init__(self, batch: AgentBatch, e: int = 0) -> None:
        """Prepare; nothing is kept of an episode yet.

        Args:
            batch: The batch.
            e: The environment.
        """
        self._batch, self._e = batch, e
        scenario = batch.scenario
        self._places = places_for(len(scenario.node_names))
        self._history = History(self._places.columns, len(scenario.node_names), len(scenario.model_names))
        popular = np.argsort(-scenario.world.models["popularity"], kind="stable")[:_NUM_HUES]
        self._hue = np.full(len(scenario.model_names), _NUM_HUES)
        self._hue[popular] = np.arange(len(popular))
        self._shades = _shades()
        self._blank = self._background(popular)

    def clear(self) -> None:
        """Forget the episode: call it when another begins."""
        self._history.clear()

    def note(self) -> None:
        """Keep the present state: call it once after every reset and every step."""
        predictions = self._batch.options.information == "P"
        self._history.note(self._batch.state.visible, self._e, predictions=predictions)

    def draw(self) -> np.ndarray:
        """The image: a new array of uint8, shape (640, 960, 3)."""
        canvas, columns = self._blank.copy(), self._history.columns()
        self._write_header(canvas)
        self._draw_workflows(canvas, columns)
        self._draw_nodes(canvas, columns)
        return canvas

    # --- header --------------------------------------------------------------------------------

    def _write_header(self, canvas: np.ndarray) -> None:
        outcome = self._batch.outcome[self._e]
        now_s = float(self._batch.state.visible.clock[self._e]["now_s"])
        x = 8 + write(canvas, 8, 5, f"t = {now_s:.1f} s", size_px=14)
        x = max(120, x + 16)
        arrived, finished = int(outcome["arrived"]), int(outcome["finished"])
        x += 16 + write(canvas, x, 7, f"{arrived} arrived, {finished} finished", size_px=11)
        write(canvas, max(300, x), 7, decision_text(self._batch, self._e), size_px=11)

    def _draw_workflows(self, canvas: np.ndarray, columns: np.ndarray) -> None:
        places, now = self._places, columns[-1]
        left = _CHART_LEFT
        wide = (WIDTH - left - 60) // places.columns
        for y, text, colour, parts in (
            (26, f"{now['present']} workflows", _PRESENT, (("present", _PRESENT),)),
            (50, f"{now['at_risk']} at risk, {now['late']} late", _RISK, (("at_risk", _RISK), ("late", _LATE))),
            (74, f"{now['ready']} ready stages", _READY, (("ready", _READY),)),
        ):
            write(canvas, left - 10, y + 4, text, size_px=11, colour=colour, right=True)
            most = _round_up(int(columns[parts[0][0]].max()))
            for name, part_colour in parts:
                _fill_area(canvas, left, y, _CHART_HEIGHT, np.repeat(columns[name], wide) / most, part_colour)
            canvas[y + _CHART_HEIGHT, left : left + wide * places.columns] = _LINE
            write(canvas, left + wide * places.columns + 5, y - 3, str(most), size_px=10, colour=_PALE_INK)

    # --- nodes ---------------------------------------------------------------------------------

    def _draw_nodes(self, canvas: np.ndarray, columns: np.ndarray) -> None:
        places, batch = self._places, self._batch
        nodes = batch.state.visible.nodes[self._e]
        codes = columns["codes"]
        shown = np.any(codes >= LOADING, axis=0)
        queued = columns["queued"] / float(batch.scenario.world.params["node_queue_limit"][0])
        asked = self._asked()
        shares = hbm_shares(batch, self._e)
        for node in range(places.holds(len(nodes))):
            x, y = places.corner(node)
            models = np.flatnonzero(shown[node])
            self._draw_lanes(canvas, x, y + 1, codes[:, node], models)
            lowest = y + places.row_height - 1
            _fill_area(
                canvas, x + places.left, lowest - places.queue_height, places.queue_height, queued[:, node], _QUEUE
            )
            self._draw_memory(canvas, x + places.panel_width - places.right + 6, y + 4, shares[node])
            if asked[node]:
                canvas[y + 1 : lowest, x : x + 4] = _ASKED
            if places.roomy:
                record, right = nodes[node], x + places.panel_width - places.right + 6
                waiting = int(record["queue_len"]) + int(record["inbound"])
                text = f"{int(record['running'])} running"
                write(canvas, right, y + 16, text, size_px=10, colour=_PALE_INK)
                if waiting:
                    write(canvas, right + 74, y + 16, f"{waiting} waiting", size_px=10, colour=_QUEUE)

    def _draw_lanes(self, canvas: np.ndarray, x: int, y: int, codes: np.ndarray, models: np.ndarray) -> None:
        """Lanes of one node, codes (T, M), one below the other from (x, y) on, with their names where there is room."""
        if not len(models):
            return
        places = self._places
        lane = max(1, min(_MOST_LANE, places.lanes_height // len(models)))
        models = models[: places.lanes_height // lane]
        codes = codes[:, models].T
        block = np.repeat(self._shades[self._hue[models][:, None], codes], lane, axis=0)
        loading = np.repeat(codes == LOADING, lane, axis=0)
        if loading.any():
            # Hatches belong to a time, so that they move with it.
            down, across = np.ogrid[: loading.shape[0], : loading.shape[1]]
            block[loading & ((across + self._history.newest + down) % 6 < 2)] = _PALE_INK
        middle = block[lane // 2 :: lane]
        middle[codes == ASLEEP] = _PALE_INK
        if lane > 3:
            block[lane - 1 :: lane] = 255
        left = x + places.left
        canvas[y : y + len(block), left : left + block.shape[1]] = block
        if places.roomy and lane >= 8:
            for row, model in enumerate(models):
                name = self._batch.scenario.model_names[model]
                size = min(10, lane)
                top = y + row * lane + (lane - 1 - round(1.3 * size)) // 2
                write(canvas, left - 6, top, name, size_px=size, most_px=104, colour=_PALE_INK, right=True)

    def _draw_memory(self, canvas: np.ndarray, x: int, y: int, shares: np.ndarray) -> None:
        width = self._places.right - 14
        ends = np.minimum(np.rint(np.cumsum(shares) * width).astype(int), width)
        canvas[y - 1 : y + 9, x - 1 : x + width + 1] = _PALE_INK
        canvas[y : y + 8, x : x + width] = _FREE
        for begin, end, colour in zip((0, *ends), ends, (_WEIGHTS, _RESERVED, _CACHED), strict=False):
            canvas[y : y + 8, x + begin : x + end] = colour

    def _asked(self) -> np.ndarray:
        """The nodes that the pending decision is about, bool, shape (N,); of a global decision, none."""
        outcome, clusters = self._batch.outcome[self._e], self._batch.scenario.world.nodes["cluster"]
        if rule_tier(int(outcome["tier"])) == TIER_NODE:
            return np.arange(len(clusters)) == int(outcome["place"])
        return (clusters == int(outcome["place"])) & (int(outcome["tier"]) == TIER_CLUSTER)

    # --- what never changes --------------------------------------------------------------------

    def _background(self, popular: np.ndarray) -> np.ndarray:
        canvas = np.full((HEIGHT, WIDTH, 3), 255, np.uint8)
        places, names = self._places, self._batch.scenario.node_names
        held = places.holds(len(names))
        bottom = HEADER + places.rows * places.row_height
        for node in range(held):
            x, y = places.corner(node)
            canvas[y - 1, x + 4 : x + places.panel_width - _PANEL_GAP] = _LINE
            size = 11 if places.roomy else 9
            write(canvas, x + 7, y + 2, names[node], size_px=size, most_px=places.left - 8)
        for panel in range(-(-held // places.rows)):
            right = (panel + 1) * places.panel_width - places.right
            for text, seconds in ((f"-{SPAN_S:.0f} s", SPAN_S), (f"-{SPAN_S / 2:.0f} s", SPAN_S / 2), ("now", 0.0)):
                x = right - round(places.columns * seconds / SPAN_S)
                canvas[bottom : bottom + 3, min(x, right - 1)] = _PALE_INK
                write(
                    canvas,
                    x + (12 if seconds == 0.0 else 14),
                    bottom + 2,
                    text,
                    size_px=10,
                    colour=_PALE_INK,
                    right=True,
                )
        if held < len(names):
            write(canvas, WIDTH - 8, 7, f"{held} of {len(names)} nodes shown", size_px=12, right=True)
        self._write_key(canvas, popular)
        return canvas

    def _write_key(self, canvas: np.ndarray, popular: np.ndarray) -> None:
        x, y = 8, HEIGHT - FOOTER + 15
        names = [self._batch.scenario.model_names[model] for model in popular]
        names += ["other models"] if len(self._batch.scenario.model_names) > len(names) else []
        middle = IDLE + round(0.6 * BATCH_SHADES)
        for hue, name in enumerate(names):
            canvas[y + 2 : y + 11, x : x + 14] = self._shades[hue if hue < len(popular) else _NUM_HUES, middle]
            x += 30 + write(canvas, x + 18, y, name, size_px=10)
        x, y = 8, y + 15
        canvas[y + 2 : y + 11, x : x + 34] = np.repeat(self._shades[0, IDLE:], 2, axis=0)
        x += 52 + write(canvas, x + 38, y, "idle to full batch", size_px=10)
        swatch = canvas[y + 2 : y + 11, x : x + 24]
        down, across = np.ogrid[:9, :24]
        swatch[(down + across) % 6 < 2] = _PALE_INK
        x += 40 + write(canvas, x + 28, y, "loading", size_px=10)
        canvas[y + 6, x : x + 24] = _PALE_INK
        x += 40 + write(canvas, x + 28, y, "asleep", size_px=10)
        for name, colour in (
            ("must decide", _ASKED),
            ("queue", _QUEUE),
            ("HBM: weights", _WEIGHTS),
            ("KV reserved", _RESERVED),
            ("prefixes cached", _CACHED),
        ):
            canvas[y + 2 : y + 11, x : x + 14] = colour
            x += 30 + write(canvas, x + 18, y, name, size_px=10)


def _fill_area(canvas: np.ndarray, x: int, y: int, height: int, filled: np.ndarray, colour: Colour) -> None:
    """An area chart: column t from x on is filled from below by a share of the height, by a pixel at least if any."""
    pixels = np.ceil(np.clip(filled, 0.0, 1.0) * height)
    area = canvas[y : y + height, x : x + len(filled)]
    area[np.arange(height, 0, -1)[:, None] <= pixels] = colour


def _round_up(value: int) -> int:
    """The least number with one digit other than 0 that is not below a value, at least 10."""
    unit = 10 ** (len(str(max(1, value))) - 1)
    return max(10, -(-value // unit) * unit)

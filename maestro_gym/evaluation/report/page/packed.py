"""How figures, numbers and the library that draws them travel inside a page."""

from __future__ import annotations

import base64
import gzip
import html
import json
import math
from typing import Any

import numpy as np
import plotly.graph_objects as go
from plotly.offline import get_plotlyjs

_LONGEST_LINE = 18


def packed(content: str) -> str:
    """Text as it stands in a page: compressed, in letters that mean nothing to HTML.

    Args:
        content: Any text.

    Returns:
        Base64 of gzip; browsers since 2023 unpack it (``DecompressionStream``).
    """
    return base64.b64encode(gzip.compress(content.encode(), mtime=0)).decode("ascii")


def library() -> str:
    """plotly.js as it comes with the plotly package, packed: 4.8 MB become 2.0 MB."""
    return packed(get_plotlyjs())


def as_json(value: Any) -> str:  # noqa: ANN401 - any document
    """A document as JSON; what is no number becomes null."""
    return json.dumps(_plain(value), separators=(",", ":"), allow_nan=False)


def figure_document(figure: go.Figure) -> dict[str, Any]:
    """A figure as data and layout, without plotly's template, which the page's own layout replaces."""
    document = figure.to_plotly_json()
    layout = {name: value for name, value in document["layout"].items() if name != "template"}
    return {"data": document["data"], "layout": layout}


def plain_text(name: str) -> str:
    """A name as text of a figure, of which no markup and no placeholder counts."""
    return html.escape(name, quote=False).replace("%{", "%&#123;")


def label(name: str) -> str:
    """A name as text of a figure, which breaks after a sign where it is long.

    Args:
        name: As somebody chose it.
    """
    lines, line = [], ""
    for part in _parts(name):
        if line and len(line) + len(part) > _LONGEST_LINE:
            lines.append(line)
            line = ""
        line += part
    return "<br>".join(map(plain_text, [*lines, line]))


def _parts(name: str) -> list[str]:
    parts, begin = [], 0
    for at, sign in enumerate(name):
        if sign in "+-@/_. :" or at + 1 - begin == _LONGEST_LINE:
            parts.append(name[begin : at + 1])
            begin = at + 1
    return [*parts, name[begin:]]


def _plain(value: Any) -> Any:  # noqa: ANN401 - any document
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, np.ndarray):
        value = value.tolist()
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if hasattr(value, "item"):
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value

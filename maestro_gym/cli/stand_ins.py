"""Characters that a terminal, a pipe or a log lacks are written by plainer ones, so that no verb ends in them."""

from __future__ import annotations

import codecs
import io
import sys
import unicodedata

HANDLER = "maestro-stand-ins"
"""Name of the error handler, as ``codecs`` knows it."""

_GLYPHS = {
    "\u2191": "^",
    "\u2193": "v",
    "\u2190": "<-",
    "\u2192": "->",
    "\u00b1": "+-",
    "\u2013": "-",
    "\u2014": "-",
    "\u2026": "...",
    "\u00b7": ".",
    "\u00d7": "x",
}
"""Arrows, plus-minus, dashes, dots, times."""


def stand_in(error: UnicodeError) -> tuple[str, int]:
    """Answer for characters that an encoding lacks; an error handler of ``codecs``.

    Args:
        error: What could not be encoded.

    Returns:
        ASCII to write instead, a letter without its accent or else a question mark, and the place after it.

    Raises:
        UnicodeError: It is no error of encoding.
    """
    if not isinstance(error, UnicodeEncodeError):
        raise error
    plain = []
    for glyph in error.object[error.start : error.end]:
        known = _GLYPHS.get(glyph) or unicodedata.normalize("NFKD", glyph).encode("ascii", "ignore").decode()
        plain.append(known or "?")
    return "".join(plain), error.end


def write_what_can_be_written() -> None:
    """Let standard output and standard error write stand-ins from now on, whatever their encoding."""
    codecs.register_error(HANDLER, stand_in)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=HANDLER)

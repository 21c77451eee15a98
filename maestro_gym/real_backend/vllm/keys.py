"""The keys of servers: where they come from, and that no word of a server carries one into a log or an error.

A server may repeat the key that it was sent, by mistake or on purpose, in an error, a version or the name of a model.
Whatever is read of it is therefore searched for all keys of this process, as they are and as JSON, URLs and base64
write them.
"""

from __future__ import annotations

import base64
import json
import os
import re
from urllib.parse import quote

from maestro_gym.core.errors import MaestroError

HIDDEN = "[key]"
"""What stands where a key was."""

_FORM = re.compile(r"[\x21-\x7e]{4,4096}")

_written: set[str] = set()  # every way in which a key of this process may be written


def read_key(variable: str) -> str:
    """Read a key; from now on it is hidden.

    Args:
        variable: The environment variable that holds it.

    Raises:
        MaestroError: There is none, or it cannot stand in a header.
    """
    key = os.environ.get(variable)
    if not key:
        raise MaestroError(f"The environment variable {variable}, named in the fleet file, holds the key; set it.")
    if not _FORM.fullmatch(key):
        raise MaestroError(
            f"The environment variable {variable} holds no key: one has 4 to 4096 letters, digits and signs of ASCII, "
            "without blanks."
        )
    plain = base64.b64encode(key.encode()).decode()
    _written.update((key, json.dumps(key)[1:-1], quote(key, safe=""), plain, plain.rstrip("=")))
    return key


def hide_keys(text: str) -> str:
    """A text without the keys that were read, however they are written in it."""
    for written in sorted(_written, key=len, reverse=True):
        text = text.replace(written, HIDDEN)
    return text

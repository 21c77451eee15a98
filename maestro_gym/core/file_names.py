"""A name that somebody chose, as the name of a file or a folder: the one place where that is done."""

from __future__ import annotations

import hashlib
import re

_LONGEST = 80
_DIGITS = 8
_OTHER = re.compile(r"[^A-Za-z0-9._-]+")
_JOINED = str.maketrans("+@", "--")
_RESERVED = re.compile(r"(?i)(con|prn|aux|nul|com\d|lpt\d)(\..*)?")


def file_name(name: str) -> str:
    """A name with nothing in it that could leave a folder, or that some system cannot hold.

    Names of letters, digits, dots, dashes and underscores stay as they are, and the ``+`` and ``@`` of a policy become
    dashes. Whatever else had to go is told by a few digits of a hash, so that two names never meet in one file.

    Args:
        name: Of a policy, a scenario, a fleet, a model, as its file says it.

    Returns:
        Up to 80 signs, one at least; neither a path nor hidden.
    """
    plain = name.translate(_JOINED)
    kept = _OTHER.sub("-", plain).strip(".-")
    if _RESERVED.fullmatch(kept) or not kept:
        kept = f"name-{kept}".rstrip("-")
    if kept == plain and len(kept) <= _LONGEST:
        return kept
    digits = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:_DIGITS]
    return f"{kept[: _LONGEST - _DIGITS - 1]}-{digits}"

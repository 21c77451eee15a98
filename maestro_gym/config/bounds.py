"""Upper limits that mean something, by unit, and the numbers of which lists and tables of a configuration are made.

They are far beyond any machine or workload that there is, and far below where arithmetic overflows or memory ends: a
number outside is a slip of the pen or of the unit. A field of its own nature has its limits beside it.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

LONGEST_S = 1e8
"""Longest time [s]: three years."""

LONGEST_WAIT_S = 3600.0
"""Longest wait for an answer, a load or a launch [s]."""

MOST_GB = 1e6
"""Most memory of anything [GB]."""

MOST_USD_PER_H = 1e4
"""Highest price of one GPU [USD/h]."""

MOST_BYTES_PER_S = 1e16
"""Fastest transfer [bytes/s]."""

FREE_BYTES_PER_S = 1e30
"""A link between clusters on which nothing takes time [bytes/s]."""

MOST_TOKENS = 2**24
"""Longest text [tokens]: no engine takes a longer context, and sums over calls stay far from int64."""

MOST_RPS = 1e6
"""Fastest arrivals [1/s]."""

MOST_LOAD = 1000.0
"""Highest offered load, relative to the capacity."""

MOST_SEED = 2**53
"""Largest seed of an episode: an integer that JSON keeps."""

MOST_SEEDS = 100_000
"""Most seeds of an evaluation."""

MOST_LEARNER_SEED = 2**31 - 1
"""Largest seed of a training or a search: what learning libraries take."""

MOST_STEPS = 10**12
"""Most decisions of a training."""

Name = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+$")]
"""What is called by a name: on one line, without signs that steer a terminal."""

Chance = Annotated[float, Field(ge=0, le=1)]
Weight = Annotated[float, Field(ge=0, le=1e12)]
"""A relative share or rate, which may be 0."""
Seed = Annotated[int, Field(ge=0, le=MOST_SEED)]
Width = Annotated[int, Field(gt=0, le=2**16)]
LatencyS = Annotated[float, Field(ge=0, le=LONGEST_WAIT_S)]
LinkBytesPerS = Annotated[float, Field(ge=1, le=FREE_BYTES_PER_S)]
Amount = Annotated[float, Field(ge=0, le=1e9)]
"""Tokens or seconds of a law."""
Change = Annotated[float, Field(ge=-1e9, le=1e9)]
"""Tokens or seconds of a law that may take away, as of a context that shrinks."""
Free = Annotated[float, Field(ge=-1e15, le=1e15)]
"""A number of a rule, whose meaning the rule knows."""
FreeInt = Annotated[int, Field(ge=-(10**15), le=10**15)]

"""Options that many verbs of the command line share, so that they are spelled and explained alike."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Overrides = Annotated[
    list[str] | None,
    typer.Argument(metavar="PLACE=VALUE", help="Settings to change, such as workload.load=0.9", show_default=False),
]
ScenarioName = Annotated[
    str, typer.Option("--scenario", "-s", help="A name in configs/scenarios, or the path of a YAML file.")
]
Contention = Annotated[
    str | None,
    typer.Option(
        "--contention",
        "-c",
        help="The contention: low, medium or high, an offered load of 0.5, 0.8 or 1.1 times the capacity.",
    ),
]
Trust = Annotated[
    bool,
    typer.Option(
        "--trust",
        help="Load model files that can run code of whoever wrote them: .zip of Stable-Baselines3, .pt of "
        "TorchScript, and numbers of a rule in a Python file.",
    ),
]
JsonFile = Annotated[
    Path | None, typer.Option("--json", metavar="FILE", help="Also write what is printed as JSON, with the same names.")
]

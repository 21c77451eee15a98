"""Options that many verbs of the command line share, so that they are spelled and explained alike."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

LOCAL = "local"
"""Where episodes run unless told otherwise, as `maestro_gym.evaluation.workers.choose` calls it."""

Overrides = Annotated[
    list[str] | None,
    typer.Argument(metavar="PLACE=VALUE", help="Settings to change, such as workload.load=0.9", show_default=False),
]
ScenarioName = Annotated[
    str, typer.Option("--scenario", "-s", help="A name in configs/scenarios, or the path of a YAML file.")
]
CONTENTION_HELP = (
    "The contention: low, medium, high or overload, which is 0.5, 0.8, 1.1 or 1.5 of the knee or of the capacity, as "
    "`maestro-gym describe` says."
)
Contention = Annotated[str | None, typer.Option("--contention", "-c", help=CONTENTION_HELP)]
Trust = Annotated[
    bool,
    typer.Option(
        "--trust",
        help="Load what can run code of whoever wrote it: .zip of Stable-Baselines3, .pt of TorchScript, and Python "
        "files that another file names, as companions, as the rule of its numbers or as the policy of a run; and start "
        "what a fleet file names in place of plain vLLM.",
    ),
]
Jobs = Annotated[
    int | None, typer.Option("--jobs", "-j", min=1, help="The number of processes.", show_default="usable cores")
]
On = Annotated[
    str,
    typer.Option(
        "--on",
        metavar="WHERE",
        help="Where episodes run: local (processes of this machine), ray (a Ray cluster that is started here and ended "
        "with the verb), or the address of a Ray cluster, such as ray://head:10001 (docs/scale_out.md).",
    ),
]
Overwrite = Annotated[
    bool,
    typer.Option(
        "--overwrite", help="Put this run in the place of an earlier one in its folder, whose files are removed."
    ),
]
Perfetto = Annotated[
    Path | None,
    typer.Option(
        "--perfetto",
        metavar="FILE",
        help="Also write the episode in Chrome's trace event format, which ui.perfetto.dev opens: nodes, engines, "
        "stages, loads, KV memory and queues by time. A name that ends in .gz is compressed.",
    ),
]
Wide = Annotated[bool, typer.Option("--wide", help="Print all columns of the table, and not only the first four.")]
JsonFile = Annotated[
    Path | None, typer.Option("--json", metavar="FILE", help="Also write what is printed as JSON, with the same names.")
]

"""The verb that hands a trained policy to other programs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from maestro_gym.cli.console import dotted_overrides, output, write_json
from maestro_gym.cli.options import JsonFile, Overrides, Trust
from maestro_gym.core.errors import MaestroError


def export(
    policy: Annotated[
        str,
        typer.Argument(metavar="RUN|MODEL.zip", help="The folder of a training run, or a model of Stable-Baselines3."),
    ],
    overrides: Overrides = None,
    onnx: Annotated[bool, typer.Option("--onnx", help="Write an ONNX file, with the action masks inside.")] = False,
    safetensors: Annotated[
        bool, typer.Option("--safetensors", help="Write the weights of a run into its folder as policy.safetensors.")
    ] = False,
    scenario: Annotated[
        str | None,
        typer.Option(
            "--scenario",
            "-s",
            help="The scenario on whose observations the ONNX file is checked.",
            show_default="the run's own, else quick",
        ),
    ] = None,
    trust: Trust = False,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", "-o", metavar="FILE", help="The ONNX file.", show_default="policy.onnx in the run, MODEL.onnx"
        ),
    ] = None,
    json_file: JsonFile = None,
) -> None:
    """Write a trained policy as ONNX or as safetensors, for other programs and for `compare` without trust.

    The ONNX file takes candidates (N, A, F), context (N, G) and mask (N, A), and gives action (N) and logits (N, A). It
    is compared with torch on the observations of episodes, and not left behind when it decides otherwise.

    Example: maestro-gym export runs/MY_RUN --onnx --safetensors

    Example: maestro-gym export model.zip --onnx --trust -s paper
    """
    if not onnx and not safetensors:
        raise MaestroError("Say what to write: --onnx, --safetensors, or both.")
    changes = dotted_overrides(overrides)
    from maestro_gym.agents.foreign.model_spec import is_model_spec
    from maestro_gym.agents.policy_file import save_safetensors

    console, written = output(), {}
    if safetensors:
        if is_model_spec(policy):
            raise MaestroError(f"--safetensors writes the weights of a training run's folder; {policy} is a model.")
        written["safetensors"] = save_safetensors(Path(policy))
        console.print(f"Weights: {written['safetensors']}", highlight=False, soft_wrap=True)
    if onnx:
        from maestro_gym.agents.onnx_export import export_onnx, exportable
        from maestro_gym.agents.run_folder import CONFIG_FILE
        from maestro_gym.episodes.scenario import Scenario

        source = exportable(policy, trust=trust)
        own = Path(policy) / CONFIG_FILE
        checked_on = Scenario.load(scenario or (str(own) if own.is_file() else "quick"), changes)
        path = out or (
            Path(policy) / "policy.onnx" if Path(policy).is_dir() else Path(source.card.file).with_suffix(".onnx")
        )
        exported = export_onnx(source, checked_on, path)
        written |= {
            "onnx": exported.path,
            "observations": exported.observations,
            "largest_difference": exported.largest_difference,
        }
        console.print(
            f"ONNX: {exported.path}\nThe same decision as torch at each of {exported.observations:,} observations of "
            f"{checked_on.config.name}; logits differ by {exported.largest_difference:.1e} at most, relative to the "
            "largest.",
            highlight=False,
            soft_wrap=True,
        )
    write_json(json_file, {"command": "export", "policy": policy, **written})


def register(app: typer.Typer) -> None:
    """Add the verb to the program."""
    app.command()(export)

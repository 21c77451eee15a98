"""What `maestro-gym serve-sim` is told, turned into the scenario of one node."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from maestro_gym.config import ScenarioConfig, hint
from maestro_gym.config.catalogue import Catalogue, load_catalogue
from maestro_gym.core.errors import MaestroError
from maestro_gym.serving.node_scenario import Deployed, node_scenario
from maestro_gym.workloads import BY_POPULARITY, read_trace

COMMAND = "serve-sim"
_LAW_KEYS = ("median", "sigma", "low", "high")


def node_of_words(
    models: Sequence[str],
    *,
    gpu: str,
    host: str,
    tp: int,
    model_files: Sequence[Path],
    limits: Mapping[str, Any],
    rate_rps: float | None,
    load: float | None,
    trace: Path | None,
    duration_s: float,
    lengths: Mapping[str, str],
    prefix_groups: int,
    cv: float,
    overrides: Sequence[str],
) -> ScenarioConfig:
    """Compose the scenario that the words of a command line ask for.

    Args:
        models: Each ``NAME`` or ``NAME=SHARE``; names of the catalogue, their aliases, or of the model files.
        gpu: Name in the catalogue, or a YAML file.
        host: Name in the catalogue, or a YAML file.
        tp: GPUs of the node.
        model_files: YAML files of further models by name.
        limits: Keys of ``LimitsConfig``; None keeps a default.
        rate_rps: Requests a second; one of rate, load and trace is given.
        load: Offered load relative to capacity.
        trace: Trace file, replayed whole.
        duration_s: Drawn requests arrive for so long.
        lengths: Keys of ``RequestsConfig`` to ``MEDIAN[:SIGMA[:LOW:HIGH]]``.
        prefix_groups: Distinct shared prefixes.
        cv: Coefficient of variation of the arrival gaps.
        overrides: ``a.b.c=value``.

    Returns:
        The scenario.

    Raises:
        MaestroError: A word is wrong, or the models do not fit the node.
    """
    if sum(given is not None for given in (rate_rps, load, trace)) != 1:
        raise MaestroError(f"{COMMAND}: give --rate, --load or --trace, one of the three, to say what arrives.")
    is_file = gpu.endswith((".yaml", ".yml"))
    label = Path(gpu).stem if is_file else gpu
    catalogue = load_catalogue(model_files, [f"{label}={gpu}"] if is_file else (), host)
    known = catalogue.gpu(label)
    if known is None:
        raise MaestroError(f"--gpu {gpu}: is not in the catalogue. {hint(gpu, catalogue.gpus)}")
    deployed = [_deployed(word, catalogue) for word in models]
    if trace is not None:
        horizon_s = 1.0 + float(read_trace(trace).workflows["arrival_s"][-1])
        others = deployed[0].name if len(deployed) == 1 else BY_POPULARITY
        workload: dict[str, Any] = {"trace": str(trace), "trace_arrivals": "own", "model_map": {"*": others}}
    else:
        horizon_s = duration_s
        arrivals = {"process": "gamma", "cv": cv} if cv != 1.0 else {}
        laws = {name: _law(name, text) for name, text in lengths.items()}
        rate = {"rate_rps": rate_rps} if load is None else {"load": load}
        workload = {"requests": {**laws, "prefix_groups": prefix_groups}, "arrivals": arrivals, **rate}
    return node_scenario(
        deployed,
        catalogue.machine(known),
        tp=tp,
        limits={key: value for key, value in limits.items() if value is not None},
        workload=workload,
        horizon_s=horizon_s,
        gpu_name=known,
        overrides=overrides,
        place=COMMAND,
    )


def _deployed(word: str, catalogue: Catalogue) -> Deployed:
    name, equals, text = word.partition("=")
    try:
        share = float(text) if equals else 1.0
    except ValueError:
        share = -1.0
    if not 0 < share < float("inf"):
        raise MaestroError(f"--model {word}: write NAME or NAME=SHARE, the share a number above 0.")
    architecture = catalogue.model(name)
    if architecture is None:
        raise MaestroError(
            f"--model {name}: is not in the catalogue. {hint(name, catalogue.model_names)} Other models are described "
            "in a YAML file, given by --models."
        )
    return Deployed(name, architecture, share)


def _law(name: str, text: str) -> dict[str, float]:
    option = "--" + name.removesuffix("_tokens")
    try:
        numbers = [float(part) for part in text.split(":")]
    except ValueError:
        numbers = []
    if len(numbers) not in (1, 2, 4):
        raise MaestroError(
            f"{option} {text}: write TOKENS, or MEDIAN:SIGMA of a lognormal law, or MEDIAN:SIGMA:LOW:HIGH, "
            f"for example {option} 512:0.8:16:8192."
        )
    return dict(zip(_LAW_KEYS, numbers, strict=False))

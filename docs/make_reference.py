"""Write what the code knows about itself into docs.

These are the pages of baselines, command line, environments and metrics. Run by ``make docs``.
"""

import importlib
import inspect
import os
from pathlib import Path

DOCS = Path(__file__).resolve().parent
NOTICE = "<!-- Written by `make docs`; do not edit by hand. -->\n"


def command_line() -> str:
    """The help of every verb, as the terminal shows it."""
    os.environ.update(COLUMNS="100", NO_COLOR="1")
    from typer.testing import CliRunner

    from maestro_gym.cli.app import app

    runner = CliRunner()
    parts = [f"# Command line\n\n{NOTICE}"]
    verbs = [command.name or command.callback.__name__ for command in app.registered_commands if command.callback]
    for group in app.registered_groups:
        inside = group.typer_instance.registered_commands if group.typer_instance else []
        names = [command.name or command.callback.__name__ for command in inside if command.callback]
        verbs += [f"{group.typer_instance.info.name} {name}".strip() for name in ("", *names)]
    for verb in ("", *sorted(verbs)):
        words = [*verb.split(), "--help"]
        lines = [line.rstrip() for line in runner.invoke(app, words, prog_name="maestro-gym").output.splitlines()]
        title = f"maestro-gym {verb}".strip()
        parts.append(f"## {title}\n\n```text\n" + "\n".join(lines).strip("\n") + "\n```\n")
    return "\n".join(parts)


def environments() -> str:
    """The docstring of every registered environment: it is the environment's page."""
    import gymnasium

    import maestro_gym  # noqa: F401 - registers the ids
    from maestro_gym.real_backend.envs.live_envs import LiveEnv

    parts = [f"# Environments\n\n{NOTICE}"]
    for name, spec in gymnasium.registry.items():
        if not name.startswith("Maestro/") or name.startswith("Maestro/Live-"):
            continue
        entry = spec.entry_point
        if isinstance(entry, str):
            module, _, attribute = entry.partition(":")
            entry = getattr(importlib.import_module(module), attribute)
        parts.append(_page(name, entry))
    parts.append(_page("Maestro/Live-Node-v0, Live-Cluster-v0, Live-Global-v0, Live-Joint-v0", LiveEnv))
    return "\n".join(parts)


def _page(name: str, entry: object) -> str:
    """A class docstring under a heading, its own headings one level below."""
    return f"## {name}\n\n" + (inspect.getdoc(entry) or "").replace("\n## ", "\n### ") + "\n"


def main() -> None:
    """Write all pages."""
    from maestro_gym.baselines.baseline_docs import baselines_markdown
    from maestro_gym.evaluation.metrics.page import metrics_markdown

    pages = {
        "baselines.md": baselines_markdown(),
        "command_line.md": command_line(),
        "environments.md": environments(),
        "metrics.md": metrics_markdown(),
    }
    for name, text in pages.items():
        (DOCS / name).write_text(text.rstrip() + "\n", encoding="utf-8")
        print(f"wrote docs/{name}")


if __name__ == "__main__":
    main()

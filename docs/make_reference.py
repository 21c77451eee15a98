"""Write what the code knows about itself into docs: ``make docs``, or ``python docs/make_reference.py [PAGE...]``.

These are the pages of baselines, command line, configuration, environments, live metrics, metrics and the shaped
family; without a name all are written.
"""

import argparse
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
        if group.typer_instance is None:
            continue
        inside = group.typer_instance.registered_commands
        names = [command.name or command.callback.__name__ for command in inside if command.callback]
        # A group has its name from where it is joined, or from where it is made.
        own = group.name if isinstance(group.name, str) else group.typer_instance.info.name
        verbs += [f"{own} {name}".strip() for name in ("", *names)]
    for verb in ("", *sorted(verbs)):
        words = [*verb.split(), "--help"]
        lines = [line.rstrip() for line in runner.invoke(app, words, prog_name="maestro-gym").output.splitlines()]
        title = f"maestro-gym {verb}".strip()
        parts.append(f"## {title}\n\n```text\n" + "\n".join(lines).strip("\n") + "\n```\n")
    return "\n".join(parts)


def environments() -> str:
    """The pages of the simulated environments, and the docstring of the live ones."""
    from maestro_gym.envs.pages import environments_markdown, lowered
    from maestro_gym.real_backend.envs.live_envs import LiveEnv
    from maestro_gym.registration import ENVIRONMENTS, TIERS, env_id

    simulated = {}
    for tier in TIERS:
        module, _, name = ENVIRONMENTS[env_id(tier)]["entry_point"].partition(":")
        simulated[env_id(tier)] = getattr(importlib.import_module(module), name)
    live = lowered(inspect.getdoc(LiveEnv) or "")
    return (
        f"# Environments\n\n{NOTICE}\n{environments_markdown(simulated)}\n"
        f"## Maestro/Live-Node-v0, Live-Cluster-v0, Live-Global-v0, Live-Joint-v0\n\n{live}"
    )


def baselines() -> str:
    """The table of the policies and the sources of their rules."""
    from maestro_gym.baselines.baseline_docs import baselines_markdown

    return baselines_markdown()


def live_metrics() -> str:
    """Every metric that a live run tells Prometheus."""
    from maestro_gym.real_backend.prometheus.exported import exported_markdown

    return exported_markdown()


def metrics() -> str:
    """The definition of every metric."""
    from maestro_gym.episodes.metrics.page import metrics_markdown

    return metrics_markdown()


def shaped() -> str:
    """Every number of the shaped family."""
    from maestro_gym.baselines.shaped.page import shaped_markdown

    return f"# The numbers of the shaped family\n\n{NOTICE}\n{shaped_markdown()}"


def configuration() -> str:
    """Every setting of every file."""
    from maestro_gym.config.page import configuration_markdown

    return f"# Configuration\n\n{NOTICE}\n{configuration_markdown()}"


PAGES = {
    "baselines": baselines,
    "command_line": command_line,
    "configuration": configuration,
    "environments": environments,
    "live_metrics": live_metrics,
    "metrics": metrics,
    "shaped": shaped,
}


def main() -> None:
    """Write the pages that the command line names, all without one: ``python docs/make_reference.py environments``."""
    parser = argparse.ArgumentParser(description=" ".join(__doc__.split()))
    parser.add_argument("pages", nargs="*", metavar="PAGE", help=f"a page to write: {', '.join(PAGES)}")
    asked = parser.parse_args().pages
    if unknown := sorted(set(asked) - set(PAGES)):
        parser.error(f"there is no page {', '.join(unknown)}; the pages are {', '.join(PAGES)}")
    for name in asked or PAGES:
        (DOCS / f"{name}.md").write_text(PAGES[name]().rstrip() + "\n", encoding="utf-8")
        print(f"wrote docs/{name}.md")


if __name__ == "__main__":
    main()

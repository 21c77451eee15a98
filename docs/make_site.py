"""Build the site of the docs: ``make docs``, or ``python docs/make_site.py [--out FOLDER] [--run-notebooks]``.

The pages are laid out in ``FOLDER/pages`` as they lie in the repository, so that a link between two files is right on
GitHub and on the site. Notebooks become pages there, and so does each module of the API that the navigation of
``mkdocs.yml`` names as ``docs/api/NAME.md``. Zensical then builds them into ``FOLDER/site``. A link or an anchor that
leads nowhere is an error, in the sources and in what was built.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from docs.notebook_pages import write_pages  # noqa: E402
from docs.site_links import broken_links  # noqa: E402

API = "docs/api/"
FILES = (
    "README.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    "LICENSE",
    "docs/**/*.md",
    "docs/**/*.png",
    "docs/**/*.mp4",
    "docs/*.css",
    "examples/*.py",
    "examples/*.yaml",
    "benchmarks/records/**/*.json",
)
"""What the site shows, or links to, below the root of the repository."""


def settings() -> dict[str, Any]:
    """The settings of the site, as ``mkdocs.yml`` holds them."""
    return yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))


def nav_pages(nav: list[Any]) -> Iterator[str]:
    """Every page of a navigation, in its order."""
    for entry in nav:
        for target in entry.values() if isinstance(entry, dict) else (entry,):
            yield from (target,) if isinstance(target, str) else nav_pages(target)


def api_modules(nav: list[Any]) -> list[str]:
    """The modules that the navigation gives a page of the API, such as ``maestro_gym.envs``."""
    pages = (page.removeprefix(API).removesuffix(".md") for page in nav_pages(nav) if page.startswith(API))
    return [f"maestro_gym.{name}" for name in pages if name != "index"]


def lay_out(pages: Path, nav: list[Any]) -> None:
    """Put every page and file of the site into a folder, as they lie in the repository.

    Args:
        pages: The folder; what it held is removed.
        nav: The navigation of the site.
    """
    shutil.rmtree(pages, ignore_errors=True)
    for pattern in FILES:
        for file in sorted(ROOT.glob(pattern)):
            place = pages / file.relative_to(ROOT)
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, place)
    api = pages / API
    api.mkdir(parents=True)
    links = []
    for module in api_modules(nav):
        page = f"{module.removeprefix('maestro_gym.')}.md"
        (api / page).write_text(f"# {module}\n\n::: {module}\n", encoding="utf-8")
        links.append(f"- [`{module}`]({page})")
    head = "What you import from these packages stays where it is ([public names](../learners.md#public-names))."
    (api / "index.md").write_text("\n".join(["# API", "", head, "", *links, ""]), encoding="utf-8")


def build(out: Path, *, run_notebooks: bool) -> int:
    """Lay the pages out, build them, and check the links of what was built.

    Args:
        out: The folder that gets ``pages``, ``site`` and ``mkdocs.yml``, the settings with these folders.
        run_notebooks: Whether pages of notebooks show what these print and draw.

    Returns:
        0, or 1 where a link leads nowhere; what is wrong is printed.
    """
    site = settings()
    lay_out(out / "pages", site["nav"])
    write_pages(out / "pages", run=run_notebooks)
    python = next(entry["mkdocstrings"] for entry in site["plugins"] if "mkdocstrings" in entry)["handlers"]["python"]
    python["paths"] = [str(ROOT)]
    document = yaml.safe_dump(site | {"docs_dir": "pages", "site_dir": "site"}, sort_keys=False)
    (out / "mkdocs.yml").write_text(document, encoding="utf-8")
    command = [sys.executable, "-m", "zensical", "build", "--strict", "--clean", "--config-file", "mkdocs.yml"]
    if subprocess.run(command, cwd=out, check=False).returncode:
        return 1
    broken = broken_links(out / "site")
    print("\n".join(f"leads nowhere: {link}" for link in broken) or f"the site is in {out / 'site'}")
    return 1 if broken else 0


def main() -> None:
    """Build the site into the folder that the command line names; exits with 1 where a link leads nowhere."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--out", type=Path, default=ROOT / "build", help="folder of pages and site (default: build)")
    parser.add_argument("--run-notebooks", action="store_true", help="show what the notebooks print and draw (minutes)")
    words = parser.parse_args()
    sys.exit(build(words.out.resolve(), run_notebooks=words.run_notebooks))


if __name__ == "__main__":
    main()

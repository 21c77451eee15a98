"""The site of the docs: every page has its place, and no link of what is built leads nowhere."""

import subprocess
import sys
from pathlib import Path

from docs.make_site import api_modules, nav_pages, settings
from docs.notebook_pages import NOTEBOOKS
from docs.site_links import broken_links
from maestro_gym.config.page import configuration_markdown
from tests.test_public_names import documented_packages

ROOT = Path(__file__).resolve().parents[2]
NAV = settings()["nav"]


def test_every_page_of_the_docs_has_one_place_in_the_navigation() -> None:
    pages = [page for page in nav_pages(NAV) if not page.startswith(("docs/api/", NOTEBOOKS))]
    there = {path.relative_to(ROOT).as_posix() for path in (ROOT / "docs").rglob("*.md")}
    assert sorted(pages) == sorted(there | {"README.md", "CONTRIBUTING.md", "CHANGELOG.md"})


def test_every_notebook_has_a_page() -> None:
    pages = [page for page in nav_pages(NAV) if page.startswith(NOTEBOOKS)]
    there = [path.relative_to(ROOT).with_suffix(".md").as_posix() for path in (ROOT / NOTEBOOKS).glob("*.ipynb")]
    assert sorted(pages) == sorted(there)


def test_every_public_package_has_a_page_of_the_api() -> None:
    pages = api_modules(NAV)
    registering = {"maestro_gym", "maestro_gym.v1"}  # importing them is all that they are for
    for package in documented_packages() - registering:
        assert any(page == package or page.startswith(f"{package}.") for page in pages), package


def test_the_configuration_page_is_current() -> None:
    page = (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")
    assert page.endswith(configuration_markdown().rstrip() + "\n"), "run: python docs/make_reference.py configuration"


def test_a_link_that_leads_nowhere_is_found(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "index.html").write_text('<h1 id="here">Other</h1><a href="#gone">x</a>')
    links = ("other/", "other/#here", "other/#there", "missing/", "picture.png", "https://example.org/", "#")
    (tmp_path / "index.html").write_text("".join(f'<a href="{link}">x</a>' for link in links))
    found = {line.partition(": ")[2] for line in broken_links(tmp_path)}
    assert found == {"other/#there", "missing/", "picture.png", "#gone"}


def test_the_site_builds_and_no_link_or_anchor_leads_nowhere(tmp_path: Path) -> None:
    command = [sys.executable, str(ROOT / "docs" / "make_site.py"), "--out", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / "site" / "index.html").is_file()
    page = (tmp_path / "site" / "docs" / "api" / "evaluation" / "index.html").read_text(encoding="utf-8")
    assert "run_compare" in page

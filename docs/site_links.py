"""The links of a built site, checked in its HTML: what the builder cannot see, such as links of API pages, too."""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit


class _Page(HTMLParser):
    """The anchors of a page, and what it points at."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.anchors, self.targets = set[str](), list[str]()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Take an element's id, its name where it is a link, its ``href`` and its ``src``."""
        for name, value in attrs:
            if value and (name == "id" or (tag == "a" and name == "name")):
                self.anchors.add(value)
            elif value and name in ("href", "src"):
                self.targets.append(value)


def broken_links(site: Path) -> list[str]:
    """Links between the pages of a site that lead nowhere.

    Args:
        site: The folder of the built site. Its page for addresses that do not exist is left out: a server shows it at
            any depth, so its links begin at the server's root.

    Returns:
        A line for each: the page, and what it points at. Links to other machines are not asked.
    """
    pages = {
        path.resolve(): _Page(path.read_text(encoding="utf-8"))
        for path in sorted(site.rglob("*.html"))
        if path.name != "404.html"
    }
    broken = []
    for place, page in pages.items():
        for target in page.targets:
            parts = urlsplit(target)
            if parts.scheme or parts.netloc:
                continue
            file = (place.parent / unquote(parts.path)).resolve() if parts.path else place
            file = file / "index.html" if file.is_dir() else file
            anchor = unquote(parts.fragment)
            if not file.is_file() or (anchor and file in pages and anchor not in pages[file].anchors):
                broken.append(f"{place.relative_to(site.resolve())}: {target}")
    return broken

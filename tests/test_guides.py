"""Whoever looks for a guide finds it."""

import re
from pathlib import Path


def test_the_index_names_every_guide_and_nothing_else(root: Path) -> None:
    """A guide that is not in the index is found by nobody."""
    guides = root / "docs" / "guides"
    named = re.findall(r"\]\(([a-z-]+\.md)\)", (guides / "README.md").read_text(encoding="utf-8"))

    assert sorted(named) == sorted(file.name for file in guides.glob("[a-z]*.md"))


def test_every_link_of_a_guide_or_a_distribution_leads_to_a_file(root: Path) -> None:
    """Relative to the page that it is on; what follows a # is not looked at."""
    pages = [*root.glob("docs/guides/*.md"), *root.glob("packages/*/README.md")]
    links = [
        (page, target)
        for page in pages
        for target in re.findall(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8"))
    ]

    assert links
    assert [] == [
        f"{page.relative_to(root)}: {target}" for page, target in links if not (page.parent / target).exists()
    ]

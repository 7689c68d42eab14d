"""The documents are true: no bare-name install, every README is doctested, links lead somewhere."""

import re
from pathlib import Path

FAMILY = r"common-(?:core|dynamo|auth|observability)"
BARE_INSTALL = re.compile(
    rf"(?:pip install|uv add|uv pip install|poetry add)[^\n`]*(?<![\w./-]){FAMILY}(?![\w/.-]|\s*@)"
)
LINK = re.compile(r"\]\((?!https?://|#|mailto:)([^)#\s]+)")


def pages(tracked: tuple[Path, ...]) -> list[Path]:
    """Return the tracked Markdown files."""
    return [file for file in tracked if file.suffix == ".md"]


def test_nothing_installs_a_distribution_by_its_bare_name(root: Path, tracked: tuple[Path, ...]) -> None:
    """The name on the public index belongs to a stranger: no text or source shows an install by bare name."""
    found = [
        f"{file.relative_to(root)}: {match.group()}"
        for file in tracked
        if file != Path(__file__)
        for match in BARE_INSTALL.finditer(file.read_text(encoding="utf-8", errors="replace"))
    ]

    assert [] == found


def test_no_second_index_is_shown(root: Path, tracked: tuple[Path, ...]) -> None:
    """A second index beside the public one is never shown: the highest version would win."""
    option = "--extra-" + "index-url"

    assert [] == [file for file in tracked if option in file.read_text(encoding="utf-8", errors="replace")]


def test_every_readme_has_a_doctest(root: Path) -> None:
    """Each distribution's README, and the root's, holds an example that runs."""
    readmes = [root / "README.md", *root.glob("packages/*/README.md"), *root.glob("examples/acme-plugin/README.md")]

    assert [] == [readme for readme in readmes if ">>>" not in readme.read_text(encoding="utf-8")]


def test_the_tour_has_at_most_fifteen_lines(root: Path) -> None:
    """The tour in the root README stays short enough to be read."""
    tour = re.findall(r"^(?:>>>|\.\.\.) .*\S", (root / "README.md").read_text(encoding="utf-8"), re.MULTILINE)

    assert 1 <= len(tour) <= 15


def test_relative_links_lead_to_files(root: Path, tracked: tuple[Path, ...]) -> None:
    """Every relative link of a Markdown page points at something that is there."""
    broken = [
        f"{page.relative_to(root)} -> {target}"
        for page in pages(tracked)
        for target in LINK.findall(page.read_text(encoding="utf-8"))
        if not (page.parent / target).exists()
    ]

    assert [] == broken

"""The README promises two commands; the default environments stay quick."""

import configparser
import re
from pathlib import Path


def test_the_readme_shows_exactly_the_two_commands_first(root: Path) -> None:
    """The first code block of the README is the two commands."""
    blocks = re.findall(
        r"^```\w*\n(.*?)^```", (root / "README.md").read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE
    )
    commands = [line.partition("#")[0].strip() for line in blocks[0].splitlines()]

    assert ["pip install uv && uv run exchange", "pip install tox && tox"] == commands


def test_slow_environments_are_not_default(root: Path) -> None:
    """Long fault runs and benchmarks are environments of their own, outside the default list."""
    config = configparser.ConfigParser(interpolation=None)
    config.read(root / "tox.ini")
    default = set(re.split(r"[,\s]+", config["tox"]["env_list"]))

    assert set() == default & {"faults", "bench", "torture"}


def test_ci_runs_the_same_command_and_installs_the_engine(root: Path) -> None:
    """``.ci/run`` runs tox as the README does, and fails where the second engine is missing."""
    script = (root / ".ci" / "run").read_text(encoding="utf-8")

    assert re.search(r"/pip\" install .*tox", script)
    assert re.search(r"^\S*tox\b", script, re.MULTILINE)
    assert "COMMON_TEST_REQUIRE_ENGINES=1" in script


def test_ci_requires_a_browser_and_installs_it(root: Path) -> None:
    """``.ci/run`` fails where no browser is, and gets one from the distribution's packages; a plain run skips."""
    script = (root / ".ci" / "run").read_text(encoding="utf-8")

    assert "COMMON_TEST_REQUIRE_BROWSER=1" in script
    assert re.search(r"apt-get install .*chromium chromium-driver", script)
    assert "browser" in re.split(r"[,\s]+", (root / "tox.ini").read_text(encoding="utf-8").partition("[dist]")[0])

"""The command ``bench`` measures what it says, and its page says what was measured."""

import json
import re
import subprocess
import sys
import tomllib
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from packaging.requirements import Requirement

from peer_benchmark import plot, table
from peer_benchmark.checking import WrongAnswer, check
from peer_benchmark.cli import main, parser
from peer_benchmark.environment import connect, create_table, set_variables
from peer_benchmark.peer import Place
from peer_benchmark.peers.boto3_client import Boto3Client
from peer_benchmark.results import Bound, Ratio, Results, holds
from peer_benchmark.works import BARE, BY_HAND, CPU_WORKS, OURS, ROWS, THREADS, WORKS

if TYPE_CHECKING:
    from common.dynamo.testing import Dynoxide

GET, QUERY = CPU_WORKS[0], CPU_WORKS[4]
SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture
def variables(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The environment variables of a run, taken back afterwards."""
    with monkeypatch.context() as patched:
        patched.setenv("AWS_REGION", "nowhere")
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_DEFAULT_REGION"):
            patched.setenv(name, "unset")
        for name in ("AWS_EC2_METADATA_DISABLED", "AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
            patched.setenv(name, "unset")
        set_variables()
        yield


def results() -> Results:
    """Return results of three rounds: ours takes a tenth of boto3's time for a get, and does six times as many in threads."""
    made = Results(
        setting={"date": "2026-11-24", "python": "3.11.7", "machine": "-", "rounds": 3, "seed": 1, "server": "-"}
    )
    for number in (1, 2, 3):
        made.add("get", BARE, 1000.0 * number)
        made.add("get", OURS, 100.0 * number)
        made.add(THREADS.name, BARE, 1000.0)
        made.add(THREADS.name, OURS, 6000.0)
    made.absent["pydynox"] = "not installed: pydynox"
    return made


def test_the_command_runs_end_to_end(dynoxide: "Dynoxide", tmp_path: Path) -> None:
    """A tiny round of ours and boto3 checks the answers, prints the table and writes page, plot and JSON."""
    options = ["--quick", "--peers", "common-direct,common-boto", "--rounds", "1"]
    places = ["--endpoint", dynoxide.endpoint_url, "--write", tmp_path, "--json", tmp_path / "all.json"]
    command = [sys.executable, "-m", "peer_benchmark.cli", *options, *places]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)

    assert 0 == done.returncode, done.stderr
    told = json.loads((tmp_path / "all.json").read_text())
    assert {work.name for work in WORKS} == set(told["ratios"])
    assert all({BARE, BY_HAND, "common-direct", "common-boto"} == set(rows) for rows in told["ratios"].values())
    assert "checking the answers of common-dynamo, direct" in done.stderr
    assert re.search(r"^common-dynamo, direct( +\d[\d.]+ \(.+?\)){10}$", done.stdout, re.MULTILINE)
    check_page(tmp_path)


def check_page(folder: Path) -> None:
    """Look whether page and plot below *folder* are well formed and tell the same works."""
    page = (folder / "benchmarks.md").read_text(encoding="utf-8")
    drawn = ET.fromstring((folder / plot_of(page)).read_text(encoding="utf-8"))
    tables = re.findall(r"(?:^\|.*\|\n)+", page, re.MULTILINE)
    widths = [{line.count("|") for line in one.splitlines()} for one in tables]
    titles = {element.text for element in drawn.iter(f"{SVG}text") if element.get("class") == "title"}

    assert all(1 == len(width) for width in widths)
    assert {work.title for work in WORKS} <= titles
    assert all(work.title in tables[0] for work in WORKS)
    assert all(re.match(r"[#|!\-\s]|.*[.:]$|\S.*\.$", line) for line in page.splitlines() if line)


def plot_of(page: str) -> str:
    """Return the path of the picture in a page."""
    found = re.search(r"!\[.+\]\((.+\.svg)\)", page)
    assert found is not None
    return found[1]


def test_the_page_of_the_repository_is_well_formed(root: Path) -> None:
    """The page that is committed has every work, and every peer was measured for it."""
    page = (root / "docs" / "benchmarks.md").read_text(encoding="utf-8")

    check_page(root / "docs")
    assert [] == [row.title for row in ROWS if f"| {row.title} |" not in page]
    assert "not installed" not in page


def test_a_ratio_is_taken_within_a_round() -> None:
    """What slows a whole round down changes no ratio; the median and the middle half of the rounds are told."""
    assert Ratio(0.1, 0.1, 0.1) == results().ratio(GET, OURS)
    assert results().ratio(QUERY, OURS) is None


def test_more_is_better_where_gets_are_counted() -> None:
    """A budget of time is an upper bound, one of gets per second a lower one."""
    assert holds(Bound(OURS, "get", 0.1), GET, 0.1)
    assert not holds(Bound(OURS, "get", 0.1), GET, 0.11)
    assert holds(Bound(OURS, THREADS.name, 5.0), THREADS, 6.0)
    assert not holds(Bound(OURS, THREADS.name, 5.0), THREADS, 4.9)
    assert [("get", 0.1), (THREADS.name, 6.0)] == [
        (bound.work, measured) for bound, _, measured in results().verdicts() if measured is not None
    ]


def test_a_peer_that_is_not_there_is_a_row_of_dashes_with_its_reason() -> None:
    """The table keeps the row of a peer that could not be installed, and says why below."""
    rows = {line[0]: line[1:] for line in table.ratio_table(results())}

    assert ["–", "–"] == rows["pydynox"]
    assert "pydynox: not installed: pydynox." in table.all_text(results())


def test_the_plot_is_readable_on_light_and_dark_pages() -> None:
    """One panel per work, a bar per measured row, its value beside it, and colours for both schemes."""
    drawn = ET.fromstring(plot.draw(results()))
    bars = [float(element.get("width", "0")) for element in drawn.iter(f"{SVG}rect")]

    assert 4 == len(bars)
    assert pytest.approx(10, rel=0.05) == bars[0] / bars[1]
    assert "prefers-color-scheme: dark" in plot.draw(results())


def test_an_answer_that_is_wrong_is_noticed_before_anything_is_timed(dynoxide: "Dynoxide", variables: None) -> None:
    """A peer that reads something else, or writes nothing, ends the run."""

    class Forgetful(Boto3Client):
        def get(self) -> Any:
            return {**super().get(), "total": {"N": "12.52"}}

    class Idle(Boto3Client):
        def put(self) -> Any:
            return None

    client = create_table(dynoxide.endpoint_url)
    row = ROWS[0]
    for kind, told in ((Forgetful, "get: total is"), (Idle, "put: note is")):
        peer = kind(Place(dynoxide.endpoint_url, row.name))
        peer.seed()
        with pytest.raises(WrongAnswer, match=told):
            check(row, peer, client)
        peer.close()
    client.close()


def test_fractions_are_exact_on_every_wire(dynoxide: "Dynoxide", variables: None) -> None:
    """What is measured of ours does all works, and gives back the numbers that were stored."""
    client = create_table(dynoxide.endpoint_url)
    for row in ROWS:
        if row.module == "ours" and not row.needs:
            peer = connect(row, dynoxide.endpoint_url)
            peer.seed()
            assert {} == check(row, peer, None if row.options["wire"] == "embedded" else client)
            peer.close()
    client.close()


def test_peers_are_nobody_elses_dependency(root: Path) -> None:
    """Each peer has a floor and a ceiling in a group of its own, which neither the command nor the family needs."""
    groups = tomllib.loads((root / "pyproject.toml").read_text())["dependency-groups"]
    own = tomllib.loads((root / "benchmarks" / "peers" / "pyproject.toml").read_text())["project"]["dependencies"]
    peers = [Requirement(line) for line in groups["peers"]]

    assert {"pynamodb", "dyntastic", "pydynox", "pydynantic", "aiodynamo"} <= {peer.name for peer in peers}
    assert [] == [str(one) for one in peers if sorted(part.operator for part in one.specifier) != ["<", ">="]]
    assert {"common-dynamo", "boto3", "pydantic"} == {Requirement(line).name for line in own}


def test_an_unknown_name_is_refused_with_those_that_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    """A typing error in a name ends the command before anything is started."""
    with pytest.raises(SystemExit, match="2"):
        main(["--peers", "pynamo"])

    told = capsys.readouterr().err
    assert "There is no pynamo; there are" in told
    assert all(row.name in "".join(parser().format_help().split()) for row in ROWS)

"""``common audit verify``, ``tail`` and ``query`` on the family's command line (auth A15)."""

import base64
import json
import os
import secrets
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from common.auth.security.audit_files import find_trails
from common.auth.security.audit_logger import AuditLogger
from common.auth.security.audit_settings import audit_logger
from common.auth.security.context import Claimed
from common.auth.security.keys import SigningKey
from common.core import Plugins, Settings
from common.core.audit import AuditOutcome
from common.core.cli import main

OK, FAILED = AuditOutcome.SUCCESS, AuditOutcome.FAILURE
Until = Callable[[Callable[[], object]], None]

KEY = base64.b64encode(secrets.token_bytes(32)).decode()


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    """Return the environment of a service with a trail, anchors and keys in files."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

    private = Ed25519PrivateKey.generate()
    pem = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    public = private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    (tmp_path / "public.pem").write_bytes(public)
    return {
        "COMMON_SERVICE_NAME": "orders",
        "COMMON_AUTH_PASSWORDS": "off",
        "COMMON_PLUGINS_ONLY": "",
        "COMMON_AUTH_AUDIT_FILE": str(tmp_path / "audit.jsonl"),
        "COMMON_AUTH_AUDIT_ANCHOR_FILE": str(tmp_path / "audit.anchors"),
        "COMMON_AUTH_AUDIT_ANCHOR_KEY": pem.replace("\n", "\\n"),
        "COMMON_AUTH_AUDIT_ANCHOR_KEYS": str(tmp_path / "public.pem"),
        "COMMON_AUTH_AUDIT_KEY": KEY,
    }


def service_logger(environ: dict[str, str]) -> AuditLogger:
    """Make the logger of the service, as the service does."""
    settings = Settings.from_environment(environ)
    plugins = Plugins()
    plugins.load(settings)
    return audit_logger(settings, plugins)


@pytest.fixture
def trail(environ: dict[str, str]) -> Path:
    """Write a trail of six events and its end; return the file."""
    audit = service_logger(environ)
    audit.emit("authn_login_success", outcome=OK, actor="u-ada")
    audit.emit("authn_login_fail", outcome=FAILED, actor=Claimed("ada"), reason="wrong_password")
    audit.emit("user_created", outcome=OK, actor="u-root", subject="u-ada")
    audit.emit("authz_fail", outcome=FAILED, actor="u-bob", path="/a b\x1b[31m", method="GET")
    audit.emit("user_created", outcome=FAILED, actor="u-root", subject="u-eve")
    audit.emit("authn_login_success", outcome=OK, actor="u-eve")
    assert audit.close(10).complete
    return Path(environ["COMMON_AUTH_AUDIT_FILE"])


def run(environ: dict[str, str], *words: str) -> int:
    """Run ``common audit …`` and return its exit code."""
    return main(["audit", *words], environ=environ)


# verify


def test_a_trail_that_is_intact_exits_with_0(
    environ: dict[str, str], trail: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """File, anchors and keys come from the environment (auth A15)."""
    assert 0 == run(environ, "verify")
    assert "INTACT: 7 records in 1 streams," in capsys.readouterr().out


def test_a_changed_trail_exits_with_1_and_names_the_place(
    environ: dict[str, str], trail: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The first bad place is named, for people and as JSON (auth A15)."""
    trail.write_bytes(trail.read_bytes().replace(b"u-bob", b"u-eve"))

    assert 1 == run(environ, "verify")
    assert "seq 4 (line 4): The line was changed." in capsys.readouterr().out
    assert 1 == run(environ, "verify", "--json")
    (report,) = json.loads(capsys.readouterr().out)
    assert ("tampered", 4, "changed") == (
        report["verdict"],
        report["problems"][0]["seq"],
        report["problems"][0]["code"],
    )


def test_what_nobody_vouches_for_exits_with_2(
    environ: dict[str, str], trail: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without anchors the tail that is not vouched for is named (auth A15)."""
    Path(environ["COMMON_AUTH_AUDIT_ANCHOR_FILE"]).unlink()

    assert 2 == run(environ, "verify")
    assert "1 to 7 not anchored" in capsys.readouterr().out


@pytest.mark.parametrize(
    "words", [("nowhere.jsonl",), ("--keys", "nowhere.pem"), ("--keys", __file__)], ids=["trail", "keys", "no keys"]
)
def test_what_cannot_be_read_accuses_nobody(
    words: tuple[str, ...], environ: dict[str, str], trail: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A mistyped path is no tampering: exit 2, and the reason on stderr (auth A15)."""
    assert 2 == run(environ, "verify", *words)
    assert capsys.readouterr().err.startswith("Not verified: ")


def test_keys_of_another_are_not_believed(
    environ: dict[str, str], trail: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A JWK set pins keys as well, with their epochs (auth A15)."""
    jwk = {"kid": "k1", "alg": "EdDSA", **json.loads(json.dumps(_public_members(SigningKey.generate(kid="k1"))))}
    (tmp_path / "other.json").write_text(json.dumps({"keys": [{**jwk, "not_before": "2026-01-01T00:00:00Z"}]}))

    assert 1 == run(environ, "verify", "--keys", str(tmp_path / "other.json"))
    assert "unknown_key" in capsys.readouterr().out


def _public_members(key: SigningKey) -> Any:
    from common.auth.security.jwk import public_members

    return public_members(key.verification.material)  # type: ignore[arg-type]


def test_renamed_files_and_files_of_other_processes_are_found(
    environ: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A trail goes over all its files, and with ``{pid}`` there is one for each process (auth A13, A15)."""
    environ["COMMON_AUTH_AUDIT_FILE"] = str(tmp_path / "audit-{pid}.jsonl")
    environ["COMMON_AUTH_AUDIT_ANCHOR_FILE"] = str(tmp_path / "audit-{pid}.anchors")
    environ["COMMON_AUTH_AUDIT_MAX_BYTES"] = "65536"
    for _ in range(2):
        audit = service_logger(environ)
        for _ in range(300):
            audit.emit("authn_login_success", outcome=OK, actor="u-ada")
        assert audit.close(10).complete
    files = sorted(each.name for each in tmp_path.glob("audit-*.jsonl*"))
    for each in tmp_path.glob(f"audit-{os.getpid()}*"):
        each.with_name(each.name.replace(str(os.getpid()), "77")).write_bytes(each.read_bytes())

    assert len(files) >= 3
    assert 0 == run(environ, "verify")
    assert 2 == capsys.readouterr().out.count("INTACT: 602 records in 2 streams")
    assert 0 == run(environ, "query", "--limit", "1")


def test_a_trail_is_read_whole_while_files_are_renamed(tmp_path: Path) -> None:
    """What is renamed while somebody reads is neither left out nor read twice (auth A15)."""
    path = tmp_path / "audit.jsonl"
    path.with_name("audit.jsonl.000001").write_bytes(b"1\n2\n")
    path.write_bytes(b"3\n")
    read = []
    for line in find_trails(str(path))[0].lines():
        read.append(line)
        if line == b"1\n":
            path.rename(path.with_name("audit.jsonl.000002"))
            path.write_bytes(b"4\n")
        if line == b"4\n":
            path.rename(path.with_name("audit.jsonl.000003"))

    assert [b"1\n", b"2\n", b"3\n", b"4\n"] == read


# tail and query


def test_the_newest_events_are_shown_in_printable_text(
    environ: dict[str, str], trail: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One line each; what somebody smuggled into an event does not reach the terminal (auth A6)."""
    assert 0 == run(environ, "tail", "-n", "4")
    lines = capsys.readouterr().out.splitlines()

    assert ["authz_fail", "user_created", "authn_login_success", "stream_end"] == [line.split()[2] for line in lines]
    assert r'path="/a b\u001b[31m"' in lines[0]
    assert all(line.isascii() and line.isprintable() for line in lines)


@pytest.mark.parametrize(
    ("words", "seqs"),
    [
        ((), [1, 2, 3, 4, 5, 6, 7]),
        (("--type", "user_created"), [3, 5]),
        (("--type", "user_created", "--type", "authz_fail"), [3, 4, 5]),
        (("--outcome", "failure"), [2, 4, 5]),
        (("--subject", "u-ada"), [1, 3]),
        (("--subject", "ada"), [2]),
        (("--type", "user_created", "--outcome", "failure"), [5]),
        (("--limit", "2"), [1, 2]),
        (("--since", "2999-01-01"), []),
        (("--until", "2999-01-01T00:00:00+01:00", "--limit", "1"), [1]),
        (("--request-id", "r-1"), []),
    ],
    ids=str,
)
def test_events_are_found_by_what_is_known(
    words: tuple[str, ...], seqs: list[int], environ: dict[str, str], trail: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """By type, outcome, person (also by the hash of a name that was typed), time and request; as stored with --json."""
    assert 0 == run(environ, "query", "--json", *words)
    lines = capsys.readouterr().out.splitlines()

    assert seqs == [json.loads(line)["seq"] for line in lines]
    assert {line.encode() for line in lines} <= set(trail.read_bytes().splitlines())


def test_a_hash_as_stored_finds_the_event(
    environ: dict[str, str], trail: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without the key, a search goes by the hash itself (auth A5)."""
    stored = json.loads(trail.read_bytes().splitlines()[1])["event"]["actor"]
    del environ["COMMON_AUTH_AUDIT_KEY"]
    assert 0 == run(environ, "query", "--subject", stored)
    assert 1 == len(capsys.readouterr().out.splitlines())
    assert 0 == run(environ, "query", "--subject", "ada")
    assert "" == capsys.readouterr().out


def test_events_can_be_had_as_ocsf(environ: dict[str, str], trail: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """For a system that collects security events (auth A3)."""
    assert 0 == run(environ, "query", "--ocsf", "--type", "authn_login_fail")
    assert 300201 == json.loads(capsys.readouterr().out)["type_uid"]


FOLLOW = [
    sys.executable,
    "-m",
    "common.core",
    "audit",
    "tail",
    "-n",
    "1",
    "-f",
    "--json",
    "--type",
    "authn_login_success",
]


def test_following_shows_what_is_added_until_ctrl_c(
    environ: dict[str, str], trail: Path, tmp_path: Path, until: Until
) -> None:
    """New events appear, also behind a rotation; Ctrl-C ends it cleanly, with exit code 0 and no traceback."""
    environ["COMMON_AUTH_AUDIT_MAX_BYTES"] = "65536"
    out = tmp_path / "followed"
    with out.open("wb") as stream:
        process = subprocess.Popen(FOLLOW, stdout=stream, stderr=subprocess.PIPE, env={**os.environ, **environ})
    try:
        until(lambda: out.read_bytes().count(b"\n") == 1)
        audit = service_logger(environ)
        for number in range(300):
            audit.emit("authn_login_success", outcome=OK, actor=f"u-{number}")
        assert audit.close(10).complete
        assert trail.with_name("audit.jsonl.000001").exists()
        until(lambda: out.read_bytes().count(b"\n") == 301)
    finally:
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)

    assert (0, b"") == (process.returncode, errors)
    actors = [json.loads(line)["event"]["actor"] for line in out.read_bytes().splitlines()]
    assert ["u-eve", *(f"u-{number}" for number in range(300))] == actors

"""Whom the direct wire trusts: TLS 1.2 or later, chain and name always verified, authorities by botocore's rules (W1)."""

import os
import ssl
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from common.dynamo.testing.certificates import Authority
from common.dynamo.wire.direct.tls import tls_context
from common.exceptions import ConfigurationError


@pytest.fixture(autouse=True)
def no_bundle(monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment names none."""
    for name in ("AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)


def trusted(context: ssl.SSLContext) -> list[str]:
    """Return the common names of the authorities that *context* trusts."""
    subjects: list[Any] = [found["subject"] for found in context.get_ca_certs()]
    return sorted(dict(pair[0] for pair in subject).get("commonName", "") for subject in subjects)


def bundle(folder: Path, name: str) -> str:
    """Return the bundle of an authority of that name."""
    folder.mkdir(exist_ok=True)
    return str(Authority(folder, name).bundle)


def test_a_server_has_to_prove_who_it_is() -> None:
    """Nothing switches that off: neither a variable nor an argument does."""
    context = tls_context(None)

    assert (ssl.CERT_REQUIRED, True, False) == (
        context.verify_mode,
        context.check_hostname,
        context.hostname_checks_common_name,
    )
    assert ssl.TLSVersion.TLSv1_2 == context.minimum_version


def test_botocores_bundle_is_the_default() -> None:
    """The same file, found without importing botocore; with certifi installed, and without."""
    code = """
import sys
hidden = sys.argv[1:]
for name in hidden:
    sys.modules[name] = None
from common.dynamo.wire.direct import tls
found = tls._default_bundle()
assert "botocore" not in sys.modules and "certifi" not in {name for name in sys.modules if sys.modules[name]}
from botocore.httpsession import where
assert found == where(), (found, where())
assert tls.tls_context(None).get_ca_certs()
"""
    for hidden in ([], ["certifi"]):
        subprocess.run([sys.executable, "-I", "-c", code, *hidden], check=True)


def test_the_bundle_is_looked_for_in_botocores_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the session says, then AWS_CA_BUNDLE, then REQUESTS_CA_BUNDLE; each of them instead of the others."""
    found = []
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", bundle(tmp_path, "requests"))
    found.append(trusted(tls_context(None)))
    monkeypatch.setenv("AWS_CA_BUNDLE", bundle(tmp_path, "aws"))
    found.append(trusted(tls_context(None)))
    found.append(trusted(tls_context(bundle(tmp_path, "session"))))

    assert [["requests"], ["aws"], ["session"]] == found


def test_a_bundle_may_be_a_folder(tmp_path: Path) -> None:
    """As OpenSSL takes it, whose files are looked up when a server shows up."""
    assert [] == trusted(tls_context(str(tmp_path)))


BROKEN = {
    "missing": ("/nowhere/bundle.pem", "cannot be read: No such file"),
    "empty": (os.devnull, "no certificate"),
    "no bundle": (__file__, "no certificate"),
    "no name": ("", "empty name"),
    "white space": ("  ", "empty name"),
}


@pytest.mark.parametrize(("path", "message"), BROKEN.values(), ids=BROKEN)
@pytest.mark.parametrize("source", ["AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "the session"])
def test_a_bundle_that_is_none_is_named(path: str, message: str, source: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The operator is told what is wrong and which settings name it; nothing else is trusted instead."""
    if source != "the session":
        monkeypatch.setenv(source, path)

    with pytest.raises(ConfigurationError, match=rf"{message}(?s:.*)AWS_CA_BUNDLE"):
        tls_context(path if source == "the session" else None)

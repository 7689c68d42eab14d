"""The gateway without FastAPI: everything but its dependencies (auth X5)."""

import subprocess
import sys

import pytest

from common.exceptions import MissingPart


def test_the_error_names_distribution_and_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    """Importing the dependencies without the extra says what to add, and is an ImportError."""
    monkeypatch.setitem(sys.modules, "fastapi", None)
    monkeypatch.delitem(sys.modules, "common.auth.gateway.fastapi", raising=False)

    with pytest.raises(MissingPart, match=r"Add common-auth\[fastapi\] to the service's dependencies") as missing:
        import common.auth.gateway.fastapi  # noqa: F401
    assert isinstance(missing.value, ImportError)


def test_middleware_validator_and_signer_load_no_framework() -> None:
    """In a fresh process, none of the rest brings in FastAPI, Starlette or pytest."""
    script = (
        "import sys, common.auth.gateway.middleware, common.auth.gateway.signer, common.auth.security.audit_logger;"
        "print(sorted({'fastapi', 'starlette', 'pytest', 'opentelemetry', 'boto3', 'orjson'} & set(sys.modules)))"
    )
    answer = subprocess.run([sys.executable, "-I", "-c", script], capture_output=True, text=True, check=True)

    assert "[]" == answer.stdout.strip()

"""Events in the form of OCSF, validated against its own schema (auth A3)."""

import json
from datetime import UTC, datetime
from functools import cache
from typing import Any

import jsonschema
import pytest
from ocsf_json_schema import OcsfJsonSchemaEmbedded, get_ocsf_schema

from common.auth.exceptions import ConfigurationError
from common.auth.security.audit_ocsf import to_ocsf
from common.auth.security.audit_types import FAMILY_TYPES
from common.core.audit import AuditEvent, AuditOutcome, Severity


@cache
def schema() -> OcsfJsonSchemaEmbedded:
    """Return the published schema of OCSF 1.8.0."""
    return OcsfJsonSchemaEmbedded(get_ocsf_schema("1.8.0"))


@cache
def validator(class_uid: int) -> jsonschema.Draft202012Validator:
    """Return what validates events of a class."""
    name = "base_event" if class_uid == 0 else schema().lookup_class_name_from_uid(class_uid)
    return jsonschema.Draft202012Validator(schema().get_class_schema(name))


def event(type: str, **changes: Any) -> AuditEvent:
    """Make an event of *type*, with everything that an event may have."""
    fields: dict[str, Any] = {
        "id": "01a20dab-117b-77a1-8000-000000000001", "time": datetime(2026, 11, 24, 12, 0, 0, 250_000, tzinfo=UTC),
        "stream": "orders-ab", "boot_id": "ab", "seq": 7, "type": type, "outcome": AuditOutcome.FAILURE,
        "severity": Severity.MEDIUM, "service": "orders", "reason": "wrong_password", "actor": "u-1", "subject": "u-2",
        "session": "h:00112233445566778899aabbccddeeff", "request_id": "r-12345678", "source_service": "gateway",
        "source_ip": "192.0.2.1", "details": {"method": "POST", "path": "/orders", "after": "operator"},
    }  # fmt: skip
    return AuditEvent(**{**fields, **changes})


BARE = {
    "reason": None, "actor": None, "subject": None, "session": None, "request_id": None, "source_service": None,
    "source_ip": None, "details": {},
}  # fmt: skip


@pytest.mark.parametrize("outcome", AuditOutcome)
@pytest.mark.parametrize("changes", [{}, BARE], ids=["everything", "nothing"])
@pytest.mark.parametrize("type", [*(kind.name for kind in FAMILY_TYPES), "order_placed"])
def test_every_type_is_valid_by_the_schema(type: str, changes: dict[str, Any], outcome: AuditOutcome) -> None:
    """Whatever an event has or lacks, what comes out satisfies the schema of its class, constraints included (auth A3)."""
    made = to_ocsf(event(type, outcome=outcome, **changes), "1.8.0")

    assert [] == [error.message for error in validator(int(str(made["class_uid"]))).iter_errors(made)]
    assert made["type_uid"] == int(str(made["class_uid"])) * 100 + int(str(made["activity_id"]))
    assert json.loads(json.dumps(made)) == made


def test_the_schema_refuses_what_is_wrong() -> None:
    """The validation above can fail: no user, no service, a class that does not fit."""
    made = to_ocsf(event("authn_login_fail"))
    for broken in ("user", "service", "metadata", "severity_id"):
        assert list(validator(3002).iter_errors({name: value for name, value in made.items() if name != broken}))
    assert list(validator(3001).iter_errors(made))


@pytest.mark.parametrize(
    ("type", "changes", "type_uid"),
    [
        ("authn_login_success", {}, 300201),
        ("authn_login_fail", {}, 300201),
        ("session_ended", {}, 300202),
        ("authn_login_lock", {}, 300109),
        ("authn_token_created", {"details": {"kind": "access"}}, 300203),
        ("authn_token_created", {"details": {"kind": "api_key"}}, 300199),
        ("authn_password_change", {}, 300103),
        ("authn_password_reset_admin", {}, 300104),
        ("authz_change", {"details": {"after": ["operator"]}}, 300501),
        ("authz_change", {"details": {"before": ["operator"], "after": []}}, 300502),
        ("authz_fail", {"details": {"method": "DELETE"}}, 600304),
        ("authz_fail", {"details": {}}, 600300),
        ("user_created", {}, 300101),
        ("user_deleted", {}, 300106),
        ("sys_startup", {}, 600203),
        ("order_placed", {}, 99),
    ],
    ids=str,
)
def test_each_type_has_its_class_and_activity(type: str, changes: dict[str, Any], type_uid: int) -> None:
    """The table of classes (auth A3, decision 0347)."""
    assert type_uid == to_ocsf(event(type, **changes))["type_uid"]


@pytest.mark.parametrize(
    ("reason", "detail"),
    [
        ("unknown_user", "USER_DOES_NOT_EXIST"), ("wrong_password", "INVALID_CREDENTIALS"),
        ("locked", "ACCOUNT_LOCKED_OUT"), ("locked_network", "ACCOUNT_LOCKED_OUT"), ("too_long", "INVALID_CREDENTIALS"),
        ("something_else", "something_else"),
    ],
)  # fmt: skip
def test_a_failed_login_says_why_in_the_words_of_the_schema(reason: str, detail: str) -> None:
    """``status_detail`` is OCSF's word where it has one, ``status_code`` is ours (auth A3)."""
    made = to_ocsf(event("authn_login_fail", reason=reason))

    assert (2, reason, detail) == (made["status_id"], made["status_code"], made["status_detail"])


def test_an_event_can_be_found_again_by_what_ocsf_keeps() -> None:
    """Id, place, stream, request and time are in the places that OCSF has for them."""
    made = to_ocsf(event("authn_login_fail"))

    metadata = made["metadata"]
    assert isinstance(metadata, dict)
    assert ("01a20dab-117b-77a1-8000-000000000001", 7, "orders-ab") == (
        metadata["uid"], metadata["sequence"], metadata["log_name"]
    )  # fmt: skip
    assert ("r-12345678", 1795521600250) == (metadata["correlation_uid"], made["time"])


def test_another_version_is_refused() -> None:
    """What was not written for a version is not called by its name."""
    with pytest.raises(ConfigurationError, match=r"OCSF 1\.8\.0"):
        to_ocsf(event("authn_login_fail"), "1.9.0")

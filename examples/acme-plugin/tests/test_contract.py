"""Acme's invoices keep every law of the data layer: one test that a stranger writes, and nothing of the family's own."""

import pytest

pytest.importorskip("common.dynamo", reason="invoices need common-dynamo")

from hypothesis import strategies as st

from acme_plugin.storage import INVOICE
from common.dynamo import Database
from common.dynamo.testing import check_entity_type, models_of


def test_invoices_keep_the_contract() -> None:
    """Stored exactly, found by their keys, never overwritten by who is late, one reference per tenant, at the cost told."""
    addresses = st.from_regex(r"[a-z]{1,8}@[a-z]{1,8}\.org", fullmatch=True)
    with Database.embedded(entity_types=[INVOICE]) as database:
        report = check_entity_type(database, INVOICE, models_of(INVOICE, email=addresses))

    assert {"additions": "its version protects every addition"} == report.skipped
    assert min(law.examples for law in report.laws if not law.skipped) >= 10

"""Store, change, query and read one of Acme's invoices through the DAO that its entity type gets; report as JSON."""

import json
from datetime import UTC, datetime

from acme_plugin.invoice import Invoice, InvoiceState
from acme_plugin.storage import BY_STATE, INVOICE
from common.core import Plugins, Settings
from common.dynamo import Change, Database


def pay(change: Change[Invoice], invoice: Invoice) -> None:
    """Mark *invoice* as paid."""
    change.set(invoice.state, InvoiceState.PAID)


def report() -> dict[str, object]:
    """Use the plugin's entity type as a service would that never heard of it before."""
    plugins = Plugins()
    plugins.load(Settings.from_environment())
    issued = datetime(2026, 1, 1, tzinfo=UTC)
    content = {"tenant": "acme", "number": 1, "reference": "PO-1", "email": "a@example.org", "total": "12.50"}
    with Database.embedded(plugins=plugins) as database:
        invoices = database.dao(INVOICE)
        invoices.create(Invoice.model_validate(content | {"issued_at": issued}))
        invoices.update(invoices.require(("acme", 1)), pay)
        found = invoices.query(BY_STATE, tenant="acme", state=InvoiceState.PAID).page(10).items
        stored = invoices.require(("acme", 1))
    return {"total": str(stored.total), "state": stored.state.value, "found": [invoice.number for invoice in found]}


if __name__ == "__main__":
    print(json.dumps(report()))

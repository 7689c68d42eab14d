"""How invoices become items of a service's table. Needs common-dynamo; imported by the hook that is called with it."""

from acme_plugin.invoice import Invoice
from common.dynamo import EntityType, Index, Key, Unique

BY_STATE = Index("GSI1", Key("ACMEINV#{tenant}#{state}", "{number:10}"))
"""The invoices of a tenant in one state, by number."""

INVOICE = EntityType(
    Invoice,
    "acme-invoice",
    key=Key("ACMEINV#{tenant}", "N#{number:10}"),
    indexes=[BY_STATE],
    unique=[Unique("reference", scope="tenant")],
    version="version",
    ttl="delete_after",
    scales={"total": 2},
    group="acme",
)

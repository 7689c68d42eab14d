"""The embedded engine: DynamoDB's semantics over SQLite, in this process.

It needs no parser, since it evaluates the structured conditions and updates of :mod:`common.dynamo.requests` as they
are. It is exact, atomic across threads and processes, durable, and starts in no time; it is not a DynamoDB server.

    >>> from common.dynamo.wire.embedded import EmbeddedWire
    >>> from common.dynamo.requests import ListTables
    >>> wire = EmbeddedWire()
    >>> wire.send(ListTables(), timeout=1.0).body
    {'TableNames': []}
    >>> wire.close()
"""

from common.dynamo.wire.embedded.file_format import FileRefused
from common.dynamo.wire.embedded.wire import EmbeddedWire

__all__ = ["EmbeddedWire", "FileRefused"]

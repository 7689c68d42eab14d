"""The direct wire: a lean data plane of our own, for production speed.

It takes credentials, region, endpoint and certificate authorities from where boto3 would, then signs and speaks HTTP itself:
kept-alive sockets, httptools, orjson, a cached signing key. What only botocore can do is left to the boto wire; see
:mod:`common.dynamo.wire.choice`.
"""

from common.dynamo.wire.direct.wire import DirectWire

__all__ = ["DirectWire"]

"""One module for each way to DynamoDB; each has a function ``connect`` that returns a :class:`~peer_benchmark.peer.Peer`."""

"""Shards: what would be one partition, spread over several by a hash of each item's primary key.

DynamoDB takes 1,000 write units a second in one partition (Developer Guide, "Best practices for designing and using
partition keys"). ``Key("LO#{asset}#{side}", "{price:12.2}#{id}", shards=8)`` writes to ``LO#BTC#BUY#00`` ...
``LO#BTC#BUY#07`` instead of ``LO#BTC#BUY``. The number is a component of its own at the end of the partition key, so keys
stay injective. Reads go to every shard and are merged in the order of the sort key (:mod:`common.dynamo.merged_queries`).

The number of an item is made of its primary key alone, so every write knows it without a read and an update never moves
an item to another shard::

    int.from_bytes(sha256(f"{partition}\\0{sort}".encode()).digest()[:8]) % shards

with the texts of the primary key's two templates, the partition without a shard. It is the same in every process, every
version of Python and every other language.

>>> shard_of("ORDER#o-1", "ORDER", 8), shard_partition("LO#BTC#BUY", 4)
(7, 'LO#BTC#BUY#04')
"""

from collections.abc import Mapping
from hashlib import sha256
from typing import Any

from common.dynamo.keys import BoundTemplate
from common.dynamo.value_classes import dataclass

__all__ = ["Sharding", "shard_of", "shard_partition"]


def shard_of(partition: str, sort: str, count: int) -> int:
    """Return the shard, from 0, of the item whose primary key has the texts *partition* (without a shard) and *sort*."""
    digest = sha256(f"{partition}\0{sort}".encode()).digest()
    return int.from_bytes(digest[:8]) % count


def shard_partition(partition: str, shard: int) -> str:
    """Return the partition key of one *shard* of what would be *partition*."""
    return f"{partition}#{shard:02d}"


@dataclass(frozen=True, slots=True)
class Sharding:
    """Over how many shards a key is spread, and the templates of the primary key that tell an item's shard."""

    count: int
    partition: BoundTemplate
    sort: BoundTemplate

    def of(self, row: Mapping[str, Any]) -> int:
        """Return the shard of *row*, field name to value, which has at least the fields of the primary key.

        Raises:
            InvalidInput: A field of the primary key is missing, empty, of another type or too wide.
        """
        partition = self.partition.build([row.get(name) for name in self.partition.fields])
        return shard_of(partition, self.sort.build([row.get(name) for name in self.sort.fields]), self.count)

"""aiodynamo, as in its README, on aiohttp, under one event loop; what it gives are dictionaries, validated here by pydantic.

Eight threads are eight tasks here, which is how it is meant to be used.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from decimal import Decimal
from typing import Any
from uuid import uuid4

from aiodynamo.client import Client
from aiodynamo.credentials import Credentials
from aiodynamo.expressions import F, HashKey
from aiodynamo.http.aiohttp import AIOHTTP
from aiodynamo.models import BatchGetRequest, BatchWriteRequest, ReturnValues
from aiodynamo.operations import ConditionCheck, Put, Update
from aiohttp import ClientSession, TCPConnector
from yarl import URL

from peer_benchmark.model import Order, order
from peer_benchmark.orders import (
    CHANGED_IN_TRANSACTION,
    CHECKED,
    CONDITIONAL,
    IN_TRANSACTION,
    NUMBERS,
    PUT,
    READ,
    UPDATED,
    WRITTEN,
    partition,
    sort,
)
from peer_benchmark.peer import REGION, TABLE, Peer, Place

__all__ = ["connect"]


def _key(customer: str, number: int) -> dict[str, Any]:
    return {"pk": partition(customer), "sk": sort(number)}


def _item(model: Order) -> dict[str, Any]:
    values = model.model_dump()
    values["placed_at"] = model.placed_at.isoformat()
    values["status"] = model.status.value
    return _key(model.customer, model.number) | values


def _change() -> Any:
    return F("note").set("changed") & F("fills").add(1)


class Aiodynamo(Peer):
    """Its client and tables; every work is a coroutine."""

    def __init__(self, place: Place) -> None:
        self._customer, self._writer = place.customer, place.writer
        self._loop = asyncio.new_event_loop()
        self._loop.run_until_complete(self._open(place))
        self._order = order(self._writer, PUT, note="put")
        self._in_transaction = [order(self._writer, number, note="put") for number in IN_TRANSACTION]

    async def _open(self, place: Place) -> None:
        connector = TCPConnector(limit=max(100, place.connections))
        self._session = ClientSession(connector=connector)
        self._client = Client(
            AIOHTTP(self._session), Credentials.auto(), REGION, URL(place.endpoint_url), numeric_type=Decimal
        )
        self._table = self._client.table(TABLE)

    def drive(self, work: str, count: int) -> Any:
        """Do *work* *count* times in one task."""
        call: Callable[[], Awaitable[Any]] = getattr(self, work)

        async def repeat() -> Any:
            answer = None
            for _ in range(count):
                answer = await call()
            return answer

        return self._loop.run_until_complete(repeat())

    def drive_together(self, work: str, workers: int, seconds: float) -> int:
        """Do *work* over and over in *workers* tasks for *seconds*."""
        call: Callable[[], Awaitable[Any]] = getattr(self, work)
        until = time.perf_counter() + seconds

        async def go_on() -> int:
            done = 0
            while time.perf_counter() < until:
                await call()
                done += 1
            return done

        return sum(self._loop.run_until_complete(_together(go_on, workers)))

    def drive_once_each(self, work: str, workers: int, together: Callable[[Callable[[], Any]], None]) -> None:
        """Do *work* once in each of *workers* tasks; no thread is needed."""
        self._loop.run_until_complete(_together(getattr(self, work), workers))

    def seed(self) -> None:
        """Store the orders, 25 at a time."""
        items = [_item(order(self._customer, number)) for number in NUMBERS]
        items += [_item(order(self._writer, number)) for number in WRITTEN]

        async def write() -> None:
            for first in range(0, len(items), 25):
                await self._client.batch_write({TABLE: BatchWriteRequest(items_to_put=items[first : first + 25])})

        self._loop.run_until_complete(write())

    def fields(self, answer: Any) -> Mapping[str, Any]:
        """Return the fields of a model."""
        return dict(answer)

    async def get(self) -> Any:
        """Return the model."""
        item = await self._table.get_item(_key(self._customer, READ), consistent_read=True)
        return Order.model_validate(item)

    async def put(self) -> Any:
        """Replace the item by the model."""
        return await self._table.put_item(_item(self._order))

    async def update(self) -> Any:
        """Change the item and return it as a model."""
        item = await self._table.update_item(_key(self._writer, UPDATED), _change(), return_values=ReturnValues.all_new)
        return Order.model_validate(item)

    async def conditional_update(self) -> Any:
        """Change the item where it is open, and return it as a model."""
        item = await self._table.update_item(
            _key(self._writer, CONDITIONAL),
            _change(),
            return_values=ReturnValues.all_new,
            condition=F("status").equals("open"),
        )
        return Order.model_validate(item)

    async def query_100(self) -> Any:
        """Return the models of a partition."""
        condition = HashKey("pk", partition(self._customer))
        return [Order.model_validate(item) async for item in self._table.query(condition)]

    async def batch_get_100(self) -> Any:
        """Return a hundred models."""
        keys = [_key(self._customer, number) for number in NUMBERS]
        found = await self._client.batch_get({TABLE: BatchGetRequest(keys, consistent_read=True)})
        return [Order.model_validate(item) for item in found.items[TABLE]]

    async def transaction_4(self) -> Any:
        """Put two models, change an item, check one."""
        changed, checked = _key(self._writer, CHANGED_IN_TRANSACTION), _key(self._writer, CHECKED)
        await self._client.transact_write_items(
            [
                *(Put(TABLE, _item(one)) for one in self._in_transaction),
                Update(TABLE, changed, _change(), F("status").equals("open")),
                ConditionCheck(TABLE, checked, F("status").equals("open")),
            ],
            request_token=str(uuid4()),
        )

    def close(self) -> None:
        """Close the session and the loop."""
        self._loop.run_until_complete(self._session.close())
        self._loop.close()


async def _together(task: Callable[[], Awaitable[Any]], workers: int) -> list[Any]:
    return list(await asyncio.gather(*(task() for _ in range(workers))))


def connect(place: Place) -> Peer:
    """Return its client."""
    return Aiodynamo(place)

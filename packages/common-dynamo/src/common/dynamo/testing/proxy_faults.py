"""What the fault proxy does to one call."""

import asyncio
import json
import zlib
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from random import Random
from typing import Any, Final

from common.dynamo.testing.http_messages import Message
from common.dynamo.wire import Answer
from common.dynamo.wire.fault_answers import conflicting, failed, throttled
from common.dynamo.wire.faults import Fault

__all__ = ["Exchange", "inject"]

_JSON: Final = {"content-type": "application/x-amz-json-1.0"}


@dataclass(frozen=True, slots=True)
class Exchange:
    """One request of a client, and the ways to go on with it."""

    request: Message
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    send: Callable[[Message], Awaitable[Message]]
    """Forwards a request to the engine."""

    @property
    def operation(self) -> str:
        """The API's name of the operation."""
        return self.request.headers.get("x-amz-target", "").rpartition(".")[2]

    @property
    def content(self) -> dict[str, Any]:
        """The parameters of the request."""
        content: dict[str, Any] = json.loads(self.request.body or b"{}")
        return content

    @property
    def identity(self) -> tuple[str, bytes]:
        """What an equal request has in common with this one."""
        return self.operation, self.request.body

    @property
    def is_consistent(self) -> bool:
        """Whether the request reads consistently, all of it or a table of a batch."""
        return b'"ConsistentRead": true' in self.request.body or b'"ConsistentRead":true' in self.request.body

    @property
    def parts(self) -> int:
        """The parts of a transaction; 0 for anything else."""
        return len(self.content.get("TransactItems", ()))

    async def forward(self) -> Message:
        """Send the request on; return the engine's answer."""
        return await self.send(self.request)

    def reply(self, answer: Message) -> None:
        """Answer the client."""
        self.writer.write(answer.encode())

    def refuse(self, answer: Answer) -> None:
        """Answer the client with an error of the engine's form."""
        body = json.dumps(answer.body).encode()
        headers = {**_JSON, "x-amzn-requestid": "injected", "x-amz-crc32": str(zlib.crc32(body))}
        self.reply(Message(f"HTTP/1.1 {answer.status} Injected", headers, body))

    def drop(self) -> None:
        """Close the connection without a word."""
        self.writer.transport.abort()


async def inject(fault: Fault, exchange: Exchange, chance: Random) -> None:
    """Do *fault* to *exchange*."""
    await _INJECTORS[fault](exchange, chance)


async def _drop_before(exchange: Exchange, chance: Random) -> None:
    exchange.drop()


async def _drop_after(exchange: Exchange, chance: Random) -> None:
    await exchange.forward()
    exchange.drop()


async def _throttle(exchange: Exchange, chance: Random) -> None:
    exchange.refuse(throttled(chance, exchange.parts))


async def _conflict(exchange: Exchange, chance: Random) -> None:
    exchange.refuse(conflicting(chance, exchange.parts))


async def _error_before(exchange: Exchange, chance: Random) -> None:
    exchange.refuse(failed(chance))


async def _error_after(exchange: Exchange, chance: Random) -> None:
    await exchange.forward()
    exchange.refuse(failed(chance))


async def _truncate(exchange: Exchange, chance: Random) -> None:
    content = (await exchange.forward()).encode()
    exchange.writer.write(content[: chance.randrange(len(content))])
    await exchange.writer.drain()
    exchange.writer.close()


async def _hang(exchange: Exchange, chance: Random) -> None:
    # Until the client has had enough: it closes, or sends what it may not send before an answer.
    await exchange.reader.read(1)
    exchange.drop()


async def _duplicate(exchange: Exchange, chance: Random) -> None:
    answer = await exchange.forward()
    await exchange.forward()
    exchange.reply(answer)


async def _unprocessed(exchange: Exchange, chance: Random) -> None:
    if exchange.operation not in ("BatchGetItem", "BatchWriteItem"):
        exchange.reply(await exchange.forward())
        return
    content = exchange.content
    done, left = _split(content["RequestItems"], chance)
    body = json.dumps({**content, "RequestItems": done}).encode()
    answer = await exchange.send(Message(exchange.request.start, exchange.request.headers, body))
    name = "UnprocessedKeys" if exchange.operation == "BatchGetItem" else "UnprocessedItems"
    body = json.dumps({**json.loads(answer.body), name: left}).encode()
    exchange.reply(Message(answer.start, {**answer.headers, "x-amz-crc32": str(zlib.crc32(body))}, body))


def _split(tables: Mapping[str, Any], chance: Random) -> tuple[dict[str, Any], dict[str, Any]]:
    """Divide a batch at random into what is done and what is left: one entry each at least, a lone one is done."""
    flat = [
        (table, entry)
        for table, entries in tables.items()
        for entry in (entries["Keys"] if isinstance(entries, dict) else entries)
    ]
    chance.shuffle(flat)
    cut = chance.randint(1, max(1, len(flat) - 1))
    return _regroup(flat[:cut], tables), _regroup(flat[cut:], tables)


def _regroup(entries: list[tuple[str, Any]], tables: Mapping[str, Any]) -> dict[str, Any]:
    grouped: dict[str, Any] = {}
    for table, entry in entries:
        options = tables[table]
        if isinstance(options, dict):
            grouped.setdefault(table, {**options, "Keys": []})["Keys"].append(entry)
        else:
            grouped.setdefault(table, []).append(entry)
    return grouped


_INJECTORS: Final[Mapping[Fault, Callable[[Exchange, Random], Awaitable[None]]]] = {
    Fault.REFUSE: _drop_before,
    Fault.THROTTLE: _throttle,
    Fault.CONFLICT: _conflict,
    Fault.ERROR_BEFORE: _error_before,
    Fault.ERROR_AFTER: _error_after,
    Fault.DROP_BEFORE: _drop_before,
    Fault.DROP_AFTER: _drop_after,
    Fault.TRUNCATE: _truncate,
    Fault.HANG: _hang,
    Fault.DUPLICATE: _duplicate,
    Fault.UNPROCESSED: _unprocessed,
    Fault.CRASH_BEFORE: _drop_before,
    Fault.CRASH_AFTER: _drop_after,
}
"""Late delivery outlives its exchange, so the proxy itself does it."""

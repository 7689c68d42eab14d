"""A proxy that puts faults before any engine: seeded, on a real socket, controlled over HTTP while it runs.

It is an asyncio server in a thread of its own, and needs the standard library only. What it does to a call is drawn
from a :class:`~common.dynamo.wire.faults.FaultPlan`; reads that are not consistent may be answered from the past.

Control, on the port of the proxy itself::

    GET  /-/faults                                       seed, calls seen, faults injected, rates
    PUT  /-/faults  {"rates": {"throttle": 0.1}}         other rates, 0 where none is given
    PUT  /-/faults  {"script": ["drop_after", null]}     the next calls, one by one
    POST /-/heal                                         no more faults
    POST /-/settle                                       answers when every late request has arrived
"""

import asyncio
import contextlib
import json
import threading
from collections import OrderedDict, deque
from collections.abc import Coroutine
from dataclasses import asdict
from types import TracebackType
from typing import Any, Final, Self
from urllib.parse import urlsplit

from common.dynamo.testing.http_messages import Message, read_message
from common.dynamo.testing.proxy_faults import Exchange, inject
from common.dynamo.wire.faults import Fault, FaultPlan, FaultRates

__all__ = ["FaultProxy"]

_LIMIT: Final = 32 * 1024 * 1024
_REMEMBERED: Final = 1024
_ANSWERS_EACH: Final = 4


class FaultProxy:
    """Stand on a loopback port before an engine; a context manager that starts and stops it.

    Args:
        upstream: The engine's ``http://host:port``.
        plan: Which call meets which fault; none by default.
    """

    def __init__(self, upstream: str, plan: FaultPlan | None = None) -> None:
        address = urlsplit(upstream)
        self._upstream = (address.hostname or "127.0.0.1", address.port or 80)
        self.plan = plan or FaultPlan()
        self.port = 0
        self._answers: OrderedDict[tuple[str, bytes], deque[Message]] = OrderedDict()
        self._late: set[asyncio.Task[None]] = set()
        self._talks: set[asyncio.Task[Any]] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="fault-proxy", daemon=True)
        self._server: asyncio.Server | None = None

    @property
    def endpoint_url(self) -> str:
        """Where clients connect."""
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> Self:
        """Listen on a free port."""
        self._thread.start()
        self._run(self._listen())
        return self

    def settle(self) -> None:
        """Wait until every late request has arrived."""
        self._run(self._settle())

    def stop(self) -> None:
        """Let late requests arrive, close every connection, end the thread."""
        self._run(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def __enter__(self) -> Self:
        """Start the proxy."""
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop the proxy."""
        self.stop()

    def _run(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(30)

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._converse, "127.0.0.1", 0, limit=_LIMIT)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _settle(self) -> None:
        await asyncio.gather(*self._late, return_exceptions=True)

    async def _close(self) -> None:
        await self._settle()
        if self._server is not None:
            self._server.close()
        for talk in self._talks:
            talk.cancel()
        await asyncio.gather(*self._talks, return_exceptions=True)

    # Conversations ----------------------------------------------------------------------------------------------------

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        talk = asyncio.current_task()
        if talk is not None:
            self._talks.add(talk)
            talk.add_done_callback(self._talks.discard)
        with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            while (request := await read_message(reader)) is not None:
                if request.target.startswith("/-/"):
                    writer.write((await self._control(request)).encode())
                else:
                    exchange = Exchange(request, reader, writer, self._forward)
                    await self._answer(exchange)
                await writer.drain()
        writer.transport.abort()

    async def _forward(self, request: Message) -> Message:
        """Send *request* to the engine on a connection of its own; return its answer.

        Raises:
            OSError: The engine is gone.
        """
        reader, writer = await asyncio.open_connection(*self._upstream, limit=_LIMIT)
        try:
            writer.write(Message(request.start, {**request.headers, "connection": "close"}, request.body).encode())
            answer = await read_message(reader)
        finally:
            writer.transport.abort()
        if answer is None:
            raise ConnectionResetError("the engine closed without an answer")
        headers = {name: value for name, value in answer.headers.items() if name != "connection"}
        return Message(answer.start, headers, answer.body)

    async def _answer(self, exchange: Exchange) -> None:
        draw = self.plan.draw(exchange.operation, consistent=exchange.is_consistent)
        await asyncio.sleep(draw.delay)
        earlier = self._answers.get(exchange.identity)
        if draw.stale and earlier:
            exchange.reply(self.plan.random.choice(earlier))
        elif draw.fault is Fault.LATE:
            exchange.drop()
            self._deliver_late(exchange, draw.late)
        elif draw.fault is not None:
            await inject(draw.fault, exchange, self.plan.random)
        else:
            answer = await exchange.forward()
            self._remember(exchange, answer)
            exchange.reply(answer)

    def _deliver_late(self, exchange: Exchange, seconds: float) -> None:
        async def deliver() -> None:
            await asyncio.sleep(seconds)
            await exchange.forward()

        task = self._loop.create_task(deliver())
        self._late.add(task)
        task.add_done_callback(self._late.discard)

    def _remember(self, exchange: Exchange, answer: Message) -> None:
        if self.plan.rates.stale and not exchange.is_consistent and " 200 " in f"{answer.start} ":
            self._answers.setdefault(exchange.identity, deque(maxlen=_ANSWERS_EACH)).append(answer)
            if len(self._answers) > _REMEMBERED:
                self._answers.popitem(last=False)

    # Control ----------------------------------------------------------------------------------------------------------

    async def _control(self, request: Message) -> Message:
        try:
            state = await self._obey(request)
        except (ValueError, TypeError) as error:
            return _json(400, {"error": str(error)})
        return _json(404, {"error": "see the documentation of the proxy"}) if state is None else _json(200, state)

    async def _obey(self, request: Message) -> dict[str, Any] | None:
        match request.method, request.target:
            case "GET", "/-/faults":
                pass
            case "PUT", "/-/faults":
                self._change(json.loads(request.body))
            case "POST", "/-/heal":
                self.plan.heal()
            case "POST", "/-/settle":
                await self._settle()
            case _:
                return None
        plan = self.plan
        return {"seed": plan.seed, "seen": plan.seen, "injected": dict(plan.injected), "rates": asdict(plan.rates)}

    def _change(self, wanted: dict[str, Any]) -> None:
        if "rates" in wanted:
            self.plan.rates = FaultRates(**wanted["rates"])
        self.plan.script(*(None if name is None else Fault(name) for name in wanted.get("script", ())))


def _json(status: int, content: dict[str, Any]) -> Message:
    return Message(f"HTTP/1.1 {status} X", {"content-type": "application/json"}, json.dumps(content).encode())

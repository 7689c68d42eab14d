"""The lifecycle follows the lifespan of the application behind."""

import asyncio
from typing import Any

import pytest

from common.observability.asgi import ASGIApp, Scope
from common.observability.health import HealthApp, HealthRunner, State


async def well_behaved(scope: Scope, receive: Any, send: Any) -> None:
    """Know lifespan."""
    while (message := await receive())["type"] != "lifespan.shutdown":
        await send({"type": f"{message['type']}.complete"})
    await send({"type": "lifespan.shutdown.complete"})


async def without_lifespan(scope: Scope, receive: Any, send: Any) -> None:
    """Know HTTP alone, as small applications do."""
    assert scope["type"] == "http", "Only HTTP is known here."


async def returning(scope: Scope, receive: Any, send: Any) -> None:
    """Ignore everything."""


def live(runner: HealthRunner, app: ASGIApp | None) -> list[tuple[str, State]]:
    """Start and stop as a server does; return each message with the state in which it was sent."""
    sent: list[tuple[str, State]] = []

    async def serve() -> None:
        inbox: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        started = asyncio.Event()

        async def send(message: Any) -> None:
            sent.append((message["type"], runner.lifecycle.state))
            started.set()

        inbox.put_nowait({"type": "lifespan.startup"})
        server = asyncio.ensure_future(HealthApp(runner, app)({"type": "lifespan"}, inbox.get, send))
        await asyncio.wait([server, asyncio.ensure_future(started.wait())], return_when=asyncio.FIRST_COMPLETED)
        inbox.put_nowait({"type": "lifespan.shutdown"})
        await server

    asyncio.run(serve())
    return sent


@pytest.mark.parametrize("app", [well_behaved, without_lifespan, returning, None])
def test_ready_when_the_application_has_started_and_stopped_when_it_has_ended(app: ASGIApp | None) -> None:
    """Also for an application that knows no lifespan, and for none at all."""
    runner = HealthRunner()

    assert [
        ("lifespan.startup.complete", State.READY),
        ("lifespan.shutdown.complete", State.DRAINING),
    ] == live(runner, app)
    assert State.STOPPED is runner.lifecycle.state


def test_an_application_that_fails_to_start_is_not_ready() -> None:
    """Its failure is the server's to handle, and readiness never comes."""

    async def failing(scope: Scope, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "lifespan.startup.failed", "message": "no database"})

    runner = HealthRunner()

    assert [("lifespan.startup.failed", State.STARTING)] == live(runner, failing)
    assert State.STARTING is runner.lifecycle.state


def test_an_application_that_raises_while_starting_goes_on_raising() -> None:
    """It knew lifespan, so this is no sign of not knowing it."""

    async def raising(scope: Scope, receive: Any, send: Any) -> None:
        await receive()
        raise ZeroDivisionError

    runner = HealthRunner()
    with pytest.raises(ZeroDivisionError):
        live(runner, raising)
    assert State.STARTING is runner.lifecycle.state


def test_a_wrong_group_stops_the_server_from_starting() -> None:
    """An exception would mean that lifespan is not known, and the server would go on."""
    runner = HealthRunner(groups={"payments": ("no-such-check",)})

    assert [("lifespan.startup.failed", State.STARTING)] == live(runner, well_behaved)

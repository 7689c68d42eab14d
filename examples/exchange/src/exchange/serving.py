"""``exchange serve``: the services stay up, some business goes on, and a live page shows all of it."""

import random
import signal
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from types import FrameType
from typing import NoReturn

import uvicorn
from rich.console import Console

from common.core import Settings
from common.observability.dev import DevApp, FeedReader, LiveView
from exchange.environment import PAGE, service_environments
from exchange.fleet import Fleet, bound_socket
from exchange.market import load_market
from exchange.run import SERVICES, START_SECONDS, Options, require_engine, run_folder
from exchange.traffic import Traffic

FEED_PATH = "/dev/feed"
LOOK_EVERY = 0.2
SETTLE_SECONDS = 1.5
"""Longer than the second between two questions for a feed."""
STOP_PAGE_SECONDS = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ServeOptions(Options):
    """What the command line says of ``exchange serve``."""

    port: int = 0
    """Of the page; 0 is a free one."""
    gateway_port: int = 0
    seconds: float | None = None
    """After how long to stop by itself; ``None`` is never."""
    pace: float = 4.0
    """How many things happen per second; 0 is none."""
    traders: int = 5


def serve(options: ServeOptions, console: Console) -> int:
    """Keep the services up until Ctrl-C, SIGTERM, or the end of the time given; return 0.

    Raises:
        ConfigurationError: A port is taken, nothing answers at the endpoint, or the folder is not empty.
        ServiceFailed: A service has ended, or did not get ready.
    """
    require_engine(options.endpoint)
    with suppress(SystemExit), ExitStack() as stack:  # by which SIGTERM comes here
        stack.enter_context(ending_in_order())
        bound = stack.enter_context(bound_socket(options.port))
        folder = stack.enter_context(run_folder(options.keep))
        environments = service_environments(folder, options.endpoint, wire=options.wire, shows_page=True)
        fleet = stack.enter_context(Fleet(folder, environments))
        fleet.start(SERVICES, {"gateway": options.gateway_port})
        fleet.wait_until_ready(START_SECONDS, lambda name: console.print(f"{name} is ready"))
        stack.enter_context(live_page(bound, {name: service.url for name, service in fleet.services.items()}))
        if options.pace:
            stack.enter_context(traffic(options, fleet))
        tell(console, bound, fleet, options)
        stay(fleet, options.seconds)
    console.print("Stopped; every service has ended.")
    return 0


@contextmanager
def ending_in_order() -> Iterator[None]:
    """Let SIGTERM end the command by the way that a return takes, so that no service is left behind."""

    def end(number: int, frame: FrameType | None) -> NoReturn:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        raise SystemExit(0)

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def live_page(bound: socket.socket, urls: Mapping[str, str]) -> Iterator[None]:
    """Serve the page on *bound*: what each service tells of itself at its feed, shown together."""
    view = LiveView(settle=SETTLE_SECONDS)
    page = DevApp(view, settings=Settings.from_environment(PAGE), path="/", title="exchange")
    config = uvicorn.Config(page, log_config=None, access_log=False, lifespan="off", timeout_graceful_shutdown=1)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [bound]}, name="live-page", daemon=True)
    with FeedReader(view, {name: url + FEED_PATH for name, url in urls.items()}):
        thread.start()
        try:
            yield
        finally:
            server.should_exit = True
            thread.join(STOP_PAGE_SECONDS)


def traffic(options: ServeOptions, fleet: Fleet) -> Traffic:
    """Return the business that goes on."""
    chance = random.Random(options.seed)  # noqa: S311 - no secret
    gateway = fleet.services["gateway"].url
    return Traffic(gateway, load_market(), chance, traders=options.traders, pace=options.pace)


def tell(console: Console, bound: socket.socket, fleet: Fleet, options: ServeOptions) -> None:
    """Print where everything is."""
    address = f"http://127.0.0.1:{bound.getsockname()[1]}/"
    until = "Ctrl-C ends everything." if options.seconds is None else f"Everything ends in {options.seconds:g} s."
    lines = [
        *(f"[bold]{name:10}[/] {service.url}   log {service.log}" for name, service in fleet.services.items()),
        f"The API is described at {fleet.services['gateway'].url}/docs",
        f"[bold green]The live page is at {address}[/]  {until}",
    ]
    for line in lines:
        console.print(line, highlight=False, soft_wrap=True)


def stay(fleet: Fleet, seconds: float | None) -> None:
    """Return after *seconds*, or never.

    Raises:
        ServiceFailed: A service has ended.
    """
    until = None if seconds is None else time.monotonic() + seconds
    while until is None or time.monotonic() < until:
        time.sleep(LOOK_EVERY)
        fleet.require_alive()

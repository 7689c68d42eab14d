"""Health on real servers, in processes of their own."""

import json
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from common.observability.monitoring.span_file import read_spans

Fetch = Callable[..., Any]

PROGRAM = """
import asyncio, json, logging, sys, threading
import uvicorn
from common.core.health import CheckSpec
from common.observability.asgi import ASGIApp
from common.observability.health import HealthApp, HealthRunner, Level, Lifecycle
from common.observability.logging import LoggingMiddleware, configure_logging
from common.observability.monitoring.asgi import ServerSpanMiddleware

runner = HealthRunner(detail_level=lambda request: Level.SUMMARY, lifecycle=Lifecycle(drain=DRAIN))

busy = []

def work():
    return sum(range(200))

async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        while (message := await receive())["type"] != "lifespan.shutdown":
            await send({"type": "lifespan.startup.complete"})
        await send({"type": "lifespan.shutdown.complete"})
        return
    path = scope["path"]
    body = b""
    if path == "/work":
        await asyncio.to_thread(work)
    elif path == "/slow":
        busy.append(path)
        await asyncio.sleep(2.0)
    elif path == "/busy":
        body = str(len(busy)).encode()
    elif path == "/threads":
        # Those of asyncio's own pool, which grows to its size as /work is asked for, are not the runner's.
        body = str(sum(not thread.name.startswith("asyncio_") for thread in threading.enumerate())).encode()
    elif path.startswith("/hang/"):
        runner.add(CheckSpec(path[6:], groups=frozenset({path[6:], "readiness"})), lambda context: threading.Event().wait())
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": body})

async def main():
    config = uvicorn.Config(HealthApp(runner, ServerSpanMiddleware(LoggingMiddleware(app, access_log=ACCESS))), port=0, log_config=None)
    server = uvicorn.Server(config)
    async def announce():
        while not server.started:
            await asyncio.sleep(0.005)
        print(server.servers[0].sockets[0].getsockname()[1], flush=True)
    announcing = asyncio.ensure_future(announce())
    await server.serve()

asyncio.run(main())
"""


@contextmanager
def running(*, drain: float = 0.0, head: str = "", access: str = "True") -> Iterator[tuple[subprocess.Popen[str], int]]:
    """Run the server; give the process and its port, and end it however the block ends."""
    program = head + PROGRAM.replace("DRAIN", str(drain)).replace("ACCESS", access)
    process = subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        yield process, int(process.stdout.readline())
    finally:
        process.kill()
        process.communicate()


def seconds(fetch: Fetch, port: int, path: str) -> float:
    """Return how long one answer took."""
    started = time.perf_counter()
    fetch(port, path)
    return time.perf_counter() - started


def test_a_hung_check_costs_one_answer_and_nothing_else(fetch: Fetch) -> None:
    """FAIL ``timeout`` within 0.9 s; 1,000 more probes start no thread and slow no other endpoint down; it ends at once."""
    with running() as (process, port):
        calm = statistics.median(seconds(fetch, port, "/work") for _ in range(100))
        waits = []
        for name in ("a", "b", "c"):
            fetch(port, f"/hang/{name}")
            waits.append(seconds(fetch, port, f"/health/{name}"))
        answer = fetch(port, "/readyz")
        threads = fetch(port, "/threads").body
        for _ in range(1000):
            assert 503 == fetch(port, "/readyz").status
        hung = statistics.median(seconds(fetch, port, "/work") for _ in range(100))

        assert threads == fetch(port, "/threads").body
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=30)

    assert 503 == answer.status
    assert {"timeout"} == {json.loads(answer.body)["checks"][name][0]["output"] for name in ("a", "b", "c")}
    assert min(waits) < 0.9
    assert hung < 2 * calm + 0.02


def test_sigterm_drains(fetch: Fetch) -> None:
    """``/readyz`` says ``draining`` at once, ``/livez`` goes on, and what is in flight is served before the end."""
    with running(drain=1.5) as (process, port), ThreadPoolExecutor(1) as pool:
        assert 200 == fetch(port, "/readyz").status
        in_flight = pool.submit(fetch, port, "/slow")
        while fetch(port, "/busy").body != b"1":
            time.sleep(0.005)
        process.send_signal(signal.SIGTERM)
        while (ready := fetch(port, "/readyz")).status == 200:
            time.sleep(0.001)
        alive = fetch(port, "/livez")
        served = in_flight.result(timeout=30)
        process.wait(timeout=30)

    assert "draining" == json.loads(ready.body)["checks"]["lifecycle"][0]["output"]
    assert (503, 200, 200) == (ready.status, alive.status, served.status)
    assert process.returncode in (0, -signal.SIGTERM)


def test_a_second_sigterm_does_not_wait_for_the_drain(fetch: Fetch) -> None:
    """Whoever is in a hurry sends it twice."""
    with running(drain=600.0) as (process, port):
        process.send_signal(signal.SIGTERM)
        while fetch(port, "/readyz").status == 200:
            time.sleep(0.001)
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=30)

    assert process.returncode is not None


def test_probes_leave_no_span_and_no_access_line(fetch: Fetch, tmp_path: Path) -> None:
    """100 probes of an instrumented service: nothing is recorded of them, and all is of the one other request."""
    head = f"""
import sys
from common.observability import configure
configure(service_name="orders", span_file={str(tmp_path / "spans.jsonl")!r}, log_stream=sys.stderr)
"""
    with running(head=head) as (process, port):
        for path in ("/livez", "/readyz", "/startupz", "/health", "/health/readiness") * 20:
            assert 200 == fetch(port, path).status
        fetch(port, "/work")
        lines = ended(process)

    assert ["GET"] == [span.name for span in read_spans(tmp_path)]
    assert ["common.observability.access"] == [line["logger"] for line in lines if "access" in line["logger"]]


def test_uvicorns_own_access_log_has_no_probes(fetch: Fetch) -> None:
    """Where it is the only one, because the middleware writes none."""
    head = """
import sys
from common.observability.logging import configure_logging
configure_logging(stream=sys.stderr)
"""
    with running(head=head, access="False") as (process, port):
        for path in ("/livez", "/health/readiness", "/work"):
            fetch(port, path)
        lines = ended(process)

    access = [line["message"] for line in lines if "access" in line["logger"]]
    assert 1 == len(access)
    assert "/work" in access[0]


def ended(process: subprocess.Popen[str]) -> list[dict[str, Any]]:
    """End the server in order and return its log lines."""
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=30)
    return [json.loads(line) for line in errors.splitlines()]

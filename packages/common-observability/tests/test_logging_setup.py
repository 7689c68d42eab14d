"""One handler, one shape, for the lines of everybody."""

import json
from collections.abc import Callable
from typing import Any

import jsonschema
import pytest

LINE = {
    "type": "object",
    "required": ["timestamp", "level", "logger", "message", "service.name"],
    "properties": {
        "timestamp": {"type": "string", "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$"},
        "level": {"enum": ["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"]},
        "logger": {"type": "string"},
        "message": {"type": "string"},
        "service.name": {"const": "orders"},
    },
}
"""The shape that every line has, whoever wrote it."""

Run = Callable[..., Any]


def lines(output: str) -> list[dict[str, Any]]:
    """Return the lines of a program's output; all of them are of the one shape."""
    found = [json.loads(line) for line in output.splitlines()]
    for line in found:
        jsonschema.validate(line, LINE)
    return found


CONFIGURE = """
import logging
from common.observability.logging import configure_logging
configure_logging(service={"service.name": "orders"}, level="DEBUG")
"""


@pytest.mark.parametrize("logger", ["urllib3.connectionpool", "asyncio", "orders.api"])
def test_lines_of_libraries_have_the_same_shape(logger: str, python: Run) -> None:
    """A library that logs by the standard library needs nothing to be told."""
    program = f"{CONFIGURE}\nlogging.getLogger({logger!r}).debug('Starting new HTTP connection (%d): %s', 1, 'host')"

    (line,) = lines(python(program).stdout)

    assert (logger, "Starting new HTTP connection (1): host") == (line["logger"], line["message"])


def test_a_real_line_of_asyncio_has_the_same_shape(python: Run) -> None:
    """An exception that nobody retrieved is logged by asyncio itself, with its stack trace."""
    program = f"""{CONFIGURE}
import asyncio, gc
async def main():
    async def fail():
        raise LookupError("gone")
    task = asyncio.create_task(fail())
    await asyncio.sleep(0)
    del task
    gc.collect()
asyncio.run(main())
"""
    found = [line for line in lines(python(program).stdout) if line["level"] == "ERROR"]

    assert ["asyncio"] == [line["logger"] for line in found]
    assert "LookupError" == found[0]["exception.type"]


def test_configuring_twice_leaves_one_handler(python: Run) -> None:
    """A second call replaces the first, and a line comes once."""
    program = f"""{CONFIGURE}{CONFIGURE}
logging.info("hello %d", len(logging.getLogger().handlers))
"""
    assert ["hello 1"] == [line["message"] for line in lines(python(program).stdout)]


def test_basic_config_is_replaced_and_other_handlers_stay(python: Run) -> None:
    """What wrote to the terminal before writes no more; a handler that writes elsewhere does."""
    program = f"""
import io, logging
elsewhere = io.StringIO()
logging.basicConfig()
logging.getLogger().addHandler(logging.StreamHandler(elsewhere))
{CONFIGURE}
logging.info("hello")
assert elsewhere.getvalue() == "hello\\n"
"""
    result = python(program)

    assert ("", 0) == (result.stderr, result.returncode)
    assert ["hello"] == [line["message"] for line in lines(result.stdout)]


def test_single_loggers_can_have_their_own_level(python: Run) -> None:
    """A level by name is independent of the root's."""
    program = """
import logging
from common.observability.logging import configure_logging
configure_logging(service={"service.name": "orders"}, level="WARNING", levels={"orders": "DEBUG"})
logging.getLogger("orders.api").debug("shown")
logging.getLogger("other").info("not shown")
"""
    assert ["shown"] == [line["message"] for line in lines(python(program).stdout)]


SERVER = """
import http.client, logging, threading, time
import uvicorn
from common.observability.logging import LoggingMiddleware, configure_logging

async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        while True:
            message = await receive()
            await send({"type": message["type"] + ".complete"})
            if message["type"] == "lifespan.shutdown":
                return
    logging.getLogger("orders").info("working")
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b""})

app = WRAP(app)
if EARLY:
    configure_logging(service={"service.name": "orders"})
server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=0OPTIONS))
if not EARLY:
    configure_logging(service={"service.name": "orders"})
thread = threading.Thread(target=server.run)
thread.start()
while not server.started:
    time.sleep(0.005)
port = server.servers[0].sockets[0].getsockname()[1]
for path in PATHS:
    connection = http.client.HTTPConnection("127.0.0.1", port)
    connection.request("GET", path)
    connection.getresponse().read()
    connection.close()
server.should_exit = True
thread.join()
"""


def served(python: Run, paths: list[str], *, wrap: str = "", early: bool = False, options: str = "") -> Any:
    """Run a server that logs, and return what came of it."""
    program = SERVER.replace("WRAP", wrap).replace("EARLY", str(early)).replace("OPTIONS", options)
    result = python(program.replace("PATHS", repr(paths)))
    assert 0 == result.returncode, result.stderr
    return result


@pytest.mark.parametrize(
    ("early", "options"),
    [
        pytest.param(False, "", id="configured after the server was made"),
        pytest.param(True, ", log_config=None", id="configured before, and the server told to leave logging alone"),
    ],
)
def test_the_server_logs_in_the_same_shape_and_no_line_twice(early: bool, options: str, python: Run) -> None:
    """uvicorn's own handlers are gone; each of its lines comes once, in our shape."""
    result = served(python, ["/a"], wrap="LoggingMiddleware", early=early, options=options)
    found = lines(result.stdout)

    assert "" == result.stderr
    started = [line for line in found if line["message"].startswith("Uvicorn running")]
    assert ["uvicorn.error"] == [line["logger"] for line in started]
    assert ["working"] == [line["message"] for line in found if line["logger"] == "orders"]


def test_a_server_that_sets_logging_up_again_is_unified_when_it_starts(python: Run) -> None:
    """Its own handlers have the two lines before the application starts, and none after that."""
    result = served(python, ["/a"], wrap="LoggingMiddleware", early=True)

    assert ["Started server process", "Waiting for application"] == [
        " ".join(line.split()[1:4]) for line in result.stderr.splitlines()
    ]
    assert "Application startup complete." in [line["message"] for line in lines(result.stdout)]


def test_a_request_has_one_access_line(python: Run) -> None:
    """With the middleware it is the middleware's; uvicorn's, with the whole path, is left out."""
    found = lines(served(python, ["/users/ann?token=x"], wrap="LoggingMiddleware").stdout)

    access = [line for line in found if "access" in line["logger"]]
    assert ["common.observability.access"] == [line["logger"] for line in access]
    assert "ann" not in json.dumps(found)


def test_without_the_middleware_the_servers_own_access_line_stays(python: Run) -> None:
    """uvicorn's access lines come in our shape, except those of probes."""
    found = lines(served(python, ["/livez", "/health/own?x=1", "/healthy", "/a"]).stdout)

    access = [line["message"] for line in found if line["logger"] == "uvicorn.access"]
    assert ["GET /healthy", "GET /a"] == [" ".join(message.split('"')[1].split()[:2]) for message in access]

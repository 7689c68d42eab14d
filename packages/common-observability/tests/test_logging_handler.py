"""A log call never harms the code that makes it."""

import io
import json
import logging
import sys
from collections.abc import Callable
from typing import Any

import pytest

from common.observability.logging import Fields, JsonFormatter, LineHandler


class BrokenSink(io.BytesIO):
    """A sink that takes nothing."""

    def write(self, line: Any) -> int:
        raise OSError("disk full")


class TalkativeSink(io.BytesIO):
    """A sink that logs what it does, to the logger it serves."""

    def __init__(self, logger: logging.Logger) -> None:
        super().__init__()
        self._logger = logger

    def write(self, line: Any) -> int:
        self._logger.warning("writing")
        return super().write(line)


@pytest.fixture
def logger() -> logging.Logger:
    """A logger of its own, outside of the hierarchy that pytest listens to."""
    return logging.Logger("test", logging.DEBUG)  # noqa: LOG001


def lines(sink: io.BytesIO) -> list[dict[str, Any]]:
    """Return what the sink got, as JSON values."""
    return [json.loads(line) for line in sink.getvalue().splitlines()]


def test_a_broken_sink_loses_lines_and_nothing_else(logger: logging.Logger, capfd: pytest.CaptureFixture[str]) -> None:
    """The call returns, the loss is counted, and nothing of the record gets to the terminal."""
    handler = LineHandler(JsonFormatter(), BrokenSink())
    logger.addHandler(handler)

    logger.error("secret %s", "value")

    assert 1 == handler.lost
    assert ("", "") == capfd.readouterr()


def test_a_sink_that_logs_does_not_recurse(logger: logging.Logger) -> None:
    """The sink's own line is dropped; the line that it was writing arrives."""
    sink = TalkativeSink(logger)
    handler = LineHandler(JsonFormatter(), sink)
    logger.addHandler(handler)

    logger.info("hello")

    assert ["hello"] == [line["message"] for line in lines(sink)]
    assert 1 == handler.lost


def test_a_raising_processor_costs_its_own_work_only(logger: logging.Logger) -> None:
    """The line arrives without what the processor would have done, and says that it failed; the next one still runs."""

    def broken(_logger: Any, _method: str, _fields: Fields) -> Fields:
        raise ZeroDivisionError("secret")

    def tenant(_logger: Any, _method: str, fields: Fields) -> Fields:
        fields["tenant"] = "t-1"
        return fields

    sink = io.BytesIO()
    logger.addHandler(LineHandler(JsonFormatter(processors=[broken, tenant]), sink))

    logger.info("hello")

    (line,) = lines(sink)
    assert "A processor raised ZeroDivisionError." == line["logging.error"]
    assert "t-1" == line["tenant"]
    assert b"secret" not in sink.getvalue()


def test_a_processor_that_returns_nothing_is_told(logger: logging.Logger) -> None:
    """A processor that forgets to return the fields does not lose the line."""

    def forgetful(_logger: Any, _method: str, _fields: Fields) -> Any:
        return None

    sink = io.BytesIO()
    logger.addHandler(LineHandler(JsonFormatter(processors=[forgetful]), sink))

    logger.info("hello")

    assert "A processor raised TypeError." == lines(sink)[0]["logging.error"]


def test_a_processor_that_logs_does_not_recurse(logger: logging.Logger) -> None:
    """Its line is rendered without processors, and the line it works on arrives too."""

    def talkative(_logger: Any, _method: str, fields: Fields) -> Fields:
        logger.info("from within")
        return fields

    sink = io.BytesIO()
    logger.addHandler(LineHandler(JsonFormatter(processors=[talkative]), sink))

    logger.info("hello")

    assert ["from within", "hello"] == [line["message"] for line in lines(sink)]


@pytest.mark.parametrize(
    ("message", "arguments", "expected"),
    [
        ("%s and %s", ("one",), "%s and %s <unprintable: TypeError>"),
        ("%d", ("text",), "%d <unprintable: TypeError>"),
        (b"bytes", (), "b'bytes'"),
        ("plain %s", (), "plain %s"),
        ("%(name)s", ({"name": "ann"},), "ann"),
    ],
)
def test_wrong_arguments_leave_the_template(
    logger: logging.Logger, message: Any, arguments: tuple[Any, ...], expected: str
) -> None:
    """A message that cannot be made is still told by its template."""
    sink = io.BytesIO()
    logger.addHandler(LineHandler(JsonFormatter(), sink))

    logger.info(message, *arguments)

    assert expected == lines(sink)[0]["message"]


def test_an_exception_that_cannot_be_printed_is_told_by_its_type(logger: logging.Logger) -> None:
    """Type, and a remark in place of the message."""

    class Mute(Exception):
        def __str__(self) -> str:
            raise ValueError("no text")

    sink = io.BytesIO()
    logger.addHandler(LineHandler(JsonFormatter(), sink))
    try:
        raise Mute
    except Mute:
        logger.exception("failed")

    (line,) = lines(sink)
    assert line["exception.type"].endswith("Mute")
    assert "<unprintable: ValueError>" == line["exception.message"]


@pytest.mark.parametrize("kind", ["bytes", "text over bytes", "text"])
def test_any_kind_of_stream_gets_whole_utf8_lines(logger: logging.Logger, kind: str) -> None:
    """Binary streams, text streams over one in another encoding, and pure text streams take the same line."""
    below = io.BytesIO()
    make: dict[str, Callable[[], Any]] = {
        "bytes": lambda: below,
        "text over bytes": lambda: io.TextIOWrapper(below, encoding="ascii"),
        "text": io.StringIO,
    }
    stream = make[kind]()
    logger.addHandler(LineHandler(JsonFormatter(), stream))

    logger.info("Zürich")

    text = stream.getvalue() if isinstance(stream, io.StringIO) else below.getvalue().decode()
    assert "Zürich" == json.loads(text)["message"]
    assert text.endswith("\n")


def test_standard_output_is_looked_up_at_each_line(
    logger: logging.Logger, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whoever replaces ``sys.stdout`` later gets the lines from then on."""
    logger.addHandler(LineHandler(JsonFormatter()))
    logger.info("first")
    instead = io.StringIO()
    monkeypatch.setattr(sys, "stdout", instead)
    logger.info("second")

    assert "first" == json.loads(capsys.readouterr().out)["message"]
    assert "second" == json.loads(instead.getvalue())["message"]


def test_fields_of_an_event_cannot_pose_as_the_lines_own(logger: logging.Logger) -> None:
    """A field called like one of the line's own is kept under another name."""
    sink = io.BytesIO()
    logger.addHandler(LineHandler(JsonFormatter(service={"service.name": "orders"}), sink))

    logger.info("hello", extra={"level": "FAKE", "service.name": "fake", "order": 7})

    (line,) = lines(sink)
    assert ("INFO", "FAKE") == (line["level"], line["event.level"])
    assert ("orders", "fake") == (line["service.name"], line["event.service.name"])
    assert 7 == line["order"]


def test_the_caller_is_told_only_on_demand(logger: logging.Logger) -> None:
    """File, line and function are added when the formatter is asked for them."""
    with_caller, without = io.BytesIO(), io.BytesIO()
    logger.addHandler(LineHandler(JsonFormatter(caller=True), with_caller))
    logger.addHandler(LineHandler(JsonFormatter(), without))

    logger.info("hello", stack_info=True)

    assert "test_the_caller_is_told_only_on_demand" == lines(with_caller)[0]["code.function.name"]
    assert __file__ == lines(with_caller)[0]["code.file.path"]
    assert "code.function.name" not in lines(without)[0]
    assert lines(without)[0]["stack"].startswith("Stack (most recent call last)")


def test_format_gives_the_same_line_as_text() -> None:
    """The formatter works in any stdlib handler too."""
    record = logging.makeLogRecord({"msg": "hello", "levelname": "INFO", "name": "a", "created": 1.5})
    formatter = JsonFormatter()

    assert formatter.render(record).decode() == formatter.format(record)
    assert "1970-01-01T00:00:01.500000Z" == json.loads(formatter.format(record))["timestamp"]

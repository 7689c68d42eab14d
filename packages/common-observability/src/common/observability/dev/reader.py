"""Reads what other processes tell of themselves, and shows it together."""

import http.client
import logging
import threading
from collections.abc import Mapping
from types import TracebackType
from typing import Final, Self
from urllib.parse import urlsplit

from common.exceptions import ConfigurationError
from common.observability.dev.feed import MalformedFeed, decode_feed, query_of
from common.observability.dev.health import ShownHealth
from common.observability.dev.view import Cursor, LiveView
from common.observability.suppression import suppressing_context

__all__ = ["FeedReader"]

_log = logging.getLogger("common.observability.dev")
_TIMEOUT: Final = 2.0
_MOST_BYTES: Final = 16 * 1024 * 1024


class FeedReader:
    """Asks each of several processes once a second what has come, in a thread each; a context manager.

    A process that does not answer is shown as failing, ``unreachable``, and is asked again; none keeps another waiting.
    """

    def __init__(self, view: LiveView, feeds: Mapping[str, str], *, every: float = 1.0) -> None:
        """Prepare; nothing is asked yet.

        Args:
            view: Where everything is shown.
            feeds: The URL of each process's feed, by the name of the service, such as
                ``http://127.0.0.1:8000/dev/feed``.
            every: Seconds between two questions.

        Raises:
            ConfigurationError: A URL is not ``http``.
        """
        self._stopping = threading.Event()
        self._every = every
        self._feeds = [_Feed(view, name, url) for name, url in feeds.items()]
        self._threads: list[threading.Thread] = []

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Begin to ask."""
        for feed in self._feeds:
            thread = threading.Thread(target=self._ask, args=(feed,), name=f"dev-feed-{feed.name}", daemon=True)
            self._threads.append(thread)
            thread.start()

    def stop(self) -> None:
        """Ask no more; return when no question is under way, within some seconds."""
        self._stopping.set()
        for thread in self._threads:
            thread.join(_TIMEOUT + 1.0)
        self._threads.clear()

    def _ask(self, feed: "_Feed") -> None:
        while not self._stopping.is_set():
            suppressing_context().run(feed.read)
            self._stopping.wait(self._every)


class _Feed:
    """One process's feed, and how far it has been read."""

    def __init__(self, view: LiveView, name: str, url: str) -> None:
        parts = urlsplit(url)
        if parts.scheme != "http" or not parts.hostname:
            raise ConfigurationError(
                f"The feed of {name} has no http URL. Name it like http://127.0.0.1:8000/dev/feed."
            )
        self.name = name
        self._view = view
        self._host, self._port, self._path = parts.hostname, parts.port or 80, parts.path or "/"
        self._cursor = Cursor()
        self._health = ShownHealth(name, "", "fail")
        self._is_silent = False

    def read(self) -> None:
        """Ask once, and show the answer or its absence."""
        try:
            told = decode_feed(self._fetch())
        except (OSError, http.client.HTTPException, MalformedFeed) as error:
            self._note_silence(error)
            return
        self._is_silent = False
        self._cursor = told.cursor
        self._health = next((health for health in told.health if health.service == self.name), self._health)
        self._view.take(told)

    def _fetch(self) -> bytes:
        connection = http.client.HTTPConnection(self._host, self._port, timeout=_TIMEOUT)
        try:
            connection.request("GET", f"{self._path}?{query_of(self._cursor)}")
            response = connection.getresponse()
            body = response.read(_MOST_BYTES)
        finally:
            connection.close()
        if response.status != http.HTTPStatus.OK:
            raise MalformedFeed(f"the answer has the status {response.status}")
        return body

    def _note_silence(self, error: Exception) -> None:
        self._view.note_health(self._health.silent("malformed" if isinstance(error, MalformedFeed) else "unreachable"))
        if not self._is_silent:
            self._is_silent = True
            _log.warning("A feed cannot be read.", extra={"service": self.name, "error.type": type(error).__qualname__})

"""What :func:`~common.observability.monitoring.configure` returns, and how a process ends with it."""

import atexit
import os
import signal
import threading
from collections.abc import Callable
from concurrent.futures import wait
from types import FrameType
from typing import Protocol

from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.trace import TracerProvider

from common.observability.logging.handler import RootHandler
from common.observability.monitoring.parked import ParkedThread

__all__ = ["FLUSH_WITHIN", "Observability", "Provider"]

FLUSH_WITHIN = 2.0
"""Seconds that the end of the process waits for exporters."""


class Observability:
    """The telemetry of this process. Both methods return in time, whatever exporters do, and never raise."""

    def __init__(
        self,
        tracer_provider: TracerProvider | None,
        meter_provider: MeterProvider | None,
        log_handler: RootHandler,
        logger_provider: "Provider | None" = None,
    ) -> None:
        """Hold what was set up; ``None`` stands for what somebody else provides, or nobody."""
        self.tracer_provider = tracer_provider
        self.meter_provider = meter_provider
        self.log_handler = log_handler
        self._sinks = [
            (ParkedThread(f"common-flush-{name}"), provider)
            for name, provider in self._providers(tracer_provider, meter_provider, logger_provider)
            if provider is not None
        ]

    def flush(self, deadline: float = FLUSH_WITHIN) -> bool:
        """Export what is waiting, within *deadline* seconds; return whether all of it went out in time.

        On Lambda, call it in ``finally`` of the handler: the process is frozen between invocations.
        """
        milliseconds = max(1, int(deadline * 1000))
        return self._everywhere(lambda provider: provider.force_flush(milliseconds), deadline)

    def shutdown(self, deadline: float = FLUSH_WITHIN) -> bool:
        """Export what is waiting and stop exporting, within *deadline* seconds; return whether it was done in time."""
        return self._everywhere(lambda provider: provider.shutdown(), deadline)

    def end_with_the_process(self, deadline: float = FLUSH_WITHIN) -> None:
        """Shut down at exit, and on SIGTERM where nobody else handles it.

        A server handles SIGTERM by itself and comes to its exit in order; without a handler, the signal would end the
        process before anything is exported. Only the main thread may set one.
        """
        atexit.register(self.shutdown, deadline)
        if threading.current_thread() is not threading.main_thread():
            return
        if signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
            return

        def export_and_end(number: int, frame: FrameType | None) -> None:
            self.shutdown(deadline)
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            os.kill(os.getpid(), signal.SIGTERM)

        signal.signal(signal.SIGTERM, export_and_end)

    @staticmethod
    def _providers(*providers: "Provider | None") -> "list[tuple[str, Provider | None]]":
        return list(zip(("traces", "metrics", "logs"), providers, strict=True))

    def _everywhere(self, work: "Callable[[Provider], object]", deadline: float) -> bool:
        futures = [thread.submit(_bound(work, provider)) for thread, provider in self._sinks]
        done, waiting = wait(futures, timeout=deadline)
        return not waiting and all(future.exception() is None for future in done)


class Provider(Protocol):
    """What the providers of all signals have in common."""

    def force_flush(self, timeout_millis: int = ...) -> bool:
        """Export what is waiting; return whether that was done in time."""

    def shutdown(self) -> None:
        """Export what is waiting, and stop."""


def _bound(work: Callable[[Provider], object], provider: Provider) -> Callable[[], None]:
    def run() -> None:
        if work(provider) is False:
            raise TimeoutError("Not everything was exported.")

    return run

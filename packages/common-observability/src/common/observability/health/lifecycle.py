"""Where the process stands between start and end, and what SIGTERM changes."""

import os
import signal
import threading
from enum import StrEnum
from types import FrameType
from typing import Any

__all__ = ["Lifecycle", "State"]


class State(StrEnum):
    """The states in their order; the value is the reason that ``/readyz`` gives."""

    STARTING = "starting"
    READY = "ready"
    DRAINING = "draining"
    """SIGTERM has come: no new work, what is in flight is served."""
    STOPPED = "stopped"


class Lifecycle:
    """The state of one process. It only ever moves forward.

    >>> lifecycle = Lifecycle()
    >>> lifecycle.ready(); lifecycle.drain(); lifecycle.ready()
    >>> lifecycle.state
    <State.DRAINING: 'draining'>
    """

    def __init__(self, *, drain: float = 0.0) -> None:
        """Begin in STARTING.

        Args:
            drain: Seconds between SIGTERM and the end of the server, in which ``/readyz`` already says ``draining``
                and requests are still taken: as long as a load balancer needs to notice. 0 ends at once.
        """
        self._drain = drain
        self._state = State.STARTING
        self._handler: _SigtermHandler | None = None

    @property
    def state(self) -> State:
        """The state now."""
        return self._state

    def ready(self) -> None:
        """Start-up is over."""
        self._move(State.READY)

    def drain(self) -> None:
        """The end has been announced."""
        self._move(State.DRAINING)

    def stop(self) -> None:
        """The end has come."""
        self._move(State.STOPPED)

    def watch_sigterm(self) -> None:
        """Set the handler of SIGTERM: state first, then, after the drain time, whoever handled it before.

        A second SIGTERM does not wait. Only the main thread may set a handler; elsewhere, and where ours is set
        already, nothing happens.
        """
        if threading.current_thread() is not threading.main_thread():
            return
        previous = signal.getsignal(signal.SIGTERM)
        if self._handler is None or previous is not self._handler:
            self._handler = _SigtermHandler(self, previous, self._drain)
            signal.signal(signal.SIGTERM, self._handler)

    def unwatch_sigterm(self) -> None:
        """Put the handler back that was there before, where ours is still set and this is the main thread."""
        handler, self._handler = self._handler, None
        if handler is None:
            return
        handler.forget_timer()
        current: object = signal.getsignal(signal.SIGTERM)
        if current is handler and threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, signal.SIG_DFL if handler.previous is None else handler.previous)

    def _move(self, state: State) -> None:
        # Called from a signal handler too: one assignment, no lock.
        order = list(State)
        if order.index(state) > order.index(self._state):
            self._state = state


class _SigtermHandler:
    """One handler in a chain; each keeps whom it replaced, so that a server may put ours back when it ends."""

    def __init__(self, lifecycle: Lifecycle, previous: Any, drain: float) -> None:
        self.previous = previous
        self._lifecycle = lifecycle
        self._drain = drain
        self._timer: threading.Timer | None = None

    def __call__(self, number: int, frame: FrameType | None) -> None:
        is_first = self._lifecycle.state in (State.STARTING, State.READY)
        self._lifecycle.drain()
        self.forget_timer()
        if is_first and self._drain > 0:
            # The signal is sent again, so that the previous handler runs where handlers run: in the main thread.
            self._timer = threading.Timer(self._drain, os.kill, (os.getpid(), number))
            self._timer.daemon = True
            self._timer.start()
        elif callable(self.previous):
            self.previous(number, frame)
        elif self.previous != signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)

    def forget_timer(self) -> None:
        """Do not send the signal again: the end has begun already."""
        if self._timer is not None:
            self._timer.cancel()

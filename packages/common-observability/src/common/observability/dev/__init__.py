"""A live page for whoever writes a service: health, operations, traces and audit events, as they happen.

Off by default, and then nothing of it is imported. It is switched on by ``COMMON_OBS_DEV_PAGE=1`` in any environment
but production, needs no extra, and answers this machine alone:

- one process: put :meth:`DevApp.around` in front of the application, and open ``/dev``;
- several: let each serve its own ``/dev/feed``, and one :class:`FeedReader` read them all into the :class:`LiveView` of
  one more :class:`DevApp`.

What is drawn on a terminal instead is :mod:`common.observability.monitoring.dev`.
"""

from common.observability.dev.app import DevApp
from common.observability.dev.audit import LiveAudit, ShownEvent
from common.observability.dev.health import ShownHealth
from common.observability.dev.reader import FeedReader
from common.observability.dev.spans import LiveSpans
from common.observability.dev.view import LiveView

__all__ = ["DevApp", "FeedReader", "LiveAudit", "LiveSpans", "LiveView", "ShownEvent", "ShownHealth"]

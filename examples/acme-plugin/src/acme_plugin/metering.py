"""What each access pattern costs. Needs common-dynamo; imported by the hook that is called with it."""

import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING

from common.dynamo import Cost
from common.dynamo.interceptors import Call

if TYPE_CHECKING:
    from common.dynamo.execution import Result


class PatternMeter:
    """An interceptor that adds up capacity units and round trips by the name of the access pattern."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._costs: dict[str, Cost] = {}

    @property
    def costs(self) -> Mapping[str, Cost]:
        """The cost of each pattern so far, of calls that succeeded."""
        with self._lock:
            return dict(self._costs)

    def on_request(self, call: Call, /) -> None:
        """Do nothing: what a call costs is known when it ends."""

    def on_result(self, call: Call, result: "Result", /) -> None:
        """Add the cost of *result* to its pattern."""
        with self._lock:
            self._costs[call.pattern] = self._costs.get(call.pattern, Cost()) + result.cost

    def on_error(self, call: Call, error: BaseException, /) -> None:
        """Do nothing: an error does not tell what it cost."""

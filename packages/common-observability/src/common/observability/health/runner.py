"""Asks checks, and makes reports of groups of them."""

import asyncio
import os
import threading
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, TypeAlias, overload

from common.core.health import CheckAnswer, CheckContext, CheckSpec, HealthCheck, Outcome, Status
from common.exceptions import ConfigurationError
from common.observability.health.aggregation import Aggregator, Finding, worst
from common.observability.health.execution import CheckRun, Clocks, Executors, Flight
from common.observability.health.heartbeat import LoopHeartbeat
from common.observability.health.lifecycle import Lifecycle, State
from common.observability.health.metrics import HealthMetrics
from common.observability.health.page import render_page
from common.observability.health.pool import DaemonPool, LoopThread
from common.observability.health.refresh import BackgroundRefresh
from common.observability.health.report import Headers, Level, Report, ServiceDescription
from common.observability.health.transitions import Listener, Transitions
from common.observability.health.waiting import landed, wait_async, wait_sync
from common.observability.suppression import suppressing_context

if TYPE_CHECKING:
    from common.core.plugins import PluginListing

__all__ = ["CheckFunction", "HealthRequest", "HealthRunner"]

CheckFunction: TypeAlias = Callable[[CheckContext], CheckAnswer | Awaitable[CheckAnswer]]

_STANDARD = ("liveness", "readiness", "startup")
_LIFECYCLE = CheckSpec("lifecycle", component_type="system")


@dataclass(frozen=True, slots=True)
class HealthRequest:
    """What a probe asked, whichever adapter took it."""

    path: str
    method: str = "GET"
    headers: Mapping[str, str] = field(default_factory=dict)
    """Names in lower case."""


@dataclass(frozen=True, slots=True)
class _FunctionCheck:
    spec: CheckSpec
    check: CheckFunction


def _tell_nothing(request: HealthRequest) -> Level:
    return Level.NONE


def _no_plugins() -> "Sequence[PluginListing]":
    return ()


class HealthRunner:
    """The health of one process: its checks, groups of them, and the lifecycle.

    Works under asyncio (:meth:`evaluate`), in threads and on Lambda (:meth:`evaluate_sync`); a check is asynchronous or
    not, whichever of the two asks. Every report is there within *deadline*. A check runs once however many ask, its
    answer is kept for its ``ttl``, and one that hangs costs a thread of a small pool of its own and nothing else.

    >>> runner = HealthRunner()
    >>> runner.add(CheckSpec("disk", ttl=1.0), lambda context: True)
    >>> runner.evaluate_sync("readiness").status.name
    'FAIL'
    >>> runner.start()
    >>> runner.evaluate_sync("readiness").status.name
    'PASS'
    """

    _is_latched = _is_started = False
    _loop_thread: LoopThread | None = None
    _serving_loop: asyncio.AbstractEventLoop | None = None

    def __init__(
        self,
        checks: Iterable[HealthCheck] = (),
        *,
        service: ServiceDescription | None = None,
        detail_level: Callable[[HealthRequest], Level] = _tell_nothing,
        groups: Mapping[str, Iterable[str]] | None = None,
        aggregators: Mapping[str, Aggregator] | None = None,
        listeners: Iterable[Listener] = (),
        lifecycle: Lifecycle | None = None,
        plugins: "Callable[[], Sequence[PluginListing]]" = _no_plugins,
        owners: Mapping[str, str] | None = None,
        deadline: float = 0.8,
        threads: int = 16,
        isolated: Iterable[str] = (),
        refresh: bool = False,
        allow_remote_liveness: bool = False,
        clocks: Clocks | None = None,
    ) -> None:
        """Prepare; nothing runs yet.

        Args:
            checks: For example ``plugins.health_checks()``.
            service: Who answers.
            detail_level: How much a request may see. Without it nobody sees more than the status.
            groups: Further members of groups, by the names of checks; new names make new groups.
            aggregators: Own rules for single groups; the worst member by default.
            listeners: Told of every transition.
            lifecycle: With a drain time, for example.
            plugins: ``plugins.listing``, for ``/info``.
            owners: Name of the plugin that contributed a check, by the check's name, for log lines; see
                :func:`owners_of_checks`.
            deadline: Seconds within which a report is there; Kubernetes gives a probe 1 second by default.
            threads: Most threads for checks that block.
            isolated: Names of asynchronous checks that run on a loop of their own, in a thread, since they block it.
            refresh: Run checks in the background from the start on, each when half of its ``ttl`` is over; probes
                only read. Not for AWS Lambda, where nothing runs between invocations.
            allow_remote_liveness: Let checks of a datastore decide whether this process is restarted.
            clocks: For the age of answers.

        Raises:
            ConfigurationError: Two checks share a name, or a datastore is checked for liveness.
        """
        self.service = service or ServiceDescription()
        self.detail_level = detail_level
        self.lifecycle = lifecycle or Lifecycle()
        self.plugins = plugins
        self._groups = {name: frozenset(members) for name, members in (groups or {}).items()}
        self._aggregators = dict(aggregators or {})
        self._clocks = clocks or Clocks()
        self._deadline = deadline
        self._threads = threads
        self._isolated = frozenset(isolated)
        self._allow_remote_liveness = allow_remote_liveness
        self._transitions = Transitions(listeners, owners or {})
        self._metrics = HealthMetrics(self._transitions)
        self._heartbeat = LoopHeartbeat()
        self._checks: dict[str, HealthCheck] = {}
        self._context = suppressing_context()
        self._begin()
        everything = partial(self._members, None)
        self._refresh = BackgroundRefresh(everything, self._background, deadline) if refresh else None
        for check in (self._heartbeat, *checks):
            self.add(check)

    @overload
    def add(self, check: HealthCheck, /) -> None: ...
    @overload
    def add(self, check: CheckSpec, function: CheckFunction, /) -> None: ...
    def add(self, check: HealthCheck | CheckSpec, function: CheckFunction | None = None, /) -> None:
        """Add a check, or a function as one; before or after the start.

        Raises:
            ConfigurationError: The name is taken, or a datastore is checked for liveness.
        """
        if isinstance(check, CheckSpec):
            if function is None:
                raise ConfigurationError(f"Health check {check.name!r} has no function. Give it as second argument.")
            check = _FunctionCheck(check, function)
        self._admit(check.spec)
        self._checks[check.spec.name] = check
        self._runs[check.spec.name] = CheckRun(check, self._clocks, self._note)

    def start(self) -> None:
        """Be READY, and watch for SIGTERM; call it when start-up is over. A second call repeats nothing but the watch.

        :class:`HealthApp` calls it when the application it wraps has started, and the plugin of this distribution when
        the runner is among ``App.provides``.

        Raises:
            ConfigurationError: A configured group has a member that does not exist.
        """
        self.validate()
        if not self._is_started:
            self._is_started = True
            self._metrics.report_statuses()
        self.lifecycle.watch_sigterm()
        self.lifecycle.ready()
        if self._refresh is not None:
            self._refresh.start()

    def stop(self) -> None:
        """Be STOPPED, and let go of the event loops and of SIGTERM."""
        self.lifecycle.stop()
        self.lifecycle.unwatch_sigterm()
        self._heartbeat.stop()
        self._serving_loop = None
        if self._refresh is not None:
            self._refresh.stop()
        with self._lock:
            if self._loop_thread is not None:
                self._loop_thread.stop()
                self._loop_thread = None

    def start_on_this_loop(self) -> None:
        """Same as :meth:`start`, in a coroutine: liveness watches its event loop too."""
        self._serving_loop = asyncio.get_running_loop()
        self._heartbeat.watch(self._serving_loop)
        self.start()

    def validate(self) -> None:
        """Check what can be known only when all checks are there.

        Raises:
            ConfigurationError: A configured group has a member that does not exist; the message names both.
        """
        for group, members in self._groups.items():
            if missing := sorted(members - self._checks.keys()):
                known = ", ".join(sorted(self._checks))
                raise ConfigurationError(
                    f"Health group {group!r} has a member {missing[0]!r}, and no check has that name. Known: {known}."
                )
        if strangers := sorted(self._isolated - self._checks.keys()):
            raise ConfigurationError(f"isolated= names a health check {strangers[0]!r} that does not exist.")

    def group_names(self) -> list[str]:
        """Return the names of all groups, the standard ones first."""
        own = {name for check in self._checks.values() for name in check.spec.groups} | self._groups.keys()
        return [*_STANDARD, *sorted(own - set(_STANDARD))]

    def check_names(self) -> list[str]:
        """Return the names of all checks, in the order they were added."""
        return list(self._checks)

    async def evaluate(self, group: str | None = "readiness", level: Level = Level.NONE) -> Report:
        """Ask the checks of *group* and report; ``None`` stands for all groups.

        Raises:
            KeyError: There is no such group.
        """
        runs = self._members(group)
        return self._report(group, await self._findings(runs), level)

    def evaluate_sync(self, group: str | None = "readiness", level: Level = Level.NONE) -> Report:
        """Same as :meth:`evaluate`, for code without an event loop; it blocks the thread."""
        runs = self._members(group)
        return self._report(group, self._findings_sync(runs), level)

    async def evaluate_check(self, name: str, level: Level = Level.NONE) -> Report:
        """Ask one check and report.

        Raises:
            KeyError: There is no such check.
        """
        return self._single(await self._findings([self._run(name)]), level)

    def evaluate_check_sync(self, name: str, level: Level = Level.NONE) -> Report:
        """Same as :meth:`evaluate_check`, for code without an event loop; it blocks the thread."""
        return self._single(self._findings_sync([self._run(name)]), level)

    # Membership

    def _begin(self) -> None:
        """Take nothing over from the process that this one was forked from: its threads are not here."""
        self._pid = os.getpid()
        self._lock = threading.Lock()
        self._pool = DaemonPool(self._threads)
        self._loop_thread = None
        self._runs = {name: CheckRun(check, self._clocks, self._note) for name, check in self._checks.items()}

    def _admit(self, spec: CheckSpec) -> None:
        if spec.name in self._checks or spec.name == _LIFECYCLE.name:
            raise ConfigurationError(f"Two health checks are called {spec.name!r}. Rename or block one of them.")
        is_liveness = "liveness" in spec.groups or spec.name in self._groups.get("liveness", ())
        if is_liveness and spec.component_type == "datastore" and not self._allow_remote_liveness:
            raise ConfigurationError(
                f"Health check {spec.name!r} asks a datastore and is in the group liveness: when the datastore is away, "
                "every process would be restarted. Move it to readiness, or set allow_remote_liveness=True."
            )

    def _members(self, group: str | None) -> list[CheckRun]:
        if self._pid != os.getpid():
            self._begin()
        if group is None:
            return [run for run in self._runs.values() if self._is_asked(run.spec)]
        if group not in self.group_names():
            raise KeyError(group)
        if group == "startup" and self._is_latched:
            return []
        return [run for run in self._runs.values() if self._belongs(run.spec, group) and self._is_asked(run.spec)]

    def _is_asked(self, spec: CheckSpec) -> bool:
        return spec is not self._heartbeat.spec or self._heartbeat.is_watching

    def _belongs(self, spec: CheckSpec, group: str) -> bool:
        return group in spec.groups or spec.name in self._groups.get(group, ())

    def _run(self, name: str) -> CheckRun:
        if self._pid != os.getpid():
            self._begin()
        return self._runs[name]

    # Asking

    async def _findings(self, runs: Iterable[CheckRun]) -> list[Finding]:
        if self._is_refreshed():
            return [run.read() for run in runs]
        loop, until = asyncio.get_running_loop(), time.monotonic() + self._deadline
        asked = {run: run.ask(self._executors(run.spec, loop)) for run in runs}
        if flights := _flights(asked):
            await wait_async(flights, until)
        return _answers(asked)

    def _findings_sync(self, runs: Iterable[CheckRun]) -> list[Finding]:
        if self._is_refreshed():
            return [run.read() for run in runs]
        until = time.monotonic() + self._deadline
        asked = {run: run.ask(self._executors(run.spec)) for run in runs}
        if flights := _flights(asked):
            wait_sync(flights, until)
        return _answers(asked)

    def _is_refreshed(self) -> bool:
        if self._refresh is None or not self._is_started or self.lifecycle.state is State.STOPPED:
            return False
        # In a forked child the thread is not there yet.
        self._refresh.start()
        return True

    def _executors(self, spec: CheckSpec, loop: asyncio.AbstractEventLoop | None = None) -> Executors:
        """Return where a check runs: on *loop*, else on one of our own."""
        if loop is None or spec.name in self._isolated:
            return Executors(self._pool, self._own_loop, self._context, is_isolated=spec.name in self._isolated)
        return Executors(self._pool, lambda: loop, self._context)

    def _background(self, spec: CheckSpec) -> Executors:
        # What an asynchronous check uses, such as a client with open connections, may belong to the server's loop.
        return self._executors(spec, self._serving_loop)

    def _own_loop(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            if self._loop_thread is None:
                self._loop_thread = LoopThread()
            return self._loop_thread.loop

    def _note(self, finding: Finding) -> None:
        self._metrics.record(finding)
        self._transitions.note(finding)

    # Reporting

    def _report(self, group: str | None, findings: Sequence[Finding], level: Level) -> Report:
        groups = [group] if group is not None else self.group_names()
        statuses = {name: self._status(name, findings) for name in groups}
        return self._made(findings, level, statuses)

    def _status(self, group: str, findings: Sequence[Finding]) -> Status:
        if group == "startup" and self._is_latched:
            return Status.PASS
        members = [finding for finding in findings if self._belongs(finding.spec, group)]
        status = self._aggregators.get(group, worst)(members) if members else Status.PASS
        if group != "liveness" and self._is_held_back(group, is_empty=not members):
            status = Status.FAIL
        if group == "startup" and status is not Status.FAIL:
            self._is_latched = True
        return status

    def _is_held_back(self, group: str, *, is_empty: bool) -> bool:
        state = self.lifecycle.state
        if group == "readiness":
            return state is not State.READY
        return state is State.STARTING and (group == "startup" or is_empty)

    def _single(self, findings: Sequence[Finding], level: Level) -> Report:
        return self._made(findings, level, {})

    def _made(self, findings: Sequence[Finding], level: Level, groups: Mapping[str, Status]) -> Report:
        now, wall = self._clocks.monotonic(), self._clocks.wall()
        staged = {"readiness", "startup"} & groups.keys()
        return Report(
            status=max(groups.values() if groups else (finding.status for finding in findings)),
            findings=(*findings, self._stage(now, wall)) if staged else tuple(findings),
            level=level,
            service=self.service,
            max_age=min((finding.remaining(now, wall) for finding in findings), default=0.0),
            groups=groups,
            members=self._members_by_check(findings) | {_LIFECYCLE.name: frozenset(staged)},
        )

    def _members_by_check(self, findings: Sequence[Finding]) -> dict[str, frozenset[str]]:
        specs = (finding.spec for finding in findings)
        own = {name: frozenset(members) for name, members in self._groups.items()}
        return {spec.name: spec.groups | {group for group in own if spec.name in own[group]} for spec in specs}

    def page(self, report: Report) -> tuple[int, Headers, bytes]:
        """Return *report* as a page of HTML, with the last transitions: status code, headers and body."""
        return render_page(report, self._transitions.history(), self._clocks.wall())

    def _stage(self, now: float, wall: float) -> Finding:
        """Return the lifecycle as a finding; its changes are transitions like those of any check."""
        state = self.lifecycle.state
        outcome = Outcome() if state is State.READY else Outcome(Status.FAIL, state.value)
        finding = Finding(spec=_LIFECYCLE, outcome=outcome, monotonic=now, wall=wall)
        self._transitions.note(finding)
        return finding


_Asked: TypeAlias = Mapping[CheckRun, Finding | Flight]


def _flights(asked: _Asked) -> dict[CheckRun, Flight]:
    return {run: answer for run, answer in asked.items() if isinstance(answer, Flight)}


def _answers(asked: _Asked) -> list[Finding]:
    return [answer if isinstance(answer, Finding) else landed(run, answer) for run, answer in asked.items()]

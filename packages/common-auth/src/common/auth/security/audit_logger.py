"""The audit logger: declared events, without secrets, in one order, to every sink on a thread of its own.

An event is redacted, numbered and queued on the caller's thread, which never waits for a sink. Where an operation must
leave a record or not happen, :meth:`AuditLogger.emit_required` waits until a durable sink has it.
"""

import atexit
import os
import threading
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from common.auth.doctor import Finding
from common.auth.exceptions import AuditUnavailable, ConfigurationError
from common.auth.security.audit_anchorer import Anchorer, Anchoring, ChainMarks
from common.auth.security.audit_chain import Chain
from common.auth.security.audit_concealment import CONCEALED_ROOM, Concealment
from common.auth.security.audit_entry import Acknowledgement, Content, Entry
from common.auth.security.audit_event_form import EventForm, check_service
from common.auth.security.audit_lane import Lane
from common.auth.security.audit_line import DETAILS_ROOM, Serialiser, checked_serialiser, encode_event, fits, to_json
from common.auth.security.audit_mac import EvolvingKey
from common.auth.security.audit_query import AuditPage, AuditQuery, reader_among
from common.auth.security.audit_sink_state import SinkPolicy, SinkState
from common.auth.security.audit_supervisor import Supervisor
from common.auth.security.audit_types import (
    AUDIT_GAP,
    AUDIT_READ,
    AUDIT_RECOVERED,
    AUDIT_UNACKNOWLEDGED,
    STREAM_END,
    SYS_MONITOR_DISABLED,
    SYS_MONITOR_ENABLED,
    declare,
)
from common.auth.security.audit_values import AuditEmitter, AuditStats, EventRef, FlushReport
from common.auth.security.clock import SYSTEM, Clock
from common.auth.security.context import Claimed, RequestContext
from common.auth.security.key_strength import require_strong_secret
from common.auth.security.redaction import Redactor
from common.auth.security.secrets import SecretBytes
from common.auth.security.sink_rules import check_sinks
from common.auth.security.subject_keys import SubjectKeys
from common.core.audit import AuditOutcome, AuditSink, AuditType

__all__ = ["AuditEmitter", "AuditLogger", "AuditStats", "EventRef", "FlushReport", "SinkPolicy"]

_KEY_BYTES: Final = 32
_SECONDS_AT_EXIT: Final = 2.0
_SHARE_OF_SINKS: Final = 0.8
"""Of the time that closing may take; the rest is for anchors, so that a sink that hangs costs the others none."""


class AuditLogger:
    """Writes the audit trail of one process. Safe to share between threads; a forked child begins a stream of its own.

    Threads start with the first event. :meth:`close` belongs to the end of the service; what nobody closed is flushed
    for up to two seconds when the interpreter exits.

    Args:
        sinks: Where events go, such as ``plugins.audit_sinks()``.
        service: Name of this service, ``[A-Za-z0-9][A-Za-z0-9._-]{0,63}``.
        types: The service's own kinds of events, beside :data:`~common.auth.security.audit_types.FAMILY_TYPES`.
        queue: How many events may wait for each sink.
        key: Keys the hashes of session ids, token ids and unproven user names, at least 32 bytes. Without it they are
            comparable within this process only.
        anchoring: Where signed statements of the trail's head go, so that it can be verified; ``None`` for none. Only
            the chains of durable sinks are anchored.
        subject_keys: Keys of persons: what tells of one is stored sealed, so that it can be erased; ``None`` stores it
            as it is.
        policy: How long a sink may take, and what happens when it fails.
        owners: Name of the plugin that contributed a sink, by name of the sink, for logs and counters.
        serialise: Makes JSON of an event; ``orjson.dumps`` is one.
        clock: Tells the time.
        random: Makes as many random bytes as it is asked for.

    Raises:
        ConfigurationError: A sink is no sink or is asynchronous, two share a name, a type is declared twice, or another
            argument cannot be used.
        WeakKey: *key* is too short or too simple.

    >>> from common.auth.security.audit_sinks import MemorySink
    >>> trail = MemorySink()
    >>> audit = AuditLogger([trail], service="orders", types=[AuditType("order_placed", frozenset({"order"}))])
    >>> ref = audit.emit("order_placed", outcome=AuditOutcome.SUCCESS, actor="u-1", order="o-1", card="4111…")
    >>> audit.close().complete
    True
    >>> trail.events[0].actor, dict(trail.events[0].details)
    ('u-1', {'order': 'o-1'})
    """

    def __init__(
        self,
        sinks: Sequence[AuditSink],
        *,
        service: str,
        types: Sequence[AuditType] = (),
        queue: int = 10_000,
        key: SecretBytes | None = None,
        anchoring: Anchoring | None = None,
        subject_keys: SubjectKeys | None = None,
        policy: SinkPolicy | None = None,
        owners: Mapping[str, str] | None = None,
        serialise: Serialiser = to_json,
        clock: Clock = SYSTEM,
        random: Callable[[int], bytes] = os.urandom,
    ) -> None:
        check_sinks(sinks)
        _check_options(service, queue, key)
        self._sinks = tuple(sinks)
        self._service = service
        self._types = declare(types)
        self._queue = queue
        self._redactor = Redactor(key or SecretBytes(random(_KEY_BYTES)))
        self._has_key = key is not None
        self._anchoring = anchoring
        self._concealment = Concealment(subject_keys, random=random) if subject_keys is not None else None
        self._policy = policy or SinkPolicy()
        self._owners = dict(owners or {})
        self._serialise = checked_serialiser(serialise)
        self._clock = clock
        self._random = random
        self._is_closed = False
        self._begin_stream()

    @property
    def stream(self) -> str:
        """Name of this process's ordered sequence: the service and a random boot id."""
        return self._stream

    def start(self) -> None:
        """Start the threads now instead of with the first event. Calling it again does nothing."""
        with self._order:
            self._start()
        for lane in self._lanes:
            lane.start()

    def emit(
        self,
        type: str,
        *,
        outcome: AuditOutcome,
        actor: str | Claimed | None = None,
        subject: str | Claimed | None = None,
        reason: str | None = None,
        ctx: RequestContext | None = None,
        **details: object,
    ) -> EventRef:
        """Queue an event for every sink. Takes some 20 µs of CPU and never waits for a sink; may run on an event loop.

        Args:
            type: Name of a declared type.
            outcome: Whether what was tried came about.
            actor: Who acted: an opaque user id; :class:`~common.auth.security.context.Claimed` where nobody has proven it.
            subject: Whom or what it was done to.
            reason: A stable code, such as ``wrong_password``.
            ctx: The request.
            details: Fields that the type declares; others are left out, which is logged once for each.

        Raises:
            ConfigurationError: The type is not declared, or it is a required one.
        """
        kind = self._kind(type)
        if kind.required:
            raise ConfigurationError(
                f"Audit type {type!r} is required: use emit_required(), which waits for a durable sink."
            )
        if self._is_closed:
            return self._refuse(type)
        return self._publish(self._fields(kind, outcome, actor, subject, reason, ctx, details))

    def emit_required(
        self,
        type: str,
        *,
        outcome: AuditOutcome,
        actor: str | Claimed | None = None,
        subject: str | Claimed | None = None,
        reason: str | None = None,
        ctx: RequestContext | None = None,
        timeout: float = 2.0,
        **details: object,
    ) -> EventRef:
        """Same as :meth:`emit`, but return only when a durable sink has stored the event. Blocks: not for an event loop.

        Call it before the operation takes effect, and let the error refuse the operation. If the event is stored after
        all, an ``audit_unacknowledged`` event behind it says that it did not count.

        Args:
            timeout: Seconds to wait.

        Raises:
            AuditUnavailable: No durable sink has stored it in time, or none is working. Refuse the operation.
            ConfigurationError: The type is not declared.
        """
        kind = self._kind(type)
        durable = [lane.name for lane in self._lanes if lane.durable and lane.state is SinkState.OK]
        if self._is_closed or not durable:
            self._announce(AUDIT_UNACKNOWLEDGED, event_type=type)
            raise AuditUnavailable(
                f"No durable audit sink is working, and {type!r} needs one.", reason="no_durable_sink"
            )
        acknowledgement = Acknowledgement(durable)
        ref = self._publish(self._fields(kind, outcome, actor, subject, reason, ctx, details), acknowledgement)
        if not acknowledgement.wait(timeout):
            self._announce(AUDIT_UNACKNOWLEDGED, event=ref.id, event_seq=ref.seq, event_type=type)
            raise AuditUnavailable(
                f"No durable audit sink stored {type!r} within {timeout} s.", reason="not_acknowledged"
            )
        return ref

    def query(
        self,
        *,
        subject: str | None = None,
        type: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        request_id: str | None = None,
        cursor: str | None = None,
        limit: int = 50,
        actor: str | None = None,
        ctx: RequestContext | None = None,
    ) -> AuditPage:
        """Return the newest *limit* records for which all that is given holds, or those after *cursor*.

        Reading leaves a record too (``audit_read``): who asked for what, and how much came of it. Blocks: not for an
        event loop. *subject* to *request_id* are those of :class:`~common.auth.security.audit_query.AuditQuery`.

        Args:
            cursor: :attr:`AuditPage.next` of the same query.
            limit: Records at most, at least 1.
            actor: Who reads.
            ctx: The request that reads.

        Raises:
            ConfigurationError: No sink can be read, or a moment has no time zone.
            StoreUnavailable: What keeps the records does not answer.
            CommonError: With status 400, where *cursor* is none of this query's.
        """
        asked = AuditQuery(subject=subject, type=type, since=since, until=until, request_id=request_id)
        reader = reader_among(self._sinks)
        told: dict[str, Any] = {"actor": actor, "subject": subject, "ctx": ctx, "filters": asked.filters()}
        try:
            page = reader.read_page(asked, size=limit, cursor=cursor)
        except Exception as error:
            self.emit(AUDIT_READ, outcome=AuditOutcome.FAILURE, reason=getattr(error, "code", "error"), **told)
            raise
        self.emit(AUDIT_READ, outcome=AuditOutcome.SUCCESS, records=len(page.records), **told)
        return page

    def flush(self, deadline: float) -> FlushReport:
        """Wait until every sink has stored, or reported as lost, what was emitted before.

        Args:
            deadline: Seconds to wait at the most.
        """
        until = self._clock.monotonic() + deadline
        seq = self._seq
        lanes = self._lanes
        done = [lane.wait_until_settled(seq, max(0.0, until - self._clock.monotonic())) for lane in lanes]
        pending = {lane.name: lane.stats().depth for lane, settled in zip(lanes, done, strict=True) if not settled}
        return FlushReport(not pending, pending)

    def close(self, deadline: float = 5.0) -> FlushReport:
        """Take no more events, flush, end the threads and close the sinks, within *deadline* seconds.

        A sink that hangs cannot be ended: its thread is left behind and ends with the interpreter.
        """
        until = self._clock.monotonic() + deadline
        was_closed, self._is_closed = self._is_closed, True
        atexit.unregister(self._close_at_exit)
        if self._seq and not was_closed:
            self._end_stream()
        self.flush(deadline * _SHARE_OF_SINKS)
        is_anchored = self._anchorer is None or self._anchorer.close(max(0.0, until - self._clock.monotonic()))
        for lane in self._lanes:
            lane.stop(max(0.0, until - self._clock.monotonic()))
        ended = [lane.join(max(0.0, until - self._clock.monotonic())) for lane in self._lanes]
        self._supervisor.stop()
        pending = {
            lane.name: depth
            for lane, over in zip(self._lanes, ended, strict=True)
            if (depth := lane.stats().depth) or not over
        }
        return FlushReport(not pending and is_anchored, pending)

    def stats(self) -> AuditStats:
        """Return what the logger has done so far."""
        age, is_late = (None, False) if self._anchorer is None else (self._anchorer.age, self._anchorer.is_late)
        return AuditStats(
            self._stream, self._seq, self._queue, tuple(lane.stats() for lane in self._lanes), age, is_late
        )

    def disable(self, sink: str, *, cause: str = "operator") -> None:
        """Leave a sink alone until :meth:`enable`; the other sinks are told. Its queue goes on filling.

        Raises:
            ConfigurationError: No sink has this name.
        """
        self._lane(sink).disable(cause)

    def enable(self, sink: str) -> None:
        """Use a disabled sink again; the other sinks are told.

        Raises:
            ConfigurationError: No sink has this name.
        """
        self._lane(sink).enable()

    def weaknesses(self) -> tuple[Finding, ...]:
        """Return what :func:`common.auth.doctor.doctor` tells about the sinks and the key."""
        found = []
        if not any(sink.durable for sink in self._sinks):
            found.append(Finding("audit", "no_durable_sink", "Operations that need a record are refused. Add a file."))
        if self._anchoring is None and any(sink.durable for sink in self._sinks):
            found.append(Finding("audit", "no_anchors", "Who can write the trail can rewrite it. Add an anchoring."))
        if not self._has_key:
            found.append(Finding("audit", "no_key", "Hashes differ from process to process. Give the logger a key."))
        return tuple(found)

    def pseudonym(self, identifier: str) -> str:
        """Return what the trail stores in place of *identifier*, for searching it."""
        return self._redactor.pseudonym(identifier)

    # What lanes tell

    def sink_changed(self, lane: Lane, state: SinkState, cause: str) -> None:
        """Write that a sink went down, hangs, was turned off, or works again."""
        if state is SinkState.OK:
            self._announce(SYS_MONITOR_ENABLED, sink=lane.name, plugin=lane.plugin)
        else:
            self._announce(SYS_MONITOR_DISABLED, sink=lane.name, plugin=lane.plugin, cause=f"{state.value}: {cause}")

    def sink_lost(self, lane: Lane, runs: tuple[tuple[int, int], ...], count: int) -> None:
        """Write which events a sink will never get."""
        details = {"sink": lane.name, "plugin": lane.plugin, "lost": count, "ranges": runs}
        self._publish(self._fields(self._types[AUDIT_GAP], AuditOutcome.FAILURE, details=details), teller=(lane, runs))

    def sink_recovered(self, lane: Lane, torn: int) -> None:
        """Write that a crash had left something at the end of a sink's store."""
        self._announce(AUDIT_RECOVERED, sink=lane.name, plugin=lane.plugin, torn=torn)

    # Inside

    def _begin_stream(self) -> None:
        self._pid = os.getpid()
        self._order = threading.Lock()
        self._form = EventForm(
            service=self._service,
            boot_id=self._random(8).hex(),
            redactor=self._redactor,
            room=DETAILS_ROOM if self._concealment is None else CONCEALED_ROOM,
            clock=self._clock,
            random=self._random,
        )
        self._stream = self._form.stream
        self._seq = 0
        self._is_started = False
        self._anchorer = (
            Anchorer(self._anchoring, stream=self._stream, clock=self._clock) if self._anchoring is not None else None
        )
        self._lanes = tuple(self._lane_of(sink) for sink in self._sinks)
        self._supervisor = Supervisor(self._watch, interval=self._policy.timeout / 4)

    def _lane_of(self, sink: AuditSink) -> Lane:
        master = None if self._anchoring is None or not sink.durable else self._anchoring.mac_key
        return Lane(
            sink,
            plugin=self._owners.get(sink.name, ""),
            bound=self._queue,
            policy=self._policy,
            clock=self._clock,
            events=self,
            chain=Chain(None if master is None else EvolvingKey(master, self._stream, sink.name)),
            marks=ChainMarks(self._anchorer, sink.name) if self._anchorer is not None and sink.durable else None,
        )

    def _watch(self) -> None:
        now = self._clock.monotonic()
        for lane in self._lanes:
            lane.watch(now)

    def _kind(self, type: str) -> AuditType:
        kind = self._types.get(type)
        if kind is None:
            raise ConfigurationError(
                f"Audit type {type!r} is not declared. Add it to the logger's types, with its fields."
            )
        return kind

    def _lane(self, name: str) -> Lane:
        for lane in self._lanes:
            if lane.name == name:
                return lane
        raise ConfigurationError(f"No audit sink is called {name!r}.")

    def _announce(self, type: str, **details: object) -> None:
        self._publish(self._fields(self._types[type], AuditOutcome.FAILURE, details=details))

    def _fields(
        self,
        kind: AuditType,
        outcome: AuditOutcome,
        actor: str | Claimed | None = None,
        subject: str | Claimed | None = None,
        reason: str | None = None,
        ctx: RequestContext | None = None,
        details: Mapping[str, object] | None = None,
    ) -> dict[str, Any]:
        if os.getpid() != self._pid:
            self._begin_stream()
        return self._form.fill(kind, outcome, actor, subject, reason, ctx, details)

    def _end_stream(self) -> None:
        """Write into every durable sink that nothing is missing behind it."""
        fields = self._fields(self._types[STREAM_END], AuditOutcome.SUCCESS, details={"emitted": self._seq})
        content = self._content(fields)
        with self._order:
            self._seq += 1
            entry = Entry(content, seq=self._seq, stream=fields["stream"], severity=fields["severity"], required=True)
            for lane in self._lanes:
                if lane.durable:
                    lane.offer(entry)

    def _publish(
        self,
        fields: dict[str, Any],
        acknowledgement: Acknowledgement | None = None,
        *,
        teller: tuple[Lane, tuple[tuple[int, int], ...]] | None = None,
    ) -> EventRef:
        """Number the event and offer it to every lane, in one step, so that each lane gets the stream's order.

        *teller* is the lane whose losses the event tells: in its queue, nothing pushes the event out.
        """
        content = self._content(fields)
        with self._order:
            self._start()
            self._seq += 1
            entry = Entry(
                content,
                seq=self._seq,
                stream=fields["stream"],
                severity=fields["severity"],
                required=acknowledgement is not None,
                acknowledgement=acknowledgement,
            )
            for lane in self._lanes:
                if teller is None or lane is not teller[0]:
                    lane.offer(entry)
                else:
                    lane.gap_told(teller[1], entry.seq, kept=lane.offer(entry.kept()))
        return EventRef(fields["id"], entry.stream, entry.seq)

    def _content(self, fields: dict[str, Any]) -> Content:
        return (
            Content(fields, self._body(fields)) if self._concealment is None else Content(fields, None, self._conceal)
        )

    def _conceal(self, fields: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
        """Seal what belongs to persons; on a sink's thread, since keys may have to be fetched."""
        concealed = fields if self._concealment is None else self._concealment.conceal(fields)
        return concealed, self._body(concealed)

    def _body(self, fields: dict[str, Any]) -> bytes:
        body = encode_event(fields, self._serialise)
        if not fits(body):
            # Only a serialiser that is less compact than ours comes here: the budget counts what ours needs.
            fields.update(details={}, truncated=True)
            body = encode_event(fields, self._serialise)
        return body

    def _start(self) -> None:
        if self._is_started:
            return
        self._is_started = True
        self._supervisor.start()
        atexit.register(self._close_at_exit)

    def _close_at_exit(self) -> None:
        self.close(_SECONDS_AT_EXIT)

    def _refuse(self, type: str) -> EventRef:
        self._form.complain(
            "closed", f"Audit event {type!r} came after the logger was closed and is lost, like all that follow."
        )
        return EventRef(self._form.new_id(), self._stream, 0)


def _check_options(service: str, queue: int, key: SecretBytes | None) -> None:
    check_service(service)
    if queue < 1:
        raise ConfigurationError("AuditLogger: queue must be at least 1 event.")
    if key is not None:
        require_strong_secret(key, at_least=_KEY_BYTES, what="The audit logger's key")

"""The commands ``common audit verify``, ``tail``, ``query`` and ``erase``."""

import json
import sys
import time
from argparse import ArgumentParser, Namespace
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from itertools import islice

from common.auth.exceptions import ConfigurationError
from common.auth.security.audit_anchor import PublicKeys
from common.auth.security.audit_concealment import Concealment
from common.auth.security.audit_files import TrailFiles, find_trails, follow, last_lines, read_lines
from common.auth.security.audit_ocsf import to_ocsf
from common.auth.security.audit_reading import EventFilter, read_event
from common.auth.security.audit_settings import PREFIX, AuditSettings
from common.auth.security.audit_verification import ChainReport, Verdict, verify_chain
from common.auth.security.clock import SYSTEM
from common.core.audit import AuditEvent, AuditOutcome
from common.core.commands import CliCommand
from common.core.lifecycle import App

__all__ = ["AUDIT_COMMANDS"]

_SECONDS_BETWEEN_LOOKS = 0.2


# verify


def _verify(app: App, arguments: Namespace) -> int:
    """Return the verdict; 2 also where nothing could be read, since 1 accuses somebody."""
    settings = AuditSettings.of(app.settings)
    try:
        found = list(_reports(settings, arguments))
    except ConfigurationError as error:
        print(f"Not verified: {error}", file=sys.stderr)
        return Verdict.INCOMPLETE
    if arguments.json:
        print(json.dumps([{"file": str(trail.path), **report.as_json()} for trail, report in found]))
    else:
        for trail, report in found:
            print(f"{trail.path}:", *report.lines(), sep="\n  ")
    verdicts = {report.verdict for _, report in found}
    return next(each for each in (Verdict.TAMPERED, Verdict.INCOMPLETE, Verdict.INTACT) if each in verdicts)


def _reports(settings: AuditSettings, arguments: Namespace) -> Iterator[tuple[TrailFiles, ChainReport]]:
    keys_file = arguments.keys or settings.anchor_keys
    keys = PublicKeys.from_file(keys_file) if keys_file else None
    anchors = arguments.anchors or settings.anchor_file
    for trail in _trails(settings, arguments.trail):
        beside = trail.beside(anchors) if anchors else None
        report = verify_chain(
            trail.lines(),
            read_lines([beside]) if beside and beside.exists() else (),
            keys,
            sink=arguments.sink,
            retained=arguments.retained,
            now=None if arguments.ended else SYSTEM.now(),
            mac_key=settings.mac_key,
        )
        yield trail, report


def _trails(settings: AuditSettings, named: Sequence[str]) -> list[TrailFiles]:
    templates = list(named) or ([settings.file] if settings.file else [])
    if not templates:
        raise ConfigurationError(f"No trail is named. Name its file, or set {PREFIX}FILE.")
    return [trail for template in templates for trail in find_trails(template)]


def _verify_arguments(parser: ArgumentParser) -> None:
    _trail_argument(parser)
    parser.add_argument("--anchors", metavar="FILE", help=f"the file of anchors (default: {PREFIX}ANCHOR_FILE)")
    parser.add_argument(
        "--keys", metavar="FILE", help=f"the pinned public keys, JWK set or PEM (default: {PREFIX}ANCHOR_KEYS)"
    )
    parser.add_argument("--sink", metavar="NAME", help="of which sink the trail is, where several are anchored")
    parser.add_argument("--retained", action="store_true", help="accept that older files were removed")
    parser.add_argument("--ended", action="store_true", help="accept no stream without an end, however recent")
    parser.add_argument("--json", action="store_true", help="print the reports as JSON")


# tail and query


def _tail(app: App, arguments: Namespace) -> int:
    settings = AuditSettings.of(app.settings)
    wanted = _filter(settings, arguments)
    trails = _trails(settings, arguments.trail)
    if arguments.follow and len(trails) > 1:
        raise ConfigurationError("Only one file can be followed. Name it.")
    ends = {trail.path: trail.path.stat().st_size for trail in trails if trail.path.exists()}
    show = _Printer(settings, arguments)
    for trail in trails:
        show(last_lines(trail.lines(), arguments.lines, lambda line: _is_wanted(line, wanted)))
    if arguments.follow:
        path = trails[0].path
        lines = follow(path, wait=lambda: time.sleep(_SECONDS_BETWEEN_LOOKS), begin=ends.get(path, 0))
        with suppress(KeyboardInterrupt):  # the way to end it
            show(line for line in lines if _is_wanted(line, wanted))
    return 0


def _query(app: App, arguments: Namespace) -> int:
    settings = AuditSettings.of(app.settings)
    wanted = _filter(settings, arguments)
    lines = (line for trail in _trails(settings, arguments.trail) for line in trail.lines())
    show = _Printer(settings, arguments)
    show(islice((line for line in lines if _is_wanted(line, wanted)), arguments.limit))
    return 0


def _is_wanted(line: bytes, wanted: EventFilter) -> bool:
    event = read_event(line)
    return event is not None and wanted.matches(event)


def _filter(settings: AuditSettings, arguments: Namespace) -> EventFilter:
    people = list(arguments.subject or ())
    if settings.key is not None:
        people += map(settings.pseudonym, arguments.subject or ())
    if settings.subject_keys is not None:
        keys = map(settings.subject_keys.find, arguments.subject or ())
        people += [key.id for key in keys if key is not None]
    return EventFilter(
        types=arguments.type or (),
        outcomes=arguments.outcome or (),
        people=people,
        since=getattr(arguments, "since", None),
        until=getattr(arguments, "until", None),
        request_id=getattr(arguments, "request_id", None),
    )


class _Printer:
    """Prints stored lines in the form that is asked for."""

    def __init__(self, settings: AuditSettings, arguments: Namespace) -> None:
        self._arguments = arguments
        keys = settings.subject_keys if arguments.reveal else None
        if arguments.reveal and keys is None:
            raise ConfigurationError(f"{PREFIX}SUBJECT_KEYS is not set, so that nothing can be revealed.")
        self._reveal = Concealment(keys).reveal if keys is not None else None

    def __call__(self, lines: Iterable[bytes]) -> None:
        for line in lines:
            print(self._form(line), flush=True)

    def _form(self, line: bytes) -> str:
        event = read_event(line)
        if event is None or self._arguments.json:
            return line.decode("ascii", "backslashreplace").rstrip("\n")
        if self._reveal is not None:
            event = self._reveal(event)
        return json.dumps(to_ocsf(event)) if self._arguments.ocsf else _readable(event)


def _readable(event: AuditEvent) -> str:
    time_of_day = event.time.isoformat(timespec="milliseconds")[:23] + "Z"
    named = {
        "actor": event.actor,
        "subject": event.subject,
        "reason": event.reason,
        "request": event.request_id,
        "from": event.source_ip,
        **event.details,
    }
    facts = (f"{name}={_shown(value)}" for name, value in named.items() if value is not None)
    return " ".join((time_of_day, f"{event.stream}#{event.seq}", event.type, event.outcome.value, *facts))


def _shown(value: object) -> str:
    """Return *value* in printable ASCII: what somebody wrote into it must not reach the terminal."""
    plain = isinstance(value, str) and value.isascii() and value.isprintable() and " " not in value
    return str(value) if plain else json.dumps(value)


def _tail_arguments(parser: ArgumentParser) -> None:
    _event_arguments(parser)
    parser.add_argument(
        "-n", "--lines", type=_count, default=10, metavar="N", help="how many of the last (default: 10)"
    )
    parser.add_argument("-f", "--follow", action="store_true", help="go on with what is added, until Ctrl-C")


def _query_arguments(parser: ArgumentParser) -> None:
    _event_arguments(parser)
    parser.add_argument("--since", type=_moment, metavar="TIME", help="from this time on, ISO 8601, UTC by default")
    parser.add_argument("--until", type=_moment, metavar="TIME", help="before this time")
    parser.add_argument("--request-id", metavar="ID", help="of one request")
    parser.add_argument("--limit", type=_count, metavar="N", help="the first N (default: all)")


def _event_arguments(parser: ArgumentParser) -> None:
    _trail_argument(parser)
    parser.add_argument("--type", action="append", metavar="TYPE", help="of this type; may be given several times")
    parser.add_argument("--outcome", action="append", choices=[each.value for each in AuditOutcome])
    parser.add_argument(
        "--subject", action="append", metavar="ID",
        help=f"by or about this person: an id, or a hash as stored; with {PREFIX}KEY also a name that was hashed",
    )  # fmt: skip
    parser.add_argument("--reveal", action="store_true", help="open what is sealed, where its key is not erased")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print the stored lines")
    form.add_argument("--ocsf", action="store_true", help="print events of OCSF 1.8.0")


def _trail_argument(parser: ArgumentParser) -> None:
    parser.add_argument(
        "trail",
        nargs="*",
        metavar="FILE",
        help=f"a trail's file; renamed ones are found beside it (default: {PREFIX}FILE)",
    )


def _moment(text: str) -> datetime:
    time_given = datetime.fromisoformat(text)
    return time_given if time_given.tzinfo else time_given.replace(tzinfo=UTC)


def _count(text: str) -> int:
    number = int(text)
    if number < 0:
        raise ValueError(text)
    return number


# erase


def _erase(app: App, arguments: Namespace) -> int:
    keys = AuditSettings.of(app.settings).subject_keys
    if keys is None:
        raise ConfigurationError(f"{PREFIX}SUBJECT_KEYS is not set: events are stored as they are.")
    if not keys.erase(arguments.subject):
        print("There is no key of this person.", file=sys.stderr)
        return 1
    print("Erased: what the trail has sealed for this person cannot be read any more.")
    return 0


def _erase_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("subject", metavar="ID", help="the person, as services name them")


AUDIT_COMMANDS = (
    CliCommand("audit", "Verify and read the audit trail."),
    CliCommand(
        "audit verify",
        "Verify a trail against its anchors: exit 0 intact, 1 tampered, 2 incomplete or not verified.",
        _verify,
        _verify_arguments,
        needs_all_plugins=False,
    ),
    CliCommand("audit tail", "Show the newest events.", _tail, _tail_arguments, needs_all_plugins=False),
    CliCommand("audit query", "Show the events that match.", _query, _query_arguments, needs_all_plugins=False),
    CliCommand("audit erase", "Delete a person's key; the trail stays whole.", _erase, _erase_arguments),
)

"""The health of a process as one page of HTML: made on the server, without a script, a font or any other request."""

import base64
import hashlib
from collections.abc import Iterable
from datetime import UTC, datetime
from html import escape
from string import Template
from typing import Final

from common.core.health import Status
from common.observability.health.aggregation import Finding
from common.observability.health.report import Headers, Level, Report
from common.observability.health.transitions import Transition

__all__ = ["prefers_html", "render_page"]

_STYLE: Final = """
:root { color-scheme: light dark; font: 15px/1.5 system-ui, sans-serif; }
body { margin: 2rem auto; max-width: 60rem; padding: 0 1rem; }
table { border-collapse: collapse; width: 100%; margin-bottom: 1.5rem; }
caption { text-align: left; font-weight: 600; padding: .4rem 0; }
th, td { text-align: left; padding: .3rem .8rem .3rem 0; border-bottom: 1px solid #8884; vertical-align: top; }
td.number { font-variant-numeric: tabular-nums; white-space: nowrap; }
.pass { color: #1a7f37; } .warn { color: #9a6700; } .fail { color: #cf222e; }
.pass::before { content: "\\25CF\\00A0"; } .warn::before { content: "\\25B2\\00A0"; } .fail::before { content: "\\25A0\\00A0"; }
"""

_PAGE: Final = Template("""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>$status: $service</title>
<style>$style</style>
</head>
<body>
<h1><span class="$status">$status</span> $service</h1>
<p>$time</p>
$groups
$transitions
</body>
</html>
""")

_GROUP: Final = Template("""<table>
<caption>$name: <span class="$status">$status</span></caption>
<thead><tr><th>check</th><th>status</th><th>reason</th><th>age</th>$more</tr></thead>
<tbody>
$rows
</tbody>
</table>""")

_TRANSITIONS: Final = Template("""<table>
<caption>Last transitions</caption>
<thead><tr><th>time</th><th>check</th><th>from</th><th>to</th><th>reason</th></tr></thead>
<tbody>
$rows
</tbody>
</table>""")

_POLICY: Final = (
    "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'; style-src 'sha256-"
    + base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
    + "'"
)
"""Content Security Policy Level 3: this one style sheet, and nothing else."""


def prefers_html(accept: str) -> bool:
    """Return whether a request with that ``Accept`` header is a browser's.

    HTML is chosen where it is named and no JSON type is named with a higher weight (RFC 9110, section 12.5.1); what
    anybody sends without thinking, ``*/*``, gets JSON.
    """
    weights = dict(_weights(accept.lower()))
    html = weights.get("text/html", 0.0)
    json = max((weights.get(kind, 0.0) for kind in ("application/json", "application/health+json")), default=0.0)
    return html > 0 and html >= json


def render_page(report: Report, transitions: Iterable[Transition], now: float) -> tuple[int, Headers, bytes]:
    """Return status code, headers and body of the page: the code is that of the JSON answer.

    Durations are shown at level FULL alone, as in JSON. Whatever a plugin has named is text, never markup.

    Args:
        report: Of all groups, at level SUMMARY or FULL.
        transitions: The latest first.
        now: Seconds since the epoch, for the ages.
    """
    page = _PAGE.substitute(
        status=report.status.name.lower(),
        service=escape(" ".join(part for part in (report.service.name, report.service.version) if part) or "health"),
        style=_STYLE,
        time=_time(now),
        groups="\n".join(_group(report, name, status, now) for name, status in report.groups.items()),
        transitions=_transition_table(transitions),
    ).encode("utf-8", "replace")
    headers = (
        ("Content-Type", "text/html; charset=utf-8"),
        ("Cache-Control", "no-store"),
        ("Content-Length", str(len(page))),
        ("Content-Security-Policy", _POLICY),
        ("X-Content-Type-Options", "nosniff"),
        ("Referrer-Policy", "no-referrer"),
    )
    return 503 if report.status is Status.FAIL else 200, headers, page


def _group(report: Report, name: str, status: Status, now: float) -> str:
    members = [finding for finding in report.findings if name in report.groups_of(finding)]
    shows_duration = report.level is Level.FULL
    return _GROUP.substitute(
        name=escape(name),
        status=status.name.lower(),
        more="<th>duration</th>" if shows_duration else "",
        rows="\n".join(_row(finding, now, shows_duration=shows_duration) for finding in members),
    )


def _row(finding: Finding, now: float, *, shows_duration: bool) -> str:
    outcome = finding.outcome
    reason = outcome.reason if outcome.status is not Status.PASS else ""
    cells = [
        f"<td>{escape(finding.spec.name)}</td>",
        _status_cell(outcome.status),
        f"<td>{escape(reason)}</td>",
        f'<td class="number">{max(0.0, now - finding.wall):.1f} s</td>',
    ]
    if shows_duration:
        cells.append(f'<td class="number">{finding.duration * 1000:.1f} ms</td>')
    return f"<tr>{''.join(cells)}</tr>"


def _transition_table(transitions: Iterable[Transition]) -> str:
    rows = [
        f'<tr><td class="number">{_time(found.finding.wall)}</td><td>{escape(found.check)}</td>'
        f"{_status_cell(found.before)}{_status_cell(found.finding.status)}"
        f"<td>{escape(found.finding.outcome.reason)}</td></tr>"
        for found in transitions
    ]
    return _TRANSITIONS.substitute(rows="\n".join(rows)) if rows else ""


def _status_cell(status: Status) -> str:
    name = status.name.lower()
    return f'<td><span class="{name}">{name}</span></td>'


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(" ", timespec="seconds").replace("+00:00", " UTC")


def _weights(accept: str) -> Iterable[tuple[str, float]]:
    for part in accept.split(","):
        kind, *parameters = (piece.strip() for piece in part.split(";"))
        weight = next((text.removeprefix("q=") for text in parameters if text.startswith("q=")), "1")
        try:
            yield kind, float(weight)
        except ValueError:
            yield kind, 0.0

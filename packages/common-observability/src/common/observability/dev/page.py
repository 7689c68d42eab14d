"""The page as a whole: made on the server, complete without the script, from one moment of the view."""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Final

from common.observability.dev.markup import Markup, element
from common.observability.dev.resources import content_security_policy, script, style
from common.observability.dev.sections import draw_events, draw_health, draw_operations, draw_tiles, draw_traces
from common.observability.dev.view import Shown

__all__ = ["render_page", "security_headers"]

_ICON: Final = (
    "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 8 8'%3E"
    "%3Cpath fill='%233b5bdb' d='M0 1h5v1.5H0zM2 3.3h5v1.5H2zM4 5.6h4v1.5H4z'/%3E%3C/svg%3E"
)
_COLOURS = 8


def render_page(shown: Shown, title: str) -> bytes:
    """Return the page in UTF-8; whatever services, plugins and callers have named is text, never markup."""
    colours = _colours(shown)
    columns = element(
        "div",
        draw_traces(shown.traces, colours, shown.now),
        draw_events(shown.events),
        class_="columns",
    )
    main = element(
        "main",
        draw_tiles(shown.health, shown.operations),
        draw_health(shown.health),
        draw_operations(shown.operations),
        columns,
        id="main",
    )
    skip = element("a", "Skip to the figures", href="#main", class_="skip")
    body = element("body", skip, element("div", _top(shown, title), main, class_="wrap"), _raw("script", script()))
    page = element("html", _head(title), body, lang="en")
    return ("<!doctype html>" + page).encode("utf-8", "replace")


def security_headers() -> list[tuple[str, str]]:
    """Return the headers of every answer: nothing is kept, framed, sniffed, loaded from elsewhere or told elsewhere."""
    return [
        ("Cache-Control", "no-store"),
        ("Content-Security-Policy", content_security_policy()),
        ("Cross-Origin-Opener-Policy", "same-origin"),
        ("Cross-Origin-Resource-Policy", "same-origin"),
        ("Referrer-Policy", "no-referrer"),
        ("X-Content-Type-Options", "nosniff"),
    ]


def _head(title: str) -> Markup:
    return element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("title", f"{title}: live"),
        element("link", rel="icon", href=_ICON),
        _raw("style", style()),
        element("noscript", element("meta", http_equiv="refresh", content="5")),
    )


def _raw(name: str, content: str) -> Markup:
    """Return an element whose text is not escaped: our own style and script."""
    return Markup(f"<{name}>{content}</{name}>")


def _top(shown: Shown, title: str) -> Markup:
    when = datetime.fromtimestamp(shown.now, UTC).strftime("%H:%M:%S UTC")
    missed = (element("span", f"{shown.missed:,} spans and events missed", class_="bad"),) if shown.missed else ()
    right = element(
        "div",
        element("span", "without script: renewed every 5 s", id="state", class_="live soft", role="status"),
        element("button", "Pause", id="pause", type="button", aria_pressed="false", hidden=True),
        class_="right",
    )
    clock = element("span", when, *missed, class_="soft number", id="clock", data_live=True)
    return element("header", element("h1", title), clock, right, class_="top")


def _colours(shown: Shown) -> dict[str, str]:
    names: Iterable[str] = (
        *(health.service for health in shown.health),
        *(name for trace in shown.traces for name in trace.services),
    )
    told = sorted({name for name in names if name})
    return {name: f"s{min(place, _COLOURS - 1)}" for place, name in enumerate(told)}

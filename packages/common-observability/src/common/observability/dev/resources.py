"""The page's style sheet and script: inside of the page, and known to its policy by their hashes."""

import base64
import hashlib
from functools import cache
from importlib.resources import files

__all__ = ["content_security_policy", "script", "style"]


@cache
def style() -> str:
    """Return the style sheet."""
    return _read("page.css")


@cache
def script() -> str:
    """Return the script; without it the page is loaded again every five seconds."""
    return _read("page.js")


@cache
def content_security_policy() -> str:
    """Return the policy (Content Security Policy Level 3): this style, this script, this server, and nothing else."""
    return (
        "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; connect-src 'self'; "
        f"img-src data:; script-src '{_hash(script())}'; style-src '{_hash(style())}'"
    )


def _read(name: str) -> str:
    return files("common.observability.dev").joinpath(name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"

"""The command ``common auth probe``."""

import os
import ssl
import sys
from argparse import ArgumentParser, Namespace, RawDescriptionHelpFormatter
from collections.abc import Iterator, Sequence
from typing import Final

from common.auth.exceptions import AuthUnavailable, ConfigurationError
from common.auth.gateway.probe import GatewayProbe, ProbeResult, Verdict
from common.core.commands import CliCommand
from common.core.lifecycle import App

__all__ = ["PROBE"]

_NOTHING_FOUND, _FOUND, _NOT_TRIED = 0, 1, 3
_ADVICE: Final = {
    Verdict.PASSED: "the client's value arrives: overwrite or remove the header at the gateway",
    Verdict.APPENDED: "both values arrive, the client's first: overwrite the header, never append",
    Verdict.STRIPPED: "a client can remove what the gateway set: set it after hop-by-hop headers are removed",
    Verdict.UNKNOWN: "no echo came back, so nothing is known: try again",
}
_EPILOG: Final = """\
Behind URL there must be an echo of request headers. One is an ASGI application of this package:

  uvicorn common.auth.gateway.header_echo:header_echo --port 8000

Route one path of the gateway to it, probe, and take it down again. Any endpoint that answers JSON with "headers" (a list
of pairs, or a mapping) does too. The probe speaks HTTP/1.1 and sends some twenty requests.

exit codes:
  0  no identity header of a client arrives behind the gateway
  1  one does; each is listed with what to change
  2  wrong usage
  3  nothing could be learnt: no answer, no echo, or answers of 429 and 5xx

examples:
  common auth probe https://api.example/echo
  PROBE_TOKEN=... common auth probe https://api.example/echo --token-env PROBE_TOKEN
"""


def _run(app: App, arguments: Namespace) -> int:
    try:
        results = _probe(arguments).run()
    except (AuthUnavailable, ConfigurationError) as error:
        print(f"common auth probe: {error}", file=sys.stderr)
        return _NOT_TRIED
    for line in _report(results):
        print(line)
    if any(result.is_finding for result in results):
        return _FOUND
    return _NOT_TRIED if any(result.verdict is Verdict.UNKNOWN for result in results) else _NOTHING_FOUND


def _probe(arguments: Namespace) -> GatewayProbe:
    headers = [_header(text) for text in arguments.header]
    if arguments.token_env is not None:
        token = os.environ.get(arguments.token_env)
        if not token:
            raise ConfigurationError(f"The environment variable {arguments.token_env} is not set.", reason="no_token")
        headers.append(("Authorization", f"Bearer {token}"))
    return GatewayProbe(arguments.url, headers=headers, tls=_tls(arguments.ca_file), timeout=arguments.timeout)


def _tls(ca_file: str | None) -> ssl.SSLContext | None:
    if ca_file is None:
        return None
    try:
        return ssl.create_default_context(cafile=ca_file)
    except OSError as error:
        raise ConfigurationError("The file of --ca-file cannot be read.", reason="no_ca_file") from error


def _header(text: str) -> tuple[str, str]:
    name, colon, value = text.partition(":")
    if not colon or not name.strip():
        raise ConfigurationError('A header is written "Name: value".', reason="bad_header")
    return name.strip(), value.strip()


def _report(results: Sequence[ProbeResult]) -> Iterator[str]:
    width = max(len(result.spoof.name) for result in results)
    for result in results:
        advice = _ADVICE.get(result.verdict, "")
        if result.verdict.is_harmful and not result.spoof.is_identity:
            advice = "a client chooses the id of its request: fine, if the gateway means that"
        yield f"{result.spoof.name:{width}}  {result.verdict.value:11}  {advice}".rstrip()
    found = sum(result.is_finding for result in results)
    yield f"{found} of {len(results)} spoofs reach what is behind." if found else "No spoofed identity arrives."


def _arguments(parser: ArgumentParser) -> None:
    parser.formatter_class = RawDescriptionHelpFormatter
    parser.epilog = _EPILOG
    parser.add_argument("url", metavar="URL", help="of the echo, as a client calls it through the gateway")
    parser.add_argument(
        "--header", action="append", default=[], metavar="'NAME: VALUE'", help="send this too; may be repeated"
    )
    parser.add_argument(
        "--token-env", metavar="NAME", help="send the bearer token in this environment variable, so that ps shows none"
    )
    parser.add_argument("--ca-file", metavar="FILE", help="trust these certificates (PEM) instead of the system's")
    parser.add_argument("--timeout", type=float, default=10.0, help="seconds for each step (default: 10)")


PROBE = CliCommand(
    "auth probe",
    "Send spoofed identity headers through a gateway and list what arrives behind it.",
    _run,
    _arguments,
    needs_all_plugins=False,
)

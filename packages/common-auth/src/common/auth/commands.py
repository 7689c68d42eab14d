"""The commands ``common auth …``."""

import sys
from argparse import ArgumentParser, Namespace
from typing import TypeGuard

from common.auth.audit_commands import AUDIT_COMMANDS
from common.auth.doctor import Finding, Inspectable, doctor
from common.auth.gateway.probe_command import PROBE
from common.auth.security.password_manager import PasswordManager
from common.core.commands import CliCommand
from common.core.lifecycle import App

__all__ = ["COMMANDS"]


def _run_doctor(app: App, arguments: Namespace) -> int:
    findings = _findings(app)
    for finding in findings:
        print(finding)
    print(f"{len(findings)} weak setting(s) found." if findings else "No weak settings found.")
    return int(bool(findings))


def _findings(app: App) -> tuple[Finding, ...]:
    parts: tuple[object, ...] = (app.plugins.password_hasher(), *app.provides)
    return doctor(*(part for part in parts if _tells_weaknesses(part)))


def _tells_weaknesses(part: object) -> TypeGuard[Inspectable]:
    return callable(getattr(part, "weaknesses", None))


def _calibrate(app: App, arguments: Namespace) -> int:
    cost = PasswordManager.calibrate(arguments.target_ms, floor=arguments.floor, ceil=arguments.ceil)
    print(f"COMMON_AUTH_BCRYPT_COST={cost}")
    print("One hash at this cost stays within the target on this machine, or is the floor.", file=sys.stderr)
    return 0


def _calibration_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--target-ms", type=float, default=250, help="processor time of one hash (default: 250)")
    parser.add_argument("--floor", type=int, default=10, help="the least cost (default: 10)")
    parser.add_argument("--ceil", type=int, default=14, help="the highest cost (default: 14)")


COMMANDS = (
    CliCommand("auth", "Check and tune authentication."),
    CliCommand(
        "auth doctor", "List settings that are weaker than they could be; exit 1 when there are any.", _run_doctor
    ),
    CliCommand(
        "auth calibrate",
        "Measure this machine and print the bcrypt cost for it.",
        _calibrate,
        _calibration_arguments,
        needs_all_plugins=False,
    ),
    PROBE,
    *AUDIT_COMMANDS,
)

"""Passwords, tokens, gateway trust and audit for Python services.

The public modules are ``common.auth.exceptions``, ``common.auth.hookspecs``, those of ``common.auth.security`` and those
of ``common.auth.gateway``; importing this package loads none of them.
"""

__all__: list[str] = []

"""Passwords, keys, tokens and the audit trail. Import from the modules of this package."""

__all__: list[str] = []

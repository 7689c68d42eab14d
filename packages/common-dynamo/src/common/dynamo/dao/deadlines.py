"""The type of every DAO's ``deadline``. The one place below the DAOs where a binary number is named: it counts seconds."""

from typing import TypeAlias

from common.dynamo.execution import Deadline

__all__ = ["DeadlineLike"]

DeadlineLike: TypeAlias = float | Deadline
"""Seconds from the call, or a moment shared by several calls. It bounds all round trips of the call together."""

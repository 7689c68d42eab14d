"""Words for what went wrong."""

from collections.abc import Iterable

_LONGEST_CAUSE = 500


def in_one_line(error: BaseException) -> str:
    """Return class and text of *error* on one line, at most some 500 characters long.

    Loading goes on after any error, so this never raises: not even for an exception whose ``str`` does.
    """
    try:
        text = " ".join(str(error).split())
    except Exception:  # noqa: BLE001 - a stranger's __str__; the class alone must do
        text = ""
    name = type(error).__name__
    if len(text) > _LONGEST_CAUSE:
        text = text[:_LONGEST_CAUSE] + "…"
    return f"{name}: {text}" if text else name


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return ``"; did you mean …?"`` with the nearest of *known*, or nothing where none is near."""
    import difflib  # only needed once something is wrong

    nearest = difflib.get_close_matches(name, sorted(known), n=1)
    return f"; did you mean {nearest[0]}?" if nearest else ""

"""Aligned columns of plain text."""

from collections.abc import Iterable, Iterator, Sequence

__all__ = ["as_table"]


def as_table(
    headings: Sequence[str], rows: Iterable[Sequence[str]], *, right: frozenset[str] = frozenset()
) -> Iterator[str]:
    """Yield the lines of a table, headings first; the columns named in *right* are aligned at their end.

    >>> print("\\n".join(as_table(["NAME", "READ"], [["get", "1"], ["history", "2.5"]], right=frozenset({"READ"}))))
    NAME     READ
    get         1
    history   2.5
    """
    lines = [tuple(headings), *map(tuple, rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(headings))]
    for line in lines:
        cells = (
            cell.rjust(width) if heading in right else cell.ljust(width)
            for cell, width, heading in zip(line, widths, headings, strict=True)
        )
        yield "  ".join(cells).rstrip()

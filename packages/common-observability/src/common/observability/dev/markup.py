"""HTML in which text is escaped unless it was made by these functions: what is forgotten is harmless."""

from html import escape

__all__ = ["Markup", "element", "join"]

_EMPTY = frozenset({"br", "link", "meta", "rect", "wbr"})


class Markup(str):
    """HTML that may stand in a page as it is."""

    __slots__ = ()


def element(name: str, /, *content: str, **attributes: str | float | bool | None) -> Markup:
    """Return the element *name*.

    Args:
        name: Of the element; fixed in the code.
        content: Escaped, where it is not :class:`Markup`.
        attributes: ``class_`` is ``class``, and any other underscore a hyphen; ``None`` and ``False`` are left out, and
            ``True`` is the bare name.

    >>> element("td", "<b>", element("br"), class_="number", data_label="a & b")
    '<td class="number" data-label="a &amp; b">&lt;b&gt;<br/></td>'
    """
    given = "".join(
        _attribute(key, value) for key, value in attributes.items() if value is not None and value is not False
    )
    if name in _EMPTY:
        return Markup(f"<{name}{given}/>")  # with the slash, which SVG needs and HTML allows
    return Markup(f"<{name}{given}>{join(content)}</{name}>")


def join(parts: "tuple[str, ...] | list[str]") -> Markup:
    """Return *parts* one after the other, each escaped where it is not :class:`Markup`."""
    return Markup("".join(part if isinstance(part, Markup) else escape(part) for part in parts))


def _attribute(key: str, value: str | float | bool | None) -> str:
    name = key.rstrip("_").replace("_", "-")
    if value is True:
        return f" {name}"
    return f' {name}="{escape(f"{value:g}" if isinstance(value, float) else str(value))}"'

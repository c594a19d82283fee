"""Elements of HTML, in which any text is escaped that is not HTML already."""

from html import escape


class Html(str):
    """Text that is HTML already; what takes any other text escapes it."""

    __slots__ = ()


def html(content: str) -> Html:
    """Text as HTML: escaped, unless it is HTML already."""
    return content if isinstance(content, Html) else Html(escape(content))


def joined(*contents: str) -> Html:
    """Contents one after another, a line each; empty ones are left out."""
    return Html("\n".join(html(content) for content in contents if content))


def element(tag: str, *contents: str, **attributes: str | None) -> Html:
    """An element with its contents.

    Args:
      tag: name of the element.
      contents: texts or HTML.
      attributes: by name, with `_` for `-` and `class_` for `class`; those that are None or empty are left out.
    """
    given = {name.rstrip("_").replace("_", "-"): value for name, value in attributes.items() if value}
    written = "".join(f' {name}="{escape(value)}"' for name, value in given.items())
    return Html(f"<{tag}{written}>{''.join(map(html, contents))}</{tag}>")

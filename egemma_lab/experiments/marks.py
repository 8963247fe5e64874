"""Text written by code into a page kept by hand: what stands between two marks gives way, the rest stays."""


def between_marks(page, name, text):
    """The Markdown `page` with `text` between the marks of `name`, each mark on a line of its own.

    ValueError where one of the two is not there exactly once.

    >>> page = "# Mine\\n<!-- table:begin -->\\nold\\n<!-- table:end -->\\nkept\\n"
    >>> print(between_marks(page, "table", "new"), end="")
    # Mine
    <!-- table:begin -->
    new
    <!-- table:end -->
    kept
    """
    begin, end = f"<!-- {name}:begin -->", f"<!-- {name}:end -->"
    if page.count(begin) != 1 or page.count(end) != 1:
        raise ValueError(f"the page must hold {begin} and {end} once each")
    before, _, rest = page.partition(begin)
    return f"{before}{begin}\n{text}\n{end}{rest.partition(end)[2]}"

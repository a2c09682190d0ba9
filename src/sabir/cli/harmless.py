"""Foreign texts on a terminal: names of rooms, ids, what servers say."""


def harmless(text: str) -> str:
    r"""Show control and direction characters as escapes; line ends stay.

    A room may be called `\x1b[2J`; no name may clear the screen, hide what
    stands before it, or type for the owner.
    """
    return "".join(
        char
        if char.isprintable() or char == "\n"
        else char.encode("unicode_escape").decode()
        for char in text
    )


def harmless_line(text: str) -> str:
    """Show a text on one line: line ends are escapes, too."""
    return harmless(text).replace("\n", "\\n")

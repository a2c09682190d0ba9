"""On which line of a TOML file each key stands. `tomllib` does not say.

Walks text that `tomllib` has already accepted, so every construct is well
formed and only its extent matters, not its value.
"""

import re
import tomllib
from collections.abc import Mapping
from typing import Final

Path = tuple[str, ...]

_BLANK: Final = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_SPACE: Final = re.compile(r"[ \t]*")
_BARE_KEY: Final = re.compile(r"[A-Za-z0-9_-]+")
_STRING: Final = re.compile(
    r'"""(?:[^"\\]|\\.|"(?!""))*"{3,5}'
    r"|'''(?:[^']|'(?!''))*'{3,5}"
    r'|"(?:[^"\\]|\\.)*"'
    r"|'[^']*'",
    re.DOTALL,
)
_SCALAR: Final = re.compile(r"[^,\]}#\n]+")


def key_lines(text: str) -> Mapping[Path, int]:
    """Return the line (from 1) on which each key or table is first named.

    Args:
        text: a valid TOML document.

    Returns:
        By full path; the tables of an array share one path.
    """
    # tomllib reads CRLF as LF; line numbers are the same either way.
    walker = _Walker(text.replace("\r\n", "\n"))
    walker.document()
    return walker.lines


class _Walker:
    """A position in the text, and what was found before it."""

    def __init__(self, text: str) -> None:
        self.lines: dict[Path, int] = {}
        self._text = text
        self._at = 0

    def document(self) -> None:
        table: Path = ()
        while self._skip(_BLANK) < len(self._text):
            if self._text[self._at] == "[":
                table = self._header()
            else:
                self._pair(table)

    def _header(self) -> Path:
        brackets = 2 if self._text.startswith("[[", self._at) else 1
        self._at += brackets
        table = self._key(())
        self._at += brackets
        return table

    def _pair(self, table: Path) -> None:
        path = self._key(table)
        self._at += 1  # the equals sign
        self._value(path)

    def _key(self, table: Path) -> Path:
        """Pass a dotted key and the space around it; note each of its parts."""
        path = table
        while True:
            self._skip(_SPACE)
            line = self._text.count("\n", 0, self._at) + 1
            path = (*path, self._key_part())
            self.lines.setdefault(path, line)
            self._skip(_SPACE)
            if self._text[self._at] != ".":
                return path
            self._at += 1

    def _key_part(self) -> str:
        begin = self._at
        if self._text[begin] in "\"'":
            raw = self._text[begin : self._skip(_STRING)]
            return str(tomllib.loads(f"key = {raw}")["key"])
        return self._text[begin : self._skip(_BARE_KEY)]

    def _value(self, path: Path) -> None:
        self._skip(_SPACE)
        match self._text[self._at]:
            case '"' | "'":
                self._skip(_STRING)
            case "[":
                self._items(path, until="]")
            case "{":
                self._items(path, until="}")
            case _:
                self._skip(_SCALAR)

    def _items(self, path: Path, *, until: str) -> None:
        """Pass an array or an inline table, with what is nested in it."""
        self._at += 1
        while self._text[self._skip(_BLANK)] != until:
            if self._text[self._at] == ",":
                self._at += 1
            elif until == "]":
                self._value(path)
            else:
                self._pair(path)
        self._at += 1

    def _skip(self, pattern: re.Pattern[str]) -> int:
        """Move behind what the pattern matches here; return the new position."""
        match = pattern.match(self._text, self._at)
        assert match is not None, "the text is not what tomllib accepted"
        self._at = match.end()
        return self._at

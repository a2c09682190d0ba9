"""One line of IRC (RFC 1459 section 2.3.1, IRCv3 message tags). Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from sabir.errors import PeerMisbehaved

KEY_TAG: Final = "+sabir.invalid/key"
"""Client-only tag with the idempotency key: servers keep it in their history."""

_ESCAPES: Final = {":": ";", "s": " ", "\\": "\\", "r": "\r", "n": "\n"}
_ESCAPED: Final = str.maketrans({v: f"\\{k}" for k, v in _ESCAPES.items()})


@dataclass(frozen=True, slots=True)
class Line:
    """A message of the protocol, to or from the server."""

    command: str
    params: tuple[str, ...] = ()
    tags: Mapping[str, str] = field(default_factory=dict)
    nick: str = ""
    """Who sent it: a nick, or the server's name."""
    raw: bytes = b""
    """The line as it came."""

    @property
    def last(self) -> str:
        """The last parameter: mostly text for people."""
        return self.params[-1] if self.params else ""


def parse(octets: bytes) -> Line:
    """Read a line without its CR LF.

    Raises:
        PeerMisbehaved: IRC-001, not UTF-8 or no command.
    """
    tags, nick = {}, ""
    try:
        rest = octets.decode()
    except UnicodeDecodeError:
        raise PeerMisbehaved("IRC-001", "a line is not UTF-8") from None
    if rest.startswith("@"):
        words, _, rest = rest[1:].partition(" ")
        tags = {
            n: _unescaped(v) for n, _, v in (w.partition("=") for w in words.split(";"))
        }
    if rest.startswith(":"):
        prefix, _, rest = rest[1:].partition(" ")
        nick = prefix.partition("!")[0]
    middle, colon, trailing = rest.partition(" :")
    command, *params = middle.split() or [""]
    if not command.isalnum():
        raise PeerMisbehaved("IRC-001", "a line has no command")
    params += [trailing] if colon else []
    return Line(command.upper(), tuple(params), tags, nick, octets)


def _unescaped(value: str) -> str:
    rest = iter(value)
    return "".join(
        (lambda after: _ESCAPES.get(after, after))(next(rest, "")) if c == "\\" else c
        for c in rest
    )


def write(line: Line) -> bytes:
    """Return a line with its CR LF; the last parameter may hold spaces."""
    tags = ";".join(f"{n}={v.translate(_ESCAPED)}" for n, v in line.tags.items())
    words = [f"@{tags}"] if tags else []
    words += [line.command, *line.params[:-1]]
    words += [f":{line.last}"] if line.params else []
    return " ".join(words).encode() + b"\r\n"

"""Logs: who may appear in them, and how they look.

 * A field that by its name holds a secret or a message's text is withheld, as is
   any `Secret`, octet string or object that is no plain value.
 * People are shown as a pseudonym that holds until the process ends.
 * An exception is shown by type and place. Its text is shown only if it is one
   of ours (`sabir.errors`): others put foreign input into theirs.
 * Libraries are heard from `warning` upwards, and by the constant part of what
   they say only: they log stanzas, addresses with tokens, and bodies.

This is the last line of defence. The first is not to log such things.
"""

import hmac
import logging
import os
import re
import sys
import traceback
from collections.abc import Iterable, Mapping, MutableMapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Literal, TextIO

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from sabir.cli.system import SystemClock, system_rng
from sabir.clock import Clock
from sabir.crypto.secrets import Secret
from sabir.errors import Error
from sabir.networks.api import Rng

TEXT_CHARS_MAX: Final = 500
"""One value; enough for an error with its way out."""
ITEMS_MAX: Final = 50
"""Values in one list or mapping."""
DEPTH_MAX: Final = 6
"""Of nested values."""
FRAMES_MAX: Final = 12
"""Innermost frames of a traceback that are shown."""

LogLevel = Literal["debug", "info", "warning", "error"]
LogFormat = Literal["console", "json"]

_LEVELS: Final[Mapping[LogLevel, int]] = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
}
_SECRET_NAME: Final = re.compile(
    r"pass(word|phrase|wd)?$|secret|token|authori[sz]ation|cookie|credential|private"
    r"|(^|_)(?<!idempotency_)key$",
    re.IGNORECASE,
)
_CONTENT_NAMES: Final = re.compile(
    r"body|caption|content|emoji|filename|formatted_body|html|message|payload|piece"
    r"|plaintext|raw|stanza|subject|text|topic|xml"
)
_PERSON_NAMES: Final = re.compile(
    r"author|ghost|jid|mxid|nick|person|sender|speaker|user|user_id|username"
)


def configure_logs(
    level: LogLevel,
    format: LogFormat,  # noqa: A002  the configuration's word
    *,
    out: TextIO | None = None,
    clock: Clock | None = None,
    rng: Rng = system_rng,
) -> None:
    """Set up logging for the whole process; a later call replaces an earlier one.

    Args:
        level: least level that is written.
        format: `console` for people, `json` for machines: one object a line.
        out: where to write; None is standard error.
        clock: for the timestamps; None is the machine's.
        rng: for the key of the pseudonyms.
    """
    stream = out or sys.stderr
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            _Stamp(clock or SystemClock()),
            _explain_exception,
            _Redactor(rng(32)),
            _renderer(format, stream),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[level]),
        logger_factory=structlog.WriteLoggerFactory(file=stream),
        cache_logger_on_first_use=False,
    )
    root = logging.getLogger()
    for handler in [each for each in root.handlers if isinstance(each, _Foreign)]:
        root.removeHandler(handler)
    root.addHandler(_Foreign())
    root.setLevel(max(_LEVELS[level], logging.WARNING))


def _renderer(log_format: LogFormat, stream: TextIO) -> Processor:
    if log_format == "json":
        return structlog.processors.JSONRenderer(ensure_ascii=False)
    colours = stream.isatty() and "NO_COLOR" not in os.environ
    return structlog.dev.ConsoleRenderer(colors=colours)


class _Stamp:
    """Adds the time, as UTC with milliseconds."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def __call__(self, _: WrappedLogger, __: str, event: EventDict) -> EventDict:
        now = datetime.fromtimestamp(self._clock.now() / 1000, UTC)
        event["timestamp"] = now.isoformat(timespec="milliseconds")
        return event


# ---- exceptions


def _explain_exception(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """Replace `exc_info` by type, place and causes."""
    given = event.pop("exc_info", None)
    if isinstance(given, tuple):
        given = given[1]
    elif given and not isinstance(given, BaseException):
        given = sys.exc_info()[1]
    if given:
        event["raised"] = _explained(given)
    # Names that the console's renderer keeps to itself, and wants as text.
    for name in {"exception", "stack"} & event.keys():
        event[f"{name}_"] = event.pop(name)
    return event


def _explained(error: BaseException, *, depth: int = 0) -> dict[str, object]:
    frames = traceback.extract_tb(error.__traceback__)[-FRAMES_MAX:]
    said: dict[str, object] = {
        "type": _word_for(error),
        "at": [
            f"{'/'.join(Path(frame.filename).parts[-3:])}:{frame.lineno} {frame.name}"
            for frame in frames
        ],
    }
    if depth == DEPTH_MAX // 2:  # each level of causes nests the fields by one
        return said
    cause = error.__cause__ or (
        None if error.__suppress_context__ else error.__context__
    )
    if cause:
        said["cause"] = _explained(cause, depth=depth + 1)
    if isinstance(error, BaseExceptionGroup):
        said["inside"] = [
            _explained(each, depth=depth + 1) for each in error.exceptions[:ITEMS_MAX]
        ]
    return said


def _word_for(error: BaseException) -> str:
    """Name an exception; with its text only where we wrote it."""
    name = type(error).__name__
    if isinstance(error, Error):
        return f"{name}: {error.diagnostics()}"
    if isinstance(error, OSError) and error.strerror and type(error.errno) is int:
        return f"{name}: {os.strerror(error.errno)}"
    return name


# ---- what is withheld


class _Redactor:
    """Makes every field fit to be kept, by its name and its type."""

    def __init__(self, pseudonym_key: bytes) -> None:
        self._pseudonym_key = pseudonym_key

    def __call__(self, _: WrappedLogger, __: str, event: EventDict) -> EventDict:
        return {name: self._fit(name, value, depth=0) for name, value in event.items()}

    def _fit(self, name: str, value: object, *, depth: int) -> object:
        if _SECRET_NAME.search(name):
            return "<secret>"
        if _CONTENT_NAMES.fullmatch(name):
            return "<content>"
        if _PERSON_NAMES.fullmatch(name):
            return self._pseudonym(value)
        if value is None or isinstance(value, bool | int | float):
            return value
        if isinstance(value, str | Path):
            return _one_line(str(value))
        return self._fit_object(name, value, depth=depth)

    def _fit_object(self, name: str, value: object, *, depth: int) -> object:
        if isinstance(value, BaseException):
            return _one_line(_word_for(value))
        if isinstance(value, bytes | bytearray | memoryview):
            return f"<{len(value)} octets>"
        if isinstance(value, Secret):
            return repr(value)
        if depth == DEPTH_MAX:
            return "<deep>"
        if isinstance(value, Mapping):
            return self._fit_mapping(value, depth=depth + 1)
        if isinstance(value, list | tuple | set | frozenset):
            return self._fit_items(name, value, depth=depth + 1)
        return f"<{type(value).__name__}>"

    def _fit_mapping(
        self, value: Mapping[Any, object], *, depth: int
    ) -> MutableMapping[str, object]:
        return {
            _one_line(str(name)): self._fit(str(name), inner, depth=depth)
            for name, inner in list(value.items())[:ITEMS_MAX]
        }

    def _fit_items(
        self, name: str, value: Iterable[object], *, depth: int
    ) -> list[object]:
        return [
            self._fit(name, inner, depth=depth) for inner in list(value)[:ITEMS_MAX]
        ]

    def _pseudonym(self, value: object) -> str:
        text = str(value).encode(errors="surrogatepass")
        return "person-" + hmac.digest(self._pseudonym_key, text, "sha256")[:4].hex()


def _one_line(text: str) -> str:
    """Cut a text, and show control characters as escapes: a line stays a line."""
    if len(text) > TEXT_CHARS_MAX:
        text = text[:TEXT_CHARS_MAX] + "..."
    if text.isprintable():
        return text
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode()
        for char in text
    )


# ---- libraries


class _Foreign(logging.Handler):
    """Passes on what libraries log: who, where, and the constant part of it."""

    def emit(self, record: logging.LogRecord) -> None:
        # Without arguments the text may have been put together already, with
        # anything in it; the place in the source then has to do.
        said = {"template": str(record.msg)} if record.args else {}
        structlog.get_logger().log(
            record.levelno,
            "library_said",
            logger=record.name,
            at=f"{record.module}:{record.lineno} {record.funcName}",
            exc_info=record.exc_info,
            **said,
        )

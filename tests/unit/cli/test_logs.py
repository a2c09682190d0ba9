"""Neither a secret nor the text of a message gets into the logs, at any level."""

import errno
import io
import json
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from sabir.cli.logs import (
    DEPTH_MAX,
    TEXT_CHARS_MAX,
    LogFormat,
    LogLevel,
    configure_logs,
)
from sabir.clock import Instant
from sabir.crypto.secrets import Secret
from sabir.errors import Code, PeerMisbehaved, Unavailable

SECRET = "canary-secret-5d1e"
TEXT = "canary text of a message 8f00"
LEVELS: tuple[LogLevel, ...] = ("debug", "info", "warning", "error")


class FixedClock:
    def now(self) -> Instant:
        return Instant(1_764_000_000_123)

    def monotonic_ms(self) -> float:
        return 0.0

    async def sleep(self, duration_ms: int) -> None:
        raise AssertionError(duration_ms)


def _logs(level: LogLevel = "debug", log_format: LogFormat = "json") -> io.StringIO:
    out = io.StringIO()
    configure_logs(level, log_format, out=out, clock=FixedClock(), rng=bytes)
    return out


def _lines(out: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in out.getvalue().splitlines()]


def _logged(**fields: object) -> dict[str, Any]:
    out = _logs()
    structlog.get_logger().info("tried", **fields)
    [line] = _lines(out)
    return line


@dataclass(frozen=True)
class Message:
    text: str


def _raise_everything() -> None:
    try:
        raise ValueError(f"bad password {SECRET} in {TEXT}")
    except ValueError as error:
        raise ExceptionGroup(TEXT, [KeyError(SECRET), RuntimeError(TEXT)]) from error


def _log_everything(level: LogLevel) -> None:
    """Log both canaries in every way somebody could by mistake."""
    log = getattr(structlog.get_logger(), level)
    log("fields", password=SECRET, access_token=SECRET, as_token=SECRET, key=SECRET)
    log("fields", text=TEXT, body=TEXT, payload=TEXT.encode(), html=f"<b>{TEXT}</b>")
    log("objects", secret=Secret.from_text(SECRET), account=Secret.from_text(SECRET))
    log("objects", said=Message(TEXT), piece=Message(TEXT), items=[Message(TEXT)])
    log("octets", blob=TEXT.encode(), view=memoryview(SECRET.encode()))
    log("nested", settings={"password": SECRET, "inner": [{"body": TEXT}]})
    log("nested", listed=[{"authorization": f"Bearer {SECRET}"}, (TEXT.encode(),)])
    log("errors", error=ValueError(TEXT), other=OSError(SECRET))
    try:
        _raise_everything()
    except ExceptionGroup as error:
        log("raised", exc_info=True)
        log("raised", exc_info=error)
    library = getattr(logging.getLogger("some.library"), level)
    library("RECV: %s", f"<body>{TEXT}</body>")
    library(f"GET /sync?access_token={SECRET}")
    try:
        _raise_everything()
    except ExceptionGroup:
        library("failed on %s", TEXT, exc_info=True)


@pytest.mark.parametrize("log_format", ["console", "json"])
@pytest.mark.parametrize("configured", LEVELS)
def test_no_canary_is_in_the_logs_at_any_level(
    configured: LogLevel, log_format: LogFormat
) -> None:
    out = _logs(configured, log_format)
    for level in LEVELS:
        _log_everything(level)
    said = out.getvalue()
    assert "fields" in said, "something must have been logged"
    assert "library_said" in said
    assert "canary" not in said


@pytest.mark.parametrize("configured", LEVELS)
def test_what_is_below_the_level_is_not_written(configured: LogLevel) -> None:
    out = _logs(configured)
    for level in LEVELS:
        getattr(structlog.get_logger(), level)("tried")
    assert [line["level"] for line in _lines(out)] == [
        *LEVELS[LEVELS.index(configured) :]
    ]


def test_a_line_has_time_level_event_and_fields() -> None:
    assert _logged(
        portal=7, code=Code.UNAVAILABLE, late=True, gap=None, at=Path("/x")
    ) == {
        "timestamp": "2025-11-24T16:00:00.123+00:00",
        "level": "info",
        "event": "tried",
        "portal": 7,
        "code": "unavailable",
        "late": True,
        "gap": None,
        "at": "/x",
    }


def test_the_console_shows_the_same_for_people() -> None:
    out = _logs(log_format="console")
    structlog.get_logger().warning("portal_stopped", portal=7)
    assert out.getvalue().split() == [
        "2025-11-24T16:00:00.123+00:00",
        "[warning",
        "]",
        "portal_stopped",
        "portal=7",
    ]


def test_an_idempotency_key_is_no_secret() -> None:
    assert _logged(idempotency_key="abc")["idempotency_key"] == "abc"


@pytest.mark.parametrize(
    "name",
    ["key", "signature_key", "hs_token", "Authorization", "passphrase", "Cookie"],
)
def test_a_field_named_like_a_secret_is_withheld(name: str) -> None:
    assert _logged(**{name: "x"})[name] == "<secret>"


def test_a_person_has_the_same_pseudonym_in_every_line() -> None:
    first, second = _logged(sender="@a:b.example"), _logged(author="@a:b.example")
    assert first["sender"] == second["author"]
    assert first["sender"].startswith("person-")
    assert _logged(sender="@c:b.example")["sender"] != first["sender"]


def test_our_own_errors_keep_their_text_because_it_is_the_way_out() -> None:
    out = _logs()
    try:
        try:
            raise PeerMisbehaved("XMPP-7", "no id")
        except PeerMisbehaved as error:
            raise Unavailable("a.example does not answer; check it runs") from error
    except Unavailable:
        structlog.get_logger().exception("connector_crashed")
    [line] = _lines(out)
    shown = line["raised"]
    assert "check it runs" in shown["type"]
    assert "rule XMPP-7 broken: no id" in shown["cause"]["type"]
    [place] = shown["at"]
    assert place.startswith("unit/cli/test_logs.py:")
    assert place.endswith(
        " test_our_own_errors_keep_their_text_because_it_is_the_way_out"
    )


def test_an_error_of_the_system_is_named_without_its_file() -> None:
    assert _logged(error=OSError(errno.ENOSPC, "no", "/secret/name"))["error"] == (
        "OSError: No space left on device"
    )


def test_a_hidden_context_stays_hidden() -> None:
    out = _logs()
    try:
        try:
            raise KeyError(SECRET)
        except KeyError:
            raise Unavailable("gone") from None
    except Unavailable as error:
        structlog.get_logger().error("failed", exc_info=(type(error), error, None))
    [line] = _lines(out)
    assert "cause" not in line["raised"]


def test_a_long_chain_of_causes_ends() -> None:
    error: BaseException = ValueError("0")
    for number in range(30):
        outer = ValueError(str(number))
        outer.__cause__ = error
        error = outer
    out = _logs()
    structlog.get_logger().error("failed", exc_info=error)
    assert out.getvalue().count('"cause"') == DEPTH_MAX // 2


def test_exc_info_without_an_exception_says_nothing() -> None:
    assert "raised" not in _logged(exc_info=True)


def test_a_value_cannot_forge_a_line_or_move_the_cursor() -> None:
    for log_format in ("console", "json"):
        out = _logs(log_format=log_format)
        structlog.get_logger().info(
            "tried", detail="a\n2025 [error] \x1b[2Jforged\u202e"
        )
        assert out.getvalue().count("\n") == 1
        assert not {"\x1b", "\u202e"} & set(out.getvalue())


def test_long_and_deep_values_are_cut() -> None:
    deep: object = "end"
    for _ in range(20):
        deep = [deep]
    line = _logged(detail="x" * 10_000, deep=deep, many=list(range(1000)))
    assert len(line["detail"]) == TEXT_CHARS_MAX + 3
    assert "<deep>" in str(line["deep"])
    assert len(line["many"]) == 50


def test_a_library_is_heard_from_warning_upwards_by_its_constant_words() -> None:
    out = _logs("debug")
    logger = logging.getLogger("some.library")
    logger.info("hello %s", "x")
    logger.warning("retry %d of %d", 1, 3)
    logger.error("put together")
    first, second = _lines(out)
    assert first["template"] == "retry %d of %d"
    assert (first["level"], first["logger"]) == ("warning", "some.library")
    assert "template" not in second
    assert second["at"].startswith("test_logs:")


@pytest.mark.parametrize("log_format", ["console", "json"])
def test_no_name_of_a_field_breaks_a_renderer(log_format: LogFormat) -> None:
    out = _logs(log_format=log_format)
    structlog.get_logger().info("tried", exception={"a": 1}, stack=[2], level=3)
    assert "tried" in out.getvalue()


def test_a_second_set_up_replaces_the_first() -> None:
    first, second = _logs(), _logs()
    structlog.get_logger().info("tried")
    logging.getLogger("x").warning("y %s", 1)
    assert first.getvalue() == ""
    assert len(_lines(second)) == 2


def test_standard_error_is_where_logs_go(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs("info", "json")
    structlog.get_logger().info("tried")
    captured = capsys.readouterr()
    assert captured.out == ""
    assert json.loads(captured.err)["event"] == "tried"


plain = st.none() | st.booleans() | st.integers() | st.text() | st.binary()
nested = st.recursive(
    plain,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(plain, inner, max_size=3)
    ),
    max_leaves=6,
)


@given(st.dictionaries(st.text(min_size=1), nested, max_size=4))
def test_any_fields_make_one_line(fields: dict[str, object]) -> None:
    out = _logs()
    structlog.get_logger().info("tried", seen=fields)
    assert len(_lines(out)) == 1

"""`application/mimi-content`, octet for octet."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given

from sabir.content import codec
from sabir.content.limits import CONTAINER_OCTETS_MAX
from sabir.content.model import (
    Content,
    Expiry,
    ExternalPart,
    MessageId,
    MultiPart,
    NullPart,
    Part,
    PartSemantics,
    SinglePart,
)
from sabir.testing.strategies import contents, damaged
from sabir.wire import cbor
from sabir.wire.cbor import Tag
from sabir.wire.errors import Malformed, NotEncodable

VECTORS = Path(__file__).parents[2] / "vectors" / "mimi-content"
NOT_A_CONTAINER = {"implied-original.cbor"}
"""What a hub adds to a message, not a message."""

SALT = bytes(16)
TEXT = SinglePart(content_type="text/plain", content=b"x")
PLAIN = Content(salt=SALT, body=TEXT)
FILE = ExternalPart(content_type="x/y", url="https://example.org")


def test_mc_093_the_official_vectors_decode_and_encode_to_the_same_octets() -> None:
    files = {file.name for file in VECTORS.glob("*.cbor")} - NOT_A_CONTAINER
    for name in files:
        raw = (VECTORS / name).read_bytes()
        assert codec.encode(codec.decode(raw)) == raw, name
    assert len(files) == 14


def test_what_the_hub_adds_is_not_taken_for_a_message() -> None:
    raw = (VECTORS / "implied-original.cbor").read_bytes()
    value = cbor.decode(raw)
    assert cbor.encode(value) == raw
    # An array of 7 too, but its first field is an id, and one of the time before
    # content-08 at that (SOURCE.md), not a salt.
    assert isinstance(value, tuple)
    assert value[0] == bytes.fromhex(
        "01b0084467273cc43d6f0ebeac13eb84229c4fffe8f6c3594c905f47779e5a79"
    )
    with pytest.raises(Malformed, match="CONTENT-"):
        codec.decode(raw)


@given(content=contents)
def test_a_content_survives(content: Content) -> None:
    assert codec.decode(codec.encode(content)) == content


@given(octets=damaged(contents.map(codec.encode)))
def test_what_is_accepted_has_no_other_form(octets: bytes) -> None:
    try:
        content = codec.decode(octets)
    except Malformed:
        return
    assert codec.encode(content) == octets


def _nested(levels: int) -> Part:
    part: Part = TEXT
    for _ in range(levels - 1):
        part = MultiPart(semantics=PartSemantics.PROCESS_ALL, parts=(part, TEXT))
    return part


def _many(count: int) -> MultiPart:
    return MultiPart(
        semantics=PartSemantics.PROCESS_ALL, parts=(NullPart(),) * (count - 1)
    )


GOOD = {
    "four levels": replace(PLAIN, body=_nested(4)),
    "1024 parts": replace(PLAIN, body=_many(1024)),
    "topic of 4096": replace(PLAIN, topic_id=bytes(4096)),
    "unknown disposition": replace(PLAIN, body=replace(TEXT, disposition=200)),
    "deep extension": replace(PLAIN, extensions={"a": {1: {2: ()}}}),
    "subject": replace(PLAIN, extensions={5: "s"}),
    "subject of 4096": replace(PLAIN, extensions={5: "\u20ac" * 1365 + "x"}),
    "largest names": replace(PLAIN, extensions={2**53 - 1: 1, 1 - 2**53: 1}),
    "longest name": replace(PLAIN, extensions={"x" * 255: 1}),
    "unknown cipher": replace(PLAIN, body=replace(FILE, enc_alg=65535, key=b"k")),
}

BAD: list[tuple[str, Content]] = [
    (
        "CONTENT-001",
        replace(PLAIN, body=replace(TEXT, content=bytes(CONTAINER_OCTETS_MAX))),
    ),
    ("CONTENT-003", replace(PLAIN, salt=bytes(15))),
    ("CONTENT-004", replace(PLAIN, replaces=MessageId(bytes(32)))),
    ("CONTENT-004", replace(PLAIN, in_reply_to=MessageId(b"\x01" * 31))),
    ("CONTENT-005", replace(PLAIN, topic_id=bytes(4097))),
    ("CONTENT-002", replace(PLAIN, expires=Expiry(relative=True, time_s=2**32))),
    ("CONTENT-007", replace(PLAIN, extensions={"": 1})),
    ("CONTENT-007", replace(PLAIN, extensions={"x" * 256: 1})),
    ("CONTENT-007", replace(PLAIN, extensions={2**53: 1})),
    ("CONTENT-007", replace(PLAIN, extensions={"a": {-(2**53): 1}})),
    ("CONTENT-007", replace(PLAIN, extensions={True: 1})),
    ("CONTENT-002", replace(PLAIN, body=replace(TEXT, disposition=256))),
    ("CONTENT-009", replace(PLAIN, body=_many(1025))),
    ("CONTENT-010", replace(PLAIN, body=_nested(5))),
    (
        "CONTENT-012",
        replace(
            PLAIN, body=MultiPart(semantics=PartSemantics.CHOOSE_ONE, parts=(TEXT,))
        ),
    ),
    ("CONTENT-013", replace(PLAIN, extensions={1: b"not text"})),
    ("CONTENT-013", replace(PLAIN, extensions={5: ""})),
    ("CONTENT-014", replace(PLAIN, body=replace(FILE, key=b"k"))),
    ("CONTENT-014", replace(PLAIN, body=replace(FILE, nonce=b"n"))),
    ("CONTENT-014", replace(PLAIN, body=replace(FILE, aad=b"a"))),
    ("CONTENT-002", replace(PLAIN, body=replace(FILE, size=2**64))),
    ("CONTENT-015", replace(PLAIN, body=replace(FILE, url="HTTP://example.org"))),
    ("CONTENT-016", replace(PLAIN, extensions={"a": {1: {2: (Tag(9, 1),)}}})),
]


@pytest.mark.parametrize("name", GOOD)
def test_mc_095_what_is_just_allowed(name: str) -> None:
    assert codec.decode(codec.encode(GOOD[name])) == GOOD[name]


@pytest.mark.parametrize(("rule", "content"), BAD)
def test_mc_095_we_never_send_what_others_refuse(rule: str, content: Content) -> None:
    with pytest.raises(NotEncodable) as caught:
        codec.encode(content)
    assert caught.value.rule == rule


def test_a_lone_surrogate_is_refused_wherever_it_stands() -> None:
    for broken in (
        replace(PLAIN, body=replace(TEXT, language="\ud800")),
        replace(PLAIN, extensions={"\ud800": 1}),
        replace(PLAIN, extensions={5: "\ud800"}),
    ):
        with pytest.raises(NotEncodable, match="WIRE-005"):
            codec.encode(broken)


def test_a_list_in_an_extension_counts_as_nesting() -> None:
    deep: Any = [[[[1]]]]
    with pytest.raises(NotEncodable, match="CONTENT-016"):
        codec.encode(replace(PLAIN, extensions={"a": deep}))


def _container(**changes: Any) -> tuple[Any, ...]:
    fields: dict[str, Any] = {
        "salt": SALT,
        "replaces": None,
        "topic": b"",
        "expires": None,
        "reply": None,
        "extensions": {},
        "body": (1, "", 1, "text/plain", b"x"),
    }
    return tuple({**fields, **changes}.values())


def _deep(levels: int) -> tuple[Any, ...]:
    """Return a part of so many levels, as others may write it."""
    part: tuple[Any, ...] = (1, "", 0)
    for _ in range(levels - 1):
        part = (1, "", 3, 2, (part, (1, "", 0)))
    return part


def _wide(count: int) -> tuple[Any, ...]:
    return (1, "", 3, 2, ((1, "", 0),) * (count - 1))


@pytest.mark.parametrize(
    ("rule", "good", "bad"),
    [
        ("CONTENT-010", {"body": _deep(4)}, {"body": _deep(5)}),
        ("CONTENT-009", {"body": _wide(1_024)}, {"body": _wide(1_025)}),
        (
            "CONTENT-016",
            {"extensions": {"a": {1: {2: ()}}}},
            {"extensions": {"a": {1: {2: ((),)}}}},
        ),
    ],
)
def test_mc_095_what_others_send_beyond_the_limits_is_refused(
    rule: str, good: dict[str, Any], bad: dict[str, Any]
) -> None:
    codec.decode(cbor.encode(_container(**good)))
    with pytest.raises(Malformed) as caught:
        codec.decode(cbor.encode(_container(**bad)))
    assert caught.value.rule == rule


@pytest.mark.parametrize(
    ("rule", "value"),
    [
        ("CONTENT-002", "text"),
        ("CONTENT-002", _container()[:6]),
        ("CONTENT-002", _container(salt="text")),
        ("CONTENT-004", _container(replaces=b"")),
        ("CONTENT-006", _container(expires=7)),
        ("CONTENT-006", _container(expires=(True,))),
        ("CONTENT-006", _container(expires=(1, 2))),
        ("CONTENT-002", _container(expires=(True, -1))),
        ("CONTENT-007", _container(extensions=())),
        ("CONTENT-007", _container(extensions={b"octets": 1})),
        ("CONTENT-008", _container(body=5)),
        ("CONTENT-008", _container(body=(1, ""))),
        ("CONTENT-008", _container(body=(1, "", 0, 0))),
        ("CONTENT-008", _container(body=(1, "", 4))),
        ("CONTENT-002", _container(body=(True, "", 0))),
        ("CONTENT-002", _container(body=(1, b"", 0))),
        ("CONTENT-002", _container(body=(256, "", 0))),
        ("CONTENT-011", _container(body=(1, "", 3, 3, ((1, "", 0), (1, "", 0))))),
        ("CONTENT-012", _container(body=(1, "", 3, 0, ((1, "", 0),)))),
        ("CONTENT-012", _container(body=(1, "", 3, 0, 7))),
        (
            "CONTENT-010",
            _container(
                body=(
                    1,
                    "",
                    3,
                    0,
                    (
                        (1, "", 0),
                        (
                            1,
                            "",
                            3,
                            0,
                            (
                                (1, "", 0),
                                (
                                    1,
                                    "",
                                    3,
                                    0,
                                    (
                                        (1, "", 0),
                                        (1, "", 3, 0, ((1, "", 0), (1, "", 0))),
                                    ),
                                ),
                            ),
                        ),
                    ),
                ),
            ),
        ),
    ],
)
def test_refusals_name_their_rule(rule: str, value: Any) -> None:
    with pytest.raises(Malformed) as caught:
        codec.decode(cbor.encode(value))
    assert caught.value.rule == rule


def test_a_giant_is_refused_unread() -> None:
    with pytest.raises(Malformed, match="CONTENT-001"):
        codec.decode(b"\xff" * (CONTAINER_OCTETS_MAX + 1))

"""`application/mimi-content` octets (draft-ietf-mimi-content-09), strict both ways.

`decode` accepts exactly what `encode` makes. Unknown dispositions, content types
and extension keys are kept as they came. Numbers of rules: docs/reference/rules.md.
"""

from collections.abc import Iterable, Mapping
from typing import Final, NoReturn

from sabir.content.limits import (
    CBOR_LIMITS,
    CONTAINER_OCTETS_MAX,
    EXTENSION_KEY_INT_MAX,
    EXTENSION_KEY_OCTETS_MAX,
    EXTENSION_NESTING_MAX,
    NESTING_MAX,
    PARTS_MAX,
    SUBJECT_OCTETS_MAX,
    TOPIC_ID_OCTETS_MAX,
)
from sabir.content.model import (
    MESSAGE_ID_OCTETS,
    SALT_OCTETS,
    Content,
    Expiry,
    ExtensionKey,
    ExternalPart,
    MessageId,
    MultiPart,
    NullPart,
    Part,
    PartSemantics,
    SinglePart,
)
from sabir.wire import cbor
from sabir.wire.cbor import Tag, Value
from sabir.wire.errors import Malformed, NotEncodable

_NULL, _SINGLE, _EXTERNAL, _MULTI = 0, 1, 2, 3
_LENGTHS: Final = {_NULL: 3, _SINGLE: 5, _EXTERNAL: 15, _MULTI: 5}
_CONTAINER_LENGTH: Final = 7
_ID_ALGORITHM: Final = 1
"""Named Information number of sha-256: the first octet of every message id."""
_U8, _U16, _U32, _U64 = 0xFF, 0xFFFF, 0xFFFF_FFFF, 0xFFFF_FFFF_FFFF_FFFF


# ---- encoding


def encode(content: Content) -> bytes:
    """Encode a message.

    Returns:
        At most 512 KiB of deterministic CBOR.

    Raises:
        NotEncodable: a receiver would refuse it, by the WIRE or CONTENT rule named.
    """
    try:
        _check(content)
    except Malformed as broken:
        raise NotEncodable(broken.rule, broken.detail) from None
    raw = cbor.encode(
        (
            content.salt,
            content.replaces,
            content.topic_id,
            None if content.expires is None else _expiry_value(content.expires),
            content.in_reply_to,
            content.extensions,
            _part_value(content.body),
        )
    )
    if len(raw) > CONTAINER_OCTETS_MAX:
        raise NotEncodable("CONTENT-001", f"{len(raw)} octets")
    return raw


def _expiry_value(expiry: Expiry) -> Value:
    return (expiry.relative, expiry.time_s)


def _part_value(part: Part) -> Value:
    head = (int(part.disposition), part.language)
    if isinstance(part, NullPart):
        return (*head, _NULL)
    if isinstance(part, SinglePart):
        return (*head, _SINGLE, part.content_type, part.content)
    if isinstance(part, MultiPart):
        inner = tuple([_part_value(each) for each in part.parts])
        return (*head, _MULTI, int(part.semantics), inner)
    return (
        *head,
        _EXTERNAL,
        part.content_type,
        part.url,
        part.expires,
        part.size,
        part.enc_alg,
        part.key,
        part.nonce,
        part.aad,
        part.hash_alg,
        part.content_hash,
        part.description,
        part.filename,
    )


# ---- decoding


def decode(raw: bytes) -> Content:
    """Decode a message.

    Raises:
        Malformed: a WIRE or CONTENT rule is broken; nothing else is raised.
    """
    if len(raw) > CONTAINER_OCTETS_MAX:
        _refuse("CONTENT-001", f"{len(raw)} octets")
    value = cbor.decode(raw, limits=CBOR_LIMITS)
    if not isinstance(value, tuple) or len(value) != _CONTAINER_LENGTH:
        _refuse("CONTENT-002", "the container is no array of 7")
    salt, replaces, topic_id, expires, in_reply_to, extensions, body = value
    if not isinstance(extensions, Mapping):
        _refuse("CONTENT-007", "the extensions are no map")
    content = Content(
        salt=_bytes(salt),
        replaces=_message_id(replaces),
        topic_id=_bytes(topic_id),
        expires=_expiry(expires),
        in_reply_to=_message_id(in_reply_to),
        extensions=extensions,  # type: ignore[arg-type]  # keys: _check_extensions
        body=_part(body, NESTING_MAX),
    )
    _check(content)
    return content


def _part(value: Value, levels_left: int) -> Part:
    if levels_left <= 0:
        _refuse("CONTENT-010", f"parts nest deeper than {NESTING_MAX}")
    if not isinstance(value, tuple) or len(value) < _LENGTHS[_NULL]:
        _refuse("CONTENT-008", "a part is no array of 3 or more")
    cardinality = _uint(value[2], _U8)
    if len(value) != _LENGTHS.get(cardinality):
        _refuse("CONTENT-008", f"cardinality {cardinality}, length {len(value)}")
    disposition, language = _uint(value[0], _U8), _text(value[1])
    if cardinality == _NULL:
        return NullPart(disposition=disposition, language=language)
    if cardinality == _SINGLE:
        return SinglePart(
            disposition=disposition,
            language=language,
            content_type=_text(value[3]),
            content=_bytes(value[4]),
        )
    if cardinality == _EXTERNAL:
        return _external(value, disposition, language)
    return _multi(value, disposition, language, levels_left)


def _multi(
    value: tuple[Value, ...], disposition: int, language: str, levels_left: int
) -> MultiPart:
    try:
        semantics = PartSemantics(_uint(value[3], _U8))
    except ValueError:
        _refuse("CONTENT-011", "unknown partSemantics")
    inner = value[4]
    if not isinstance(inner, tuple) or len(inner) < 2:
        _refuse("CONTENT-012", "fewer than 2 parts in a multipart")
    return MultiPart(
        disposition=disposition,
        language=language,
        semantics=semantics,
        parts=tuple([_part(each, levels_left - 1) for each in inner]),
    )


def _external(
    value: tuple[Value, ...], disposition: int, language: str
) -> ExternalPart:
    return ExternalPart(
        disposition=disposition,
        language=language,
        content_type=_text(value[3]),
        url=_text(value[4]),
        expires=_uint(value[5], _U32),
        size=_uint(value[6], _U64),
        enc_alg=_uint(value[7], _U16),
        key=_bytes(value[8]),
        nonce=_bytes(value[9]),
        aad=_bytes(value[10]),
        hash_alg=_uint(value[11], _U8),
        content_hash=_bytes(value[12]),
        description=_text(value[13]),
        filename=_text(value[14]),
    )


def _expiry(value: Value) -> Expiry | None:
    if value is None:
        return None
    if not isinstance(value, tuple) or len(value) != 2:
        _refuse("CONTENT-006", "expires is neither null nor a pair")
    relative, time_s = value
    if not isinstance(relative, bool):
        _refuse("CONTENT-006", "relative is not a bool")
    return Expiry(relative=relative, time_s=_uint(time_s, _U32))


def _message_id(value: Value) -> MessageId | None:
    return None if value is None else MessageId(_bytes(value))


# ---- rules that hold for both directions


def _check(content: Content) -> None:
    if len(content.salt) != SALT_OCTETS:
        _refuse("CONTENT-003", f"a salt of {len(content.salt)} octets")
    for each in (content.replaces, content.in_reply_to):
        if each is not None and (
            len(each) != MESSAGE_ID_OCTETS or each[0] != _ID_ALGORITHM
        ):
            _refuse("CONTENT-004", "not a message id")
    if len(content.topic_id) > TOPIC_ID_OCTETS_MAX:
        _refuse("CONTENT-005", f"a topicId of {len(content.topic_id)} octets")
    if content.expires is not None and not 0 <= content.expires.time_s <= _U32:
        _refuse("CONTENT-002", "expires is not 32 bits")
    if content.extensions:
        _check_extensions(content.extensions)
    parts = _check_part(content.body, NESTING_MAX)
    if parts > PARTS_MAX:
        _refuse("CONTENT-009", f"{parts} parts")


def _check_part(part: Part, levels_left: int) -> int:
    """Return how many parts there are."""
    if levels_left <= 0:
        _refuse("CONTENT-010", f"parts nest deeper than {NESTING_MAX}")
    if not 0 <= part.disposition <= _U8:
        _refuse("CONTENT-002", "a disposition is not 8 bits")
    if isinstance(part, MultiPart):
        if len(part.parts) < 2:
            _refuse("CONTENT-012", "fewer than 2 parts in a multipart")
        return 1 + sum(_check_part(each, levels_left - 1) for each in part.parts)
    if isinstance(part, ExternalPart):
        _check_external(part)
    return 1


def _check_external(part: ExternalPart) -> None:
    widths = (
        (part.expires, _U32),
        (part.size, _U64),
        (part.enc_alg, _U16),
        (part.hash_alg, _U8),
    )
    if any(not 0 <= number <= most for number, most in widths):
        _refuse("CONTENT-002", "a number of an external part is out of its range")
    if part.enc_alg == 0 and (part.key or part.nonce or part.aad):
        _refuse("CONTENT-014", "key, nonce or aad without an algorithm")
    if part.url[:5].lower() == "http:":
        _refuse("CONTENT-015", "a file behind http:")


def _check_extensions(extensions: Mapping[int | str, Value]) -> None:
    for name, value in extensions.items():
        if isinstance(name, str):
            if not 1 <= _octets_of(name) <= EXTENSION_KEY_OCTETS_MAX:
                _refuse("CONTENT-007", "an extension's name is empty or too long")
        elif isinstance(name, bool) or not isinstance(name, int):
            _refuse("CONTENT-007", "an extension's name is neither text nor integer")
        else:
            _check_key(name)
        _check_depth(value, EXTENSION_NESTING_MAX - 1)
    for uri in (ExtensionKey.SENDER_URI, ExtensionKey.ROOM_URI):
        if not isinstance(extensions.get(uri, ""), str):
            _refuse("CONTENT-013", f"extension {int(uri)} is not text")
    subject = extensions.get(ExtensionKey.SUBJECT, "-")
    if not isinstance(subject, str) or not (
        1 <= _octets_of(subject) <= SUBJECT_OCTETS_MAX
    ):
        _refuse("CONTENT-013", "extension 5 is not text of 1 to 4,096 octets")


def _check_depth(value: Value, levels_left: int) -> None:
    inside: Iterable[Value]
    if isinstance(value, Tag):
        inside = (value.value,)
    elif isinstance(value, Mapping):
        for key in value:
            _check_key(key)
        inside = value.values()
    elif isinstance(value, tuple | list):
        inside = value
    else:
        return
    if levels_left <= 0:
        _refuse(
            "CONTENT-016", f"an extension nests deeper than {EXTENSION_NESTING_MAX}"
        )
    for each in inside:
        _check_depth(each, levels_left - 1)


def _check_key(key: object) -> None:
    """Check a key of the extensions map or of any map inside (content-09)."""
    if isinstance(key, int) and abs(key) > EXTENSION_KEY_INT_MAX:
        _refuse("CONTENT-007", "an integer key is beyond 53 bits")


def _octets_of(text: str) -> int:
    # A surrogate is `cbor.encode`'s to refuse; here it only has a length.
    return len(text.encode("utf-8", "surrogatepass"))


def _bytes(value: Value) -> bytes:
    if not isinstance(value, bytes):
        _refuse("CONTENT-002", "octets expected")
    return value


def _text(value: Value) -> str:
    if not isinstance(value, str):
        _refuse("CONTENT-002", "text expected")
    return value


def _uint(value: Value, most: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= most:
        _refuse("CONTENT-002", f"an integer from 0 to {most} expected")
    return value


def _refuse(rule: str, detail: str) -> NoReturn:
    raise Malformed(rule, detail)

"""Application components: data in the group that the core carries and never reads.

mls-extensions-10 section 4: the `app_data_dictionary` extension, the proposals
AppDataUpdate and AppEphemeral, SafeAAD, the lists of components, and the labels of
the Safe functions. Media types and their framing are its section 6.2, the
mark of a key package of last resort its section 6.4.

What a component's data mean is said by a `Component` that the application registers
by id; the core asks it and keeps what it answers.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final, Protocol

from sabir.mls.codepoints import GREASE
from sabir.mls.errors import MlsInvalid
from sabir.mls.extensions import APP_DATA_DICTIONARY, Extension, find_extension
from sabir.mls.framing import Sender
from sabir.mls.group_context import GroupContext
from sabir.mls.limits import (
    COMPONENTS_MAX,
    DICTIONARY_OCTETS_MAX,
    MEDIA_TYPE_OCTETS_MAX,
    MEDIA_TYPE_PARAMETERS_MAX,
    MEDIA_TYPES_MAX,
    MEDIA_TYPES_OCTETS_MAX,
)
from sabir.mls.misuse import composes
from sabir.mls.validation.rules import Rule
from sabir.wire import tls
from sabir.wire.tls import Reader

APP_COMPONENTS: Final = 0x0001
SAFE_AAD: Final = 0x0002
CONTENT_MEDIA_TYPES: Final = 0x0003
LAST_RESORT_KEY_PACKAGE: Final = 0x0004
APP_ACK: Final = 0x0005

LAST_RESORT_EXTENSION: Final = 0x000A
"""The older mark of a key package of last resort (OpenMLS, RCS): read, not written."""

_DICTIONARIES_KEPT_MAX: Final = 32
"""Dictionaries that were read: of busy groups, and of their client versions."""

_KEPT_OCTETS_MAX: Final = 64 << 10
"""Longer ones are read each time: what is kept by all stays below 4 MiB."""

_BASE_LABEL: Final = tls.opaque(b"MLS Component")


# ---- data by component


@dataclass(frozen=True, slots=True)
class AppDataDictionary:
    """Data by component id, in the order of the ids.

    Attributes:
        entries: pairs of id and data, sorted, no id twice.
    """

    entries: tuple[tuple[int, bytes], ...] = field(default=(), repr=False)

    def find(self, component_id: int) -> bytes | None:
        """Return a component's data, or None where it has none."""
        for known, data in self.entries:
            if known == component_id:
                return data
        return None

    def with_entry(self, component_id: int, data: bytes) -> "AppDataDictionary":
        """Return a dictionary in which the component has these data."""
        kept = self.without(component_id).entries
        return AppDataDictionary(tuple(sorted((*kept, (component_id, data)))))

    def without(self, component_id: int) -> "AppDataDictionary":
        """Return a dictionary in which the component has no data."""
        return AppDataDictionary(
            tuple(entry for entry in self.entries if entry[0] != component_id)
        )

    def encode(self) -> bytes:
        """Write the `AppDataDictionary`, the octets of the extension's data."""
        return _encode_items(self.entries)


def read_dictionary(reader: Reader) -> AppDataDictionary:
    """Read an `AppDataDictionary` (mls-extensions 4.6).

    Raises:
        Malformed: octets that are none; C03, more than `DICTIONARY_OCTETS_MAX` octets
            or `COMPONENTS_MAX` entries.
        MlsInvalid: E01, not sorted or an id twice.
    """
    return AppDataDictionary(_read_items(reader, Rule.E01, DICTIONARY_OCTETS_MAX))


def dictionary_of(extensions: Iterable[Extension]) -> AppDataDictionary | None:
    """Read the dictionary among extensions, None where there is none."""
    data = find_extension(extensions, APP_DATA_DICTIONARY)
    if data is None:
        return None
    return _read_kept(data) if len(data) <= _KEPT_OCTETS_MAX else _read_now(data)


def _read_now(data: bytes) -> AppDataDictionary:
    return tls.read_whole(data, read_dictionary)


_read_kept = lru_cache(_DICTIONARIES_KEPT_MAX)(_read_now)
"""Reads a dictionary once: every message asks for that of its group."""


def component_of(extensions: Iterable[Extension], component_id: int) -> bytes | None:
    """Return one component's data among extensions, None where it has none."""
    found = dictionary_of(extensions)
    return None if found is None else found.find(component_id)


def with_dictionary(
    extensions: Sequence[Extension], dictionary: AppDataDictionary
) -> tuple[Extension, ...]:
    """Put a dictionary where the old one is, or at the end (mls-extensions 4.7)."""
    new = Extension(APP_DATA_DICTIONARY, dictionary.encode())
    if find_extension(extensions, APP_DATA_DICTIONARY) is None:
        return (*extensions, new)
    return tuple(
        new if extension.kind == APP_DATA_DICTIONARY else extension
        for extension in extensions
    )


def is_last_resort(extensions: Sequence[Extension]) -> bool:
    """Whether a key package's extensions let it be used more than once."""
    return (
        find_extension(extensions, LAST_RESORT_EXTENSION) is not None
        or component_of(extensions, LAST_RESORT_KEY_PACKAGE) is not None
    )


def _read_item(reader: Reader) -> tuple[int, bytes]:
    return reader.uint16(), reader.opaque()


def _read_items(
    reader: Reader, rule: Rule, limit: int
) -> tuple[tuple[int, bytes], ...]:
    """Read pairs of id and data whose ids must grow."""
    items = reader.vector(_read_item, limit, COMPONENTS_MAX)
    for index in range(1, len(items)):
        if items[index - 1][0] >= items[index][0]:
            raise MlsInvalid(rule, f"component 0x{items[index][0]:04X} out of order")
    return items


@composes
def _encode_items(items: Iterable[tuple[int, bytes]]) -> bytes:
    return tls.vector(tls.uint16(number) + tls.opaque(data) for number, data in items)


# ---- lists of components


@composes
def encode_components(component_ids: Iterable[int]) -> bytes:
    """Write a `ComponentsList`, the data of `app_components` and `safe_aad`."""
    return tls.vector(tls.uint16(number) for number in component_ids)


def read_components(reader: Reader) -> tuple[int, ...]:
    """Read a `ComponentsList` (mls-extensions 5).

    Raises:
        Malformed: octets that are none; C03, more than `COMPONENTS_MAX` ids.
    """
    return reader.vector(Reader.uint16, count_max=COMPONENTS_MAX)


def listed_components(
    extensions: Iterable[Extension], component_id: int
) -> tuple[int, ...]:
    """Return the ids that `app_components` or `safe_aad` lists, none without it."""
    data = component_of(extensions, component_id)
    return () if data is None else tls.read_whole(data, read_components)


def is_grease(component_id: int) -> bool:
    """Whether an id means nothing and may not be in a GroupContext (5.1)."""
    return component_id in GREASE


# ---- SafeAAD


def encode_safe_aad(items: Mapping[int, bytes]) -> bytes:
    """Write a `SafeAAD`, the whole `authenticated_data` where the group wants it."""
    return _encode_items(sorted(items.items()))


def read_safe_aad(authenticated_data: bytes, limit: int) -> dict[int, bytes]:
    """Read a `SafeAAD` (mls-extensions 4.9).

    Args:
        authenticated_data: all of it.
        limit: octets that it may have.

    Raises:
        Malformed: octets that are none; C03, more than `limit` octets or
            `COMPONENTS_MAX` items.
        MlsInvalid: E07, not sorted or an id twice.
    """
    return dict(
        tls.read_whole(
            authenticated_data, lambda reader: _read_items(reader, Rule.E07, limit)
        )
    )


def requires_safe_aad(context: GroupContext) -> bool:
    """Whether a group frames all `authenticated_data` as `SafeAAD`."""
    return component_of(context.extensions, SAFE_AAD) is not None


# ---- media types


@dataclass(frozen=True, slots=True)
class MediaType:
    """An IANA media type.

    Attributes:
        name: `type/subtype`, or empty for the first one that the group lists.
        parameters: pairs of name and value, in their order, without quotation marks.
    """

    name: bytes
    parameters: tuple[tuple[bytes, bytes], ...] = ()

    @composes
    def encode(self) -> bytes:
        """Write the `MediaType`."""
        return tls.opaque(self.name) + tls.vector(
            tls.opaque(name) + tls.opaque(value) for name, value in self.parameters
        )


def read_media_type(reader: Reader) -> MediaType:
    """Read a `MediaType` (mls-extensions 6.2).

    Raises:
        Malformed: octets that are none; C03, more than `MEDIA_TYPE_PARAMETERS_MAX`
            parameters, or `MEDIA_TYPE_OCTETS_MAX` octets of them.
    """
    return MediaType(
        reader.opaque(MEDIA_TYPE_OCTETS_MAX),
        reader.vector(
            _read_parameter, MEDIA_TYPE_OCTETS_MAX, MEDIA_TYPE_PARAMETERS_MAX
        ),
    )


def _read_parameter(reader: Reader) -> tuple[bytes, bytes]:
    return reader.opaque(), reader.opaque()


@composes
def encode_media_types(media_types: Iterable[MediaType]) -> bytes:
    """Write a `MediaTypeList`, the data of `content_media_types`."""
    return tls.vector(media_type.encode() for media_type in media_types)


def read_media_types(reader: Reader) -> tuple[MediaType, ...]:
    """Read a `MediaTypeList`.

    Raises:
        Malformed: octets that are none; C03, more than `MEDIA_TYPES_MAX` types or
            `MEDIA_TYPES_OCTETS_MAX` octets.
        MlsInvalid: E12, an empty list.
    """
    media_types = reader.vector(
        read_media_type, MEDIA_TYPES_OCTETS_MAX, MEDIA_TYPES_MAX
    )
    if not media_types:
        raise MlsInvalid(Rule.E12, "no media type listed")
    return media_types


def media_types_of(extensions: Iterable[Extension]) -> tuple[MediaType, ...] | None:
    """Return the media types that extensions list, None where they list none."""
    data = component_of(extensions, CONTENT_MEDIA_TYPES)
    return None if data is None else tls.read_whole(data, read_media_types)


@dataclass(frozen=True, slots=True)
class ApplicationFraming:
    """Application data with its media type (mls-extensions 6.2)."""

    media_type: MediaType
    content: bytes = field(repr=False)

    @composes
    def encode(self) -> bytes:
        """Write the `ApplicationFraming`, the application data of a message."""
        return self.media_type.encode() + tls.opaque(self.content)


def read_application_framing(
    context: GroupContext, application_data: bytes
) -> ApplicationFraming | None:
    """Take a message's media type from its data, None in groups that do not frame.

    An empty media type is replaced by the first one that the group lists.

    Raises:
        Malformed, MlsInvalid: E12 is broken.
    """
    media_types = media_types_of(context.extensions)
    if media_types is None:
        return None
    framing = tls.read_whole(application_data, _read_framing)
    if framing.media_type.name:
        return framing
    return ApplicationFraming(media_types[0], framing.content)


def _read_framing(reader: Reader) -> ApplicationFraming:
    return ApplicationFraming(read_media_type(reader), reader.opaque())


# ---- labels of the Safe functions


@composes
def component_label(component_id: int, label: bytes) -> bytes:
    """Write the `ComponentOperationLabel` (mls-extensions 4.1).

    SafeSignWithLabel, SafeEncryptWithLabel and their counterparts are the functions
    of `sabir.crypto.labels` with these octets as label.
    """
    return _BASE_LABEL + tls.uint16(component_id) + tls.opaque(label)


# ---- what the application registers


class ComponentRefused(Exception):
    """A `Component` does not accept data; the message says why, without values."""


@dataclass(frozen=True, slots=True)
class CommitContext:
    """What a component may look at when it judges data in a commit.

    Attributes:
        context: the group before the commit.
        committer: who sends the commit.
        proposers: who sent each of the proposals, in their order.
    """

    context: GroupContext
    committer: Sender
    proposers: tuple[Sender, ...]


class Component(Protocol):
    """The application's knowledge of one component id. Pure: it keeps no state."""

    def apply(
        self, old: bytes | None, updates: Sequence[bytes], commit: CommitContext
    ) -> bytes:
        """Return the new data of the group.

        Args:
            old: the data so far, None where there are none.
            updates: what the AppDataUpdates carry, in the order of the commit.
            commit: who commits to what.

        Raises:
            ComponentRefused: the updates are not acceptable.
        """
        ...

    def ephemeral(self, data: bytes, commit: CommitContext) -> None:
        """Judge the data of one AppEphemeral.

        Raises:
            ComponentRefused: they are not acceptable.
        """
        ...


Components = Mapping[int, Component]
"""The components that a client knows, by id."""

"""Roles and policies on the wire: what they say, and what contradicts itself."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sabir.errors import PeerIncompatible
from sabir.mimi.components.asset_policy import (
    AssetPolicy,
    DownloadPrivacy,
    UploadDomains,
    UploadLocation,
    decode_asset_policy,
)
from sabir.mimi.components.base_policy import BaseRoomPolicy, decode_base_room_policy
from sabir.mimi.components.expiration import (
    MessageExpiration,
    decode_message_expiration,
)
from sabir.mimi.components.framing import MARKDOWN, PLAIN, is_supported, matches
from sabir.mimi.components.franking_agent import FrankingAgent, decode_franking_agent
from sabir.mimi.components.metadata import (
    RichDescription,
    RoomMetadata,
    changed_fields,
    decode_room_metadata,
)
from sabir.mimi.components.optionality import Optionality
from sabir.mimi.components.roles import Role, RoleChange, RoleData, decode_role_data
from sabir.mimi.components.status_policy import (
    StatusNotificationPolicy,
    decode_status_policy,
)
from sabir.mimi.templates import TEMPLATES, role_set
from sabir.mls.components import MediaType
from sabir.mls.credentials import BasicCredential
from sabir.wire.errors import Malformed

ROOM = "mimi://hub.example/r/tea"


def refuses(rule: str) -> "pytest.RaisesExc[Malformed]":
    return pytest.raises(Malformed, match=rule)


def test_mc_014_the_golden_base_policy() -> None:
    policy = BaseRoomPolicy(policy_components=(0x25, 0x28, 0x2C))
    golden = bytes.fromhex("00 00 00 01 00 00 00 01 00 06 0025 0028 002c")
    assert policy.encode() == golden
    assert decode_base_room_policy(golden) == policy
    for template in TEMPLATES.values():
        assert (template.base_policy.encode()[1:] == golden[1:]) is True


@pytest.mark.parametrize(
    ("rule", "octets"),
    [
        ("MIMI-109", "00 01 00 01 00 00 00 01 00 00"),
        ("MIMI-109", "00 00 0a 09 6d696d693a2f2f6162 01 00 00 00 01 00 00"),
        ("MIMI-109", "00 00 00 01 00 00 00 01 00 04 0028 0025"),
        ("MIMI-109", "00 00 00 01 00 00 00 01 00 04 0025 0025"),
        ("C06", "02 00 00 01 00 00 00 01 00 00"),
        ("C05", "00 00 00 01 00 00 00 01 00 00 00"),
    ],
)
def test_what_is_no_base_policy(rule: str, octets: str) -> None:
    with refuses(rule):
        decode_base_room_policy(bytes.fromhex(octets))


# ---- everything that is written is read again

NAMES = st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]))
UINT32 = st.integers(0, 2**32 - 1)
UINT64 = st.integers(0, 2**64 - 1)
MEDIA_TYPES = st.builds(
    MediaType,
    st.binary(max_size=9),
    st.tuples(st.tuples(st.binary(max_size=4), st.binary(max_size=4))),
)


def distinct(items: st.SearchStrategy[Any], key: Callable[[Any], object]) -> Any:
    return st.lists(items, max_size=4, unique_by=key).map(tuple)


ROLES = st.builds(
    Role,
    UINT32,
    NAMES,
    NAMES,
    st.lists(st.integers(0x100, 0xFFFF), max_size=4).map(tuple),
    UINT32,
    st.none() | UINT32,
    UINT32,
    st.none() | UINT32,
    distinct(
        st.builds(RoleChange, UINT32, st.lists(UINT32, max_size=4).map(tuple)),
        lambda change: change.source,
    ),
)
SAMPLES: dict[str, tuple[st.SearchStrategy[Any], Callable[[bytes], Any]]] = {
    "roles": (
        distinct(ROLES, lambda role: role.index).map(RoleData),
        decode_role_data,
    ),
    "metadata": (
        st.builds(
            RoomMetadata,
            st.just(ROOM),
            NAMES,
            st.lists(
                st.builds(RichDescription, NAMES, NAMES, st.binary(max_size=9)),
                max_size=3,
            ).map(tuple),
            st.sampled_from(["", "https://a.example/a.png"]),
            NAMES,
            NAMES,
        ),
        decode_room_metadata,
    ),
    "base policy": (
        st.builds(
            BaseRoomPolicy,
            fixed_membership=st.booleans(),
            parent_room=st.none() | st.just(ROOM),
            multi_device=st.booleans(),
            max_clients=st.none() | UINT32,
            max_users=st.none() | UINT32,
            pseudonyms_allowed=st.booleans(),
            persistent_room=st.booleans(),
            discoverable=st.booleans(),
            policy_components=st.lists(st.integers(0, 0xFFFF), unique=True).map(
                lambda found: tuple(sorted(found))
            ),
        ),
        decode_base_room_policy,
    ),
    "asset policy": (
        st.builds(
            AssetPolicy,
            location=st.integers(0, 255),
            upload_domains=distinct(
                st.builds(UploadDomains, NAMES, st.lists(NAMES, max_size=2).map(tuple)),
                lambda entry: entry.provider,
            ),
            download_privacy=st.builds(
                DownloadPrivacy,
                st.lists(st.integers(0, 255), max_size=3).map(tuple),
                st.lists(st.integers(0, 255), max_size=3).map(tuple),
                st.integers(0, 255),
            ),
            max_image=UINT64,
            max_audio=UINT64,
            max_video=UINT64,
            max_attachment=UINT64,
            forbidden_media_types=st.lists(MEDIA_TYPES, max_size=2).map(tuple),
            permitted_media_types=st.none()
            | st.lists(MEDIA_TYPES, min_size=1, max_size=2).map(tuple),
        ),
        decode_asset_policy,
    ),
    "status policy": (
        st.builds(
            StatusNotificationPolicy,
            st.sampled_from(Optionality),
            st.sampled_from(Optionality),
        ),
        decode_status_policy,
    ),
    "expiration": (
        st.just(MessageExpiration(Optionality.FORBIDDEN))
        | st.tuples(
            st.sampled_from([Optionality.OPTIONAL, Optionality.REQUIRED]),
            st.lists(UINT32, min_size=3, max_size=3).map(sorted),
            st.booleans(),
        ).map(
            lambda given: MessageExpiration(
                given[0], given[1][0], given[1][2], given[1][1] if given[2] else None
            )
        ),
        decode_message_expiration,
    ),
    "franking agent": (
        st.builds(
            FrankingAgent,
            st.binary(max_size=32),
            st.builds(BasicCredential, st.binary(max_size=32)),
        ),
        decode_franking_agent,
    ),
}


@pytest.mark.parametrize("name", SAMPLES)
@given(st.data())
def test_what_is_written_is_read_and_nothing_behind_it(
    name: str, data: st.DataObject
) -> None:
    strategy, decode = SAMPLES[name]
    value = data.draw(strategy)
    octets = value.encode()
    assert decode(octets) == value
    with refuses("C05"):
        decode(octets + b"\x00")
    size = data.draw(st.integers(0, len(octets) - 1))
    with pytest.raises(Malformed):
        decode(octets[:size])


@pytest.mark.parametrize("name", SAMPLES)
@given(st.binary(max_size=64))
def test_mc_015_any_octets_are_read_or_malformed(name: str, octets: bytes) -> None:
    _, decode = SAMPLES[name]
    try:
        value = decode(octets)
    except (Malformed, PeerIncompatible):
        return
    assert value.encode() == octets


# ---- what contradicts itself


@pytest.mark.parametrize(
    "roles",
    [
        (Role(2, "a"), Role(2, "b")),
        (Role(2, "a", changes=(RoleChange(0, (2,)), RoleChange(0, (3,)))),),
        (Role(2, "a", capabilities=(0x0004,)),),
        (Role(1, "out"), Role(2, "a", capabilities=(0x000A,))),
        (Role(2, "a", capabilities=(0x000B,)),),
    ],
)
def test_roles_that_contradict_each_other_are_refused(roles: tuple[Role, ...]) -> None:
    with refuses("MIMI-108"):
        decode_role_data(RoleData(roles).encode())


def test_roles_may_ban_where_role_1_is_banned_and_role_0_may_be_open() -> None:
    roles = RoleData(
        (
            Role(0, "no_role", capabilities=(0x0004,)),
            Role(1, "banned"),
            Role(2, "a", capabilities=(0x000A, 0x000B)),
        )
    )
    assert decode_role_data(roles.encode()).can_ban
    assert 2 in roles
    assert 7 not in roles
    assert not roles.role(7).may(0x000A)
    assert roles.role(7).targets(0) == ()


def test_an_avatar_is_behind_https_and_text_has_no_nul() -> None:
    with refuses("MIMI-107"):
        decode_room_metadata(RoomMetadata(ROOM, avatar="http://a.example/x").encode())
    with refuses("MIMI-100"):
        decode_room_metadata(RoomMetadata(ROOM, name="a\x00b").encode())
    wrong = RoomMetadata(ROOM, name="ab").encode().replace(b"ab", b"\xff\xfe")
    with refuses("MIMI-100"):
        decode_room_metadata(wrong)


def test_metadata_name_the_fields_that_changed() -> None:
    old = RoomMetadata(ROOM, "Tea")
    new = RoomMetadata(
        ROOM, "Tea", (RichDescription("", "en", b"x"),), "https://x", "s", "m"
    )
    assert changed_fields(old, new) == {"descriptions", "avatar", "subject", "mood"}
    assert changed_fields(old, RoomMetadata(ROOM, "Coffee")) == {"name"}


def test_an_optionality_that_nobody_knows_is_refused() -> None:
    with refuses("MIMI-110"):
        decode_status_policy(b"\x00\x03")
    with refuses("MIMI-110"):
        decode_message_expiration(b"\x07")


@pytest.mark.parametrize(
    ("least", "most", "default"), [(2, 1, None), (2, 4, 1), (2, 4, 5)]
)
def test_durations_that_exclude_everything_are_refused(
    least: int, most: int, default: int | None
) -> None:
    with refuses("MIMI-111"):
        decode_message_expiration(
            MessageExpiration(Optionality.REQUIRED, least, most, default).encode()
        )


def assets(**changed: Any) -> AssetPolicy:
    sizes = dict.fromkeys(("max_image", "max_audio", "max_video", "max_attachment"), 1)
    return AssetPolicy(**{**sizes, **changed})


def test_a_provider_has_one_entry_of_asset_hosts() -> None:
    entry = UploadDomains("a.example", ("x.a.example", "y.a.example"))
    policy = assets(upload_domains=(entry,), location=UploadLocation.HUB)
    assert decode_asset_policy(policy.encode()).destinations_of("a.example") == (
        "x.a.example",
        "y.a.example",
    )
    assert policy.destinations_of("b.example") == ()
    with refuses("MIMI-112"):
        decode_asset_policy(assets(upload_domains=(entry, entry)).encode())
    with refuses("MIMI-112"):
        decode_asset_policy(assets(permitted_media_types=()).encode())


# ---- media types


@pytest.mark.parametrize(
    ("entry", "wanted", "expected"),
    [
        (PLAIN, PLAIN, True),
        (MediaType(b"text/plain"), PLAIN, True),
        (PLAIN, MediaType(b"text/plain"), False),
        (MediaType(b"TEXT/Plain", ((b"CharSet", b"UTF-8"),)), PLAIN, True),
        (MediaType(b"text/markdown", ((b"variant", b"gfm-mimi"),)), MARKDOWN, True),
        (MediaType(b"text/markdown", ((b"variant", b"CommonMark"),)), MARKDOWN, False),
        (MediaType(b"a/b", ((b"x", b"Y"),)), MediaType(b"a/b", ((b"x", b"y"),)), False),
        (PLAIN, MARKDOWN, False),
    ],
)
def test_mc_042_media_types_compare_as_their_parts_do(
    entry: MediaType, wanted: MediaType, expected: bool
) -> None:
    assert matches(entry, wanted) is expected
    assert is_supported(wanted, [entry]) is expected
    assert is_supported(wanted, []) is False


def test_a_role_set_is_read_again_as_it_was() -> None:
    for template in TEMPLATES.values():
        assert decode_role_data(template.roles.encode()) == template.roles
        packaged = role_set(template.role_set)
        assert decode_role_data(packaged.encode()) == packaged

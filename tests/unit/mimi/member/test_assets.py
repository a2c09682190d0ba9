"""Files that messages point to."""

import hashlib
import random
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sabir.content.model import ExternalPart
from sabir.crypto.aead_streams import GcmSealer
from sabir.errors import LocalError, PeerIncompatible
from sabir.mimi.components.asset_policy import (
    AssetPolicy,
    DownloadKind,
    DownloadPrivacy,
    UploadDomains,
    UploadLocation,
)
from sabir.mimi.member.assets import (
    AssetRefused,
    AssetSealer,
    check_asset,
    check_kind,
    open_asset,
)
from sabir.mls.components import MediaType
from sabir.wire.errors import Malformed

URL = "https://assets.b.example/v1/x"
MANY = 1 << 20


def policy(**more: Any) -> AssetPolicy:
    settings: dict[str, Any] = {
        "upload_domains": (
            UploadDomains("a.example", ("a.example",)),
            UploadDomains("b.example", ("assets.b.example", "cdn.b.example")),
        ),
        "max_image": 100,
        "max_audio": 200,
        "max_video": 300,
        "max_attachment": 400,
    }
    return AssetPolicy(**{**settings, **more})


def sealed(
    *pieces: bytes, rng: Callable[[int], bytes] | None = None
) -> tuple[bytes, ExternalPart]:
    sealer = AssetSealer(rng or random.Random(0).randbytes)
    octets = b"".join(map(sealer.update, pieces)) + sealer.finish()
    return octets, sealer.describe(URL, "image/png", filename="a.png", expires_s=9)


def opened(part: ExternalPart, octets: bytes, octets_max: int = MANY) -> bytes:
    return b"".join(
        open_asset(part, lambda: [octets[:7], octets[7:]], octets_max=octets_max)
    )


@given(st.lists(st.binary(max_size=50), max_size=5))
def test_what_was_sealed_opens(pieces: list[bytes]) -> None:
    octets, part = sealed(*pieces)
    assert opened(part, octets) == b"".join(pieces)
    assert part.size == len(octets) == len(b"".join(pieces)) + 16
    assert part.content_hash == hashlib.sha256(octets).digest()
    assert (part.enc_alg, part.hash_alg, part.aad) == (1, 1, b"")
    assert (part.filename, part.expires) == ("a.png", 9)


def test_every_file_has_its_own_key_and_nonce() -> None:
    rng = random.Random(1).randbytes
    parts = [sealed(b"same", rng=rng)[1] for _ in range(3)]
    assert len({part.key for part in parts}) == 3
    assert len({part.nonce for part in parts}) == 3


def test_a_file_is_described_when_it_is_whole() -> None:
    sealer = AssetSealer(random.Random(0).randbytes)
    sealer.update(b"half")
    with pytest.raises(LocalError):
        sealer.describe(URL, "text/plain")


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ({"content_hash": bytes(32)}, "MIMI-310"),
        ({"size": 5}, "MIMI-310"),
        ({"key": bytes(16)}, "MIMI-311"),
        ({"key": bytes(32)}, "MIMI-311"),
        ({"nonce": bytes(12)}, "MIMI-311"),
        ({"nonce": b""}, "MIMI-311"),
        ({"aad": b"other"}, "MIMI-311"),
    ],
)
def test_mc_091_nothing_comes_out_of_a_file_that_is_not_what_the_message_says(
    change: dict[str, Any], rule: str
) -> None:
    octets, part = sealed(b"plaintext")
    pieces = open_asset(replace(part, **change), lambda: [octets], octets_max=MANY)
    with pytest.raises(Malformed) as caught:
        next(pieces)
    assert caught.value.rule == rule


def test_mc_091_a_wrong_tag_under_a_hash_that_fits() -> None:
    octets, part = sealed(b"plaintext")
    forged = octets[:-1] + bytes([octets[-1] ^ 1])
    with pytest.raises(Malformed) as caught:
        opened(replace(part, content_hash=hashlib.sha256(forged).digest()), forged)
    assert caught.value.rule == "MIMI-311"


def test_mc_091_a_file_that_never_ends_is_left_early() -> None:
    _, part = sealed(b"x")
    taken = []

    def endless() -> Iterator[bytes]:
        while True:
            taken.append(1)
            yield bytes(100)

    with pytest.raises(AssetRefused):
        next(open_asset(part, endless, octets_max=1_000))
    assert len(taken) == 11


def test_size_and_hash_may_be_unknown_and_a_file_unsealed() -> None:
    octets, part = sealed(b"plaintext")
    bare = replace(part, size=0, hash_alg=0, content_hash=b"")
    assert opened(bare, octets) == b"plaintext"
    plain = replace(bare, enc_alg=0, key=b"", nonce=b"")
    assert opened(plain, b"in the clear") == b"in the clear"


def test_larger_keys_open_too() -> None:
    sealer = GcmSealer(bytes(32), bytes(12))
    octets = sealer.update(b"plaintext") + sealer.finish()
    part = ExternalPart(
        content_type="", url=URL, enc_alg=2, key=bytes(32), nonce=bytes(12)
    )
    assert opened(part, octets) == b"plaintext"


@pytest.mark.parametrize("change", [{"enc_alg": 29}, {"hash_alg": 2}])
def test_algorithms_that_we_lack_are_nobodys_fault(change: dict[str, Any]) -> None:
    octets, part = sealed(b"x")
    with pytest.raises(PeerIncompatible):
        opened(replace(part, **change), octets)
    with pytest.raises(PeerIncompatible):
        check(replace(part, **change), policy())


# ---- what a room allows


def check(
    part: ExternalPart, allowed: AssetPolicy | None, **more: Any
) -> tuple[tuple[str, ...], int]:
    permit = check_asset(
        part, allowed, **{"provider": "b.example", "hub": "a.example", **more}
    )
    return permit.ways, permit.octets_max


def at(url: str, content_type: str = "image/png", size: int = 0) -> ExternalPart:
    return ExternalPart(content_type=content_type, url=url, size=size)


def test_mc_091_a_file_is_at_a_host_of_its_senders_provider() -> None:
    assert check(at(URL), policy()) == (("local", "hub"), 100)
    for url in (
        "https://a.example/v1/x",
        "https://evil.example/v1/x",
        "https://assets.b.example.evil.example/v1/x",
        "https://assets.b.example@evil.example/x",
        "http://assets.b.example/v1/x",
        "https:///v1/x",
        "https://[::1/v1/x",
        "assets.b.example/v1/x",
    ):
        with pytest.raises(AssetRefused):
            check(at(url), policy())
    with pytest.raises(AssetRefused):
        check(at(URL), policy(), provider="c.example")


@pytest.mark.parametrize(
    ("location", "hosts"),
    [
        (UploadLocation.LOCAL_PROVIDER, {"assets.b.example", "cdn.b.example"}),
        (UploadLocation.HUB, {"a.example"}),
        (
            UploadLocation.UNSPECIFIED,
            {"a.example", "assets.b.example", "cdn.b.example"},
        ),
        (9, {"a.example", "assets.b.example", "cdn.b.example"}),
    ],
)
def test_where_files_are_is_the_rooms_decision(location: int, hosts: set[str]) -> None:
    found = set()
    for host in ("a.example", "assets.b.example", "cdn.b.example", "evil.example"):
        try:
            check(at(f"https://{host}/x"), policy(location=location))
        except AssetRefused:
            continue
        found.add(host)
    assert found == hosts


@pytest.mark.parametrize(
    ("content_type", "octets_max"),
    [
        ("image/png", 100),
        ("Image/PNG", 100),
        ("audio/ogg;codecs=opus", 200),
        ("video/mp4", 300),
        ("application/pdf", 400),
        ("", 400),
    ],
)
def test_mc_091_a_file_is_as_large_as_its_type_may_be(
    content_type: str, octets_max: int
) -> None:
    assert check_kind(policy(), content_type, octets_max) == octets_max
    assert check_kind(policy(), content_type, 0) == octets_max
    with pytest.raises(AssetRefused):
        check_kind(policy(), content_type, octets_max + 1)


def types(*names: bytes) -> tuple[MediaType, ...]:
    return tuple(map(MediaType, names))


def test_mc_091_types_that_are_forbidden_or_not_permitted() -> None:
    html = MediaType(b"text/html")
    opus = MediaType(b"audio/ogg", ((b"codecs", b"opus"),))
    forbidding = policy(forbidden_media_types=(html, opus))
    for content_type in (
        "text/html",
        "TEXT/html; charset=utf-8",
        'audio/ogg; Codecs="opus"; x=y',
    ):
        with pytest.raises(AssetRefused):
            check_kind(forbidding, content_type, 1)
    for content_type in ("text/plain", "audio/ogg", "audio/ogg;codecs=vorbis", ""):
        check_kind(forbidding, content_type, 1)
    permitting = policy(permitted_media_types=types(b"image/png"))
    check_kind(permitting, "image/png", 1)
    with pytest.raises(AssetRefused):
        check_kind(permitting, "image/jpeg", 1)


@pytest.mark.parametrize(
    ("privacy", "agreed", "ways"),
    [
        (DownloadPrivacy(), True, ("local", "hub")),
        (DownloadPrivacy((0, 1), (), 0), True, ("local", "direct", "hub")),
        (DownloadPrivacy((0, 1), (), 0), False, ("local", "hub")),
        (DownloadPrivacy((0, 1), (1,), 0), True, ("local", "direct")),
        (DownloadPrivacy((1, 2), (), 2), True, ("local", "hub")),
        (DownloadPrivacy((1, 9), (), 9), True, ("local", "hub")),
    ],
)
def test_how_files_come_is_the_rooms_and_the_users_decision(
    privacy: DownloadPrivacy, agreed: bool, ways: tuple[str, ...]
) -> None:
    found, _ = check(at(URL), policy(download_privacy=privacy), direct_agreed=agreed)
    assert found == ways


@pytest.mark.parametrize(
    "privacy",
    [
        DownloadPrivacy((DownloadKind.OHTTP,), (), DownloadKind.OHTTP),
        DownloadPrivacy((1,), (1,), 1),
        DownloadPrivacy((0,), (), 0),
    ],
)
def test_a_room_that_allows_no_way_that_we_have(privacy: DownloadPrivacy) -> None:
    with pytest.raises(AssetRefused):
        check(at(URL), policy(download_privacy=privacy))


def test_a_room_without_a_policy_leaves_it_to_the_hub() -> None:
    assert check(at(URL), None) == (("local", "hub"), 128 << 20)


def test_files_are_read_in_pieces() -> None:
    octets, part = sealed(bytes(1_000))
    reads: list[int] = []

    def read() -> Iterable[bytes]:
        reads.append(1)
        return (octets[at : at + 10] for at in range(0, len(octets), 10))

    pieces = list(open_asset(part, read, octets_max=MANY))
    assert b"".join(pieces) == bytes(1_000)
    assert max(map(len, pieces)) <= 26
    assert len(reads) == 3

"""Files over the agent API: up, down, in pieces, through hubs, sealed by members."""

import asyncio
import json
import os
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from yarl import URL

from sabir.content.model import ExternalPart
from sabir.mimi.agent_api import paths
from sabir.mimi.agent_api.assets import (
    UPLOAD,
    AssetStored,
    UploadState,
    content_range,
    download_path,
)
from sabir.mimi.agent_api.forms import decode_form
from sabir.mimi.genesis import new_asset_policy
from sabir.mimi.member.assets import AssetSealer, check_asset, open_asset
from sabir.provider import assets_doors
from sabir.provider.config import Address, PeerSettings
from tests.unit.provider.agent_api.phone import Phone, Reply, Street
from tests.unit.provider.town import LOOPBACK, Site, Town


async def ask(
    phone: Phone,
    method: str,
    path: str,
    body: bytes | AsyncIterator[bytes] | None = None,
    **fields: str,
) -> Reply:
    line = phone.line
    headers = {name.replace("_", "-"): value for name, value in fields.items()}
    async with line.session.request(
        method,
        URL(line.base + path, encoded=True),
        data=body,
        headers={"Authorization": f"Bearer {line.token}", **headers},
        ssl=line.tls,
        server_hostname=line.domain,
    ) as response:
        return Reply(
            response.status,
            await response.read(),
            {name.lower(): value for name, value in response.headers.items()},
        )


async def put_up(phone: Phone, body: bytes, **fields: str) -> Reply:
    fields = {"Idempotency_Key": phone.key(), **fields}
    return await ask(phone, "POST", paths.ASSETS, body, **fields)


async def stored(reply: Reply) -> AssetStored:
    assert reply.status == 201, reply
    return decode_form(reply.body, AssetStored)


async def offset(phone: Phone, key: str) -> int:
    reply = await ask(phone, "GET", paths.path(UPLOAD, key=key))
    assert reply.status == 200
    return decode_form(reply.body, UploadState).offset


def opened(part: ExternalPart, octets: bytes, octets_max: int) -> bytes:
    return b"".join(open_asset(part, lambda: [octets], octets_max=octets_max))


def kept_below(folder: Path) -> dict[Path, bytes]:
    return {
        path.relative_to(folder): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.fixture
async def ann(street: Street, a: Site) -> Phone:
    return await street.resident(a, "ann")


@pytest.fixture
async def ben(street: Street, b: Site) -> Phone:
    return await street.resident(b, "ben")


async def test_a_sealed_file_goes_from_one_member_to_another_providers(
    ann: Phone, ben: Phone, town: Town, tmp_path: Path
) -> None:
    """Ann's provider is the hub; Ben's keeps his file and cannot read it."""
    canary = b"the canary of a photograph" * 4_000
    sealer = AssetSealer(os.urandom)
    pieces = [sealer.update(canary[:70_000]), sealer.update(canary[70_000:])]
    octets = b"".join([*pieces, sealer.finish()])
    there = await stored(await put_up(ben, octets))
    assert (there.size, there.sha256) == (len(octets), sealer.sha256)
    part = sealer.describe(
        there.url, "image/png", expires_s=there.expires_ms // 1_000, filename="a.png"
    )
    policy = new_asset_policy(
        {"a.example": ("a.example",), "b.example": ("b.example",)}
    )
    permit = check_asset(part, policy, provider="b.example", hub="a.example")
    for phone in (ann, ben):
        got = await ask(phone, "GET", download_path(part.url, permit.ways, "a.example"))
        assert got.status == 200, got
        assert opened(part, got.body, permit.octets_max) == canary
    kept = kept_below(tmp_path)
    assert not any(b"canary of a photograph" in each for each in kept.values())
    assert {path.parts[0] for path, each in kept.items() if each == octets} == {
        "a.example",
        "b.example",
    }


async def test_a_broken_upload_goes_on(ann: Phone) -> None:
    octets = os.urandom(300_000)
    key = ann.key()

    async def breaks() -> AsyncIterator[bytes]:
        yield octets[:200_000]
        await asyncio.sleep(0.2)
        raise OSError("the train went into a tunnel")

    with pytest.raises((aiohttp.ClientError, OSError)):
        await ask(
            ann,
            "POST",
            paths.ASSETS,
            breaks(),
            Idempotency_Key=key,
            Content_Length="300000",
        )
    async with asyncio.timeout(10):
        while not (start := await offset(ann, key)):
            await asyncio.sleep(0.02)
    assert 0 < start <= 200_000
    middle = await put_up(
        ann,
        octets[start:250_000],
        Idempotency_Key=key,
        Content_Range=content_range(start, 250_000, 300_000),
    )
    assert middle.status == 202
    assert decode_form(middle.body, UploadState).offset == 250_000
    wrong = await put_up(
        ann,
        octets[:10],
        Idempotency_Key=key,
        Content_Range=content_range(5, 15, 300_000),
    )
    assert wrong.problem == "idempotency-conflict"
    last = {
        "Idempotency_Key": key,
        "Content_Range": content_range(250_000, 300_000, 300_000),
    }
    there = await stored(await put_up(ann, octets[250_000:], **last))
    assert await stored(await put_up(ann, octets[250_000:], **last)) == there
    path = download_path(there.url, ["local"], "")
    assert (await ask(ann, "GET", path)).body == octets
    rest = await ask(ann, "GET", path, Range="bytes=299000-")
    assert (rest.status, rest.body) == (206, octets[299_000:])


async def test_an_upload_that_stalls_is_given_up_and_stays(
    ann: Phone, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(assets_doors, "STALL_S", 0.2)
    key = ann.key()

    async def stalls() -> AsyncIterator[bytes]:
        yield bytes(50)
        await asyncio.sleep(10)
        yield bytes(50)

    async with asyncio.timeout(5):
        late = await ask(
            ann,
            "POST",
            paths.ASSETS,
            stalls(),
            Idempotency_Key=key,
            Content_Length="100",
        )
    assert late.problem == "request-timeout"
    assert await offset(ann, key) == 50


async def test_what_an_upload_needs(ann: Phone) -> None:
    async def chunked() -> AsyncIterator[bytes]:
        yield b"x"

    for body, fields in (
        (b"x", {"Idempotency_Key": ""}),
        (b"x", {"Idempotency_Key": "x" * 65}),
        (b"", {}),
        (b"x", {"Content_Range": "bytes 0-1/2"}),
        (b"x", {"Content_Encoding": "gzip"}),
    ):
        assert (await put_up(ann, body, **fields)).problem == "malformed-body"
    no_length = await ask(ann, "POST", paths.ASSETS, chunked(), Idempotency_Key="k")
    assert no_length.problem == "malformed-body"
    large = await put_up(ann, b"x", Content_Range=f"bytes 0-0/{(128 << 20) + 1}")
    assert large.problem == "body-too-large"
    ann.line.token = "nonsense"
    assert (await put_up(ann, b"x")).problem == "unauthorized"


async def test_uploads_are_each_devices_own(ann: Phone, ben: Phone) -> None:
    key = "shared"
    one = await stored(await put_up(ann, b"ann's", Idempotency_Key=key))
    assert await offset(ben, key) == 0
    other = await stored(await put_up(ben, b"ben's", Idempotency_Key=key))
    assert one.url.rpartition("/")[2] != other.url.rpartition("/")[2]


@pytest.mark.parametrize(
    ("query", "problem"),
    [
        ("", "malformed-body"),
        ("?via=local", "malformed-body"),
        ("?url=x&url=y", "malformed-body"),
        ("?url=https%3A%2F%2Fb.example%2Fx&via=ohttp", "malformed-body"),
        ("?url=https%3A%2F%2Fb.example%2Fx&via=", "malformed-body"),
        ("?url=https%3A%2F%2Fb.example%2Fx&via=hub&hub=B.example", "malformed-body"),
        ("?url=https%3A%2F%2Fb.example%2Fx&via=hub", "not-found"),
        ("?url=https%3A%2F%2Fb.example%2Fx&via=local", "not-found"),
        ("?url=https%3A%2F%2Fb.example%2Fx&via=hub&hub=c.example", "unknown-peer"),
        (
            "?url=https%3A%2F%2F127.0.0.1%2Fx&via=direct",
            "asset-target-not-allowed",
        ),
        (
            "?url=https%3A%2F%2Fevil.example%2Fx&via=hub&hub=b.example",
            "asset-target-not-allowed",
        ),
    ],
)
async def test_downloads_that_lead_nowhere(
    ann: Phone, b: Site, query: str, problem: str
) -> None:
    reply = await ask(ann, "GET", paths.ASSETS + query)
    assert reply.problem == problem, json.loads(reply.body)


async def test_where_the_hub_is_away_a_user_may_have_agreed_to_go_direct(
    street: Street, town: Town, ben: Phone
) -> None:
    away = PeerSettings(address=Address(host=LOOPBACK, port=1))
    d = await town.open(
        "d.example",
        knows=("b.example",),
        peers={"c.example": away},
        agents=Address(host=LOOPBACK, port=0),
    )
    dora = await street.resident(d, "dora")
    there = await stored(await put_up(ben, b"ciphertext"))
    through = download_path(there.url, ["local", "hub"], "c.example")
    assert (await ask(dora, "GET", through)).problem == "upstream-failed"
    direct = download_path(there.url, ["local", "hub", "direct"], "c.example")
    assert (await ask(dora, "GET", direct)).body == b"ciphertext"

"""Who the other side is: real handshakes between real certificates."""

import asyncio
import ssl
from collections.abc import Callable
from pathlib import Path

import pytest

from sabir.cli.system import SystemClock
from sabir.errors import ConfigInvalid
from sabir.mimi.problems import Problem, ProblemCode
from sabir.provider.config import Federation, PeerSettings
from sabir.provider.peers import PeerFailed
from sabir.provider.tls import (
    Identity,
    dns_names,
    pinned_issuer,
    server_context,
)
from tests.unit.provider.town import (
    Authority,
    RawClient,
    Town,
    client_tls,
    request,
)

DIRECTORY = "/.well-known/mimi-protocol-directory"
NOTIFY = "/v1/notify/mimi%3A%2F%2Fb.example%2Fr%2Fx"
NOTIFY_C = "/v1/notify/mimi%3A%2F%2Fc.example%2Fr%2Fx"
FROM_B = "From: mimi@b.example"

Raw = Callable[..., RawClient]


async def test_mc_001_without_a_certificate_nothing_is_answered(
    town: Town, raw: Raw
) -> None:
    site = await town.open("a.example")
    with pytest.raises((ConnectionError, ssl.SSLError, asyncio.IncompleteReadError)):
        async with raw(site) as client:
            await client.ask(request("GET", DIRECTORY))


async def test_mc_001_a_shared_listener_serves_the_directory_and_refuses_the_rest(
    town: Town, raw: Raw
) -> None:
    site = await town.open("a.example", shared=True)
    async with raw(site) as client:
        answer = await client.ask(request("GET", DIRECTORY))
        assert answer.status == 200
        refused = await client.ask(request("POST", NOTIFY, FROM_B, body=b"x"))
    assert refused.status == 403
    assert b"client-certificate-required" in refused.body


async def test_a_certificate_of_a_foreign_authority_is_refused(
    town: Town, raw: Raw, tmp_path: Path
) -> None:
    site = await town.open("a.example", shared=True)
    foreign = Authority(tmp_path / "foreign").identity("b.example")
    with pytest.raises((ConnectionError, ssl.SSLError, asyncio.IncompleteReadError)):
        async with raw(site, identity=foreign) as client:
            await client.ask(request("GET", DIRECTORY))


async def test_an_expired_certificate_is_refused(town: Town, raw: Raw) -> None:
    site = await town.open("a.example", shared=True)
    long_ago = SystemClock().now() - 3 * 86_400_000
    old = town.authority.identity("b.example", now=type(SystemClock().now())(long_ago))
    with pytest.raises((ConnectionError, ssl.SSLError, asyncio.IncompleteReadError)):
        async with raw(site, identity=old) as client:
            await client.ask(request("GET", DIRECTORY))


@pytest.mark.parametrize("names", [("*.example",), ("c.example",), ("sub.b.example",)])
async def test_mc_002_a_domain_is_an_exact_name_of_the_certificate(
    town: Town, raw: Raw, names: tuple[str, ...]
) -> None:
    site = await town.open("a.example", knows=("b.example",))
    async with raw(site, *names) as client:
        answer = await client.ask(request("POST", NOTIFY, FROM_B, body=b"x"))
    assert answer.status == 403
    assert b"peer-identity-mismatch" in answer.body


@pytest.mark.parametrize(
    "fields",
    [
        (),
        (FROM_B, FROM_B),
        ("From: other@b.example",),
        ("From: B <mimi@b.example>",),
        ("From: mimi@b.example, mimi@b.example",),
        ("From: mimi@",),
    ],
)
async def test_mc_004_from_is_one_plain_field(
    town: Town, raw: Raw, fields: tuple[str, ...]
) -> None:
    site = await town.open("a.example", knows=("b.example",))
    async with raw(site, "b.example") as client:
        answer = await client.ask(request("POST", NOTIFY, *fields, body=b"x"))
    assert answer.status == 400
    assert b"bad-from" in answer.body


@pytest.mark.parametrize("shown", [("*.example",), ("c.example",)])
async def test_mc_003_nothing_is_sent_to_a_server_without_the_name(
    town: Town, shown: tuple[str, ...]
) -> None:
    """Its certificate is good for TLS, but not of the provider."""
    seen = bytearray()

    async def listen(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        seen.extend(await reader.read(1_000))
        writer.close()

    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    identity = town.authority.identity(*shown)
    context.load_cert_chain(identity.certificate, identity.key)
    impostor = await asyncio.start_server(listen, "127.0.0.1", 0, ssl=context)
    port = impostor.sockets[0].getsockname()[1]
    site = await town.open("a.example", knows=("b.example",))
    settings = PeerSettings(address=type(site.address)(host="127.0.0.1", port=port))
    site.config.peers["b.example"] = settings  # type: ignore[index]
    with pytest.raises(PeerFailed) as caught:
        await site.provider.core.peers.directory("b.example")
    assert "dNSName b.example" in caught.value.reason
    assert caught.value.problem is ProblemCode.UPSTREAM_FAILED
    impostor.close()
    await impostor.wait_closed()
    assert not seen


async def test_a_pinned_authority_certifies_its_peer_and_nobody_else(
    town: Town, raw: Raw, tmp_path: Path
) -> None:
    private = Authority(tmp_path / "private")
    pin = PeerSettings(pinned=private.issued.certificate)
    site = await town.open(
        "a.example", knows=("c.example",), peers={"b.example": pin}, shared=True
    )
    statuses = {}
    for who, by in (
        ("b.example", private),
        ("b.example", town.authority),
        ("c.example", private),
        ("c.example", town.authority),
    ):
        shown = by.identity(who)
        async with raw(site, identity=shown) as client:
            answer = await client.ask(
                request(
                    "POST",
                    NOTIFY.replace("b.example", who),
                    f"From: mimi@{who}",
                    body=b"x",
                )
            )
        statuses[who, by is private] = answer.status != 403
    assert statuses == {
        ("b.example", True): True,
        ("b.example", False): False,
        ("c.example", True): False,
        ("c.example", False): True,
    }


async def test_a_pinned_peer_is_believed_under_its_authority_only(
    town: Town, tmp_path: Path
) -> None:
    private = Authority(tmp_path / "private")
    pin = PeerSettings(pinned=private.issued.certificate)
    asking = await town.open("a.example", peers={"b.example": pin})
    await town.open("b.example", knows=("a.example",), shared=True)
    with pytest.raises(PeerFailed, match="cannot be reached"):
        await asking.provider.core.peers.directory("b.example")


def test_files_that_cannot_be_used_are_named(tmp_path: Path) -> None:
    missing = Identity(certificate=tmp_path / "no.pem", key=tmp_path / "no.key")
    with pytest.raises(ConfigInvalid, match=r"no\.pem"):
        server_context(missing, shared=False)


def test_roots_that_cannot_be_used_are_named(authority: Authority) -> None:
    identity = authority.identity("a.example")
    authority.roots.write_text("nothing")
    with pytest.raises(ConfigInvalid, match="roots"):
        server_context(identity, shared=False)


async def test_older_tls_is_not_spoken(town: Town) -> None:
    site = await town.open("a.example", shared=True)
    context = client_tls(None, town.authority.roots)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    with pytest.raises((ssl.SSLError, ConnectionError)):
        async with RawClient(site.address, context, "a.example"):
            pass


async def test_a_provider_does_not_start_with_somebody_elses_certificate(
    town: Town,
) -> None:
    with pytest.raises(ConfigInvalid, match=r"no dNSName a\.example"):
        await town.open("a.example", identity=town.authority.identity("b.example"))


async def test_mc_008_who_is_not_on_the_list_is_refused_before_the_body(
    town: Town, raw: Raw
) -> None:
    site = await town.open("a.example", knows=("c.example",))
    async with raw(site, "b.example") as client:
        head = request("POST", NOTIFY, FROM_B, "Content-Length: 1000000")
        answer = await client.ask(head)  # no octet of the body follows
    assert (answer.status, b"unknown-peer" in answer.body) == (403, True)


async def test_mc_008_a_blocked_peer_is_refused_in_open_mode(
    town: Town, raw: Raw
) -> None:
    site = await town.open(
        "a.example", federation=Federation.OPEN, blocked=frozenset({"b.example"})
    )
    async with raw(site, "b.example", "c.example") as client:
        blocked = await client.ask(request("POST", NOTIFY, FROM_B, body=b"x"))
        other = await client.ask(
            request("POST", NOTIFY_C, "From: mimi@c.example", body=b"x")
        )
    assert blocked.status == 403
    assert other.status != 403
    with pytest.raises(Problem) as caught:
        await site.provider.core.peers.directory("b.example")
    assert caught.value.problem is ProblemCode.UNKNOWN_PEER


def test_pinned_authorities_that_cannot_be_used_are_named(
    authority: Authority,
) -> None:
    identity = authority.identity("a.example")
    for pinned in (b"nothing", b"\xff"):
        with pytest.raises(ConfigInvalid, match="pinned"):
            server_context(identity, shared=False, pinned=pinned)


def test_without_roots_the_systems_authorities_are_trusted(
    authority: Authority,
) -> None:
    identity = authority.identity("a.example")
    public = Identity(certificate=identity.certificate, key=identity.key)
    assert public.read_roots() == b""
    server_context(public, shared=False)
    missing = Identity(
        certificate=identity.certificate, key=identity.key, roots=Path("/none.pem")
    )
    with pytest.raises(ConfigInvalid, match="sabir provider ca"):
        missing.read_roots()


def test_names_of_certificates_as_python_shows_them() -> None:
    assert dns_names(None) == frozenset()
    shown = {"subjectAltName": (("DNS", "A.Example"), ("IP Address", "127.0.0.1"))}
    assert dns_names(shown) == {"a.example"}
    assert not pinned_issuer(None, b"")
    assert not pinned_issuer(b"none", b"none")

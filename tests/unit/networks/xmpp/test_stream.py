"""Streams to servers that real ones rarely are: wrong, malformed, of another name."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from xml.etree.ElementTree import Element, SubElement

import pytest

from sabir.crypto.secrets import Secret
from sabir.errors import CredentialsRefused, Unavailable
from sabir.networks.xmpp.stream import AccountLogin, ComponentLogin, Stream, TooLarge
from sabir.networks.xmpp.text import STANZA_OCTETS_MAX
from sabir.testing.rng import SeededRng
from sabir.testing.servers.authority import keep_certificate

CANARY = "canary-7f3a91"
DOMAIN = "example.org"
STREAMS = "http://etherx.jabber.org/streams"
TLS = "urn:ietf:params:xml:ns:xmpp-tls"
SASL = "urn:ietf:params:xml:ns:xmpp-sasl"
PATIENCE_S = 10.0


@dataclass
class Peer:
    """One connection, as the server sees it."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    read: bytes = b""

    async def until(self, words: bytes) -> None:
        while words not in self.read:
            octets = await self.reader.read(65_536)
            if not octets:
                raise ConnectionError
            self.read += octets

    async def rest(self) -> None:
        """Read until the other side ends the stream or the connection."""
        while octets := await self.reader.read(65_536):
            self.read += octets
            if b"</stream:stream>" in self.read:
                return

    async def say(self, text: str | bytes) -> None:
        self.writer.write(text if isinstance(text, bytes) else text.encode())
        await self.writer.drain()

    async def begin(self, namespace: str, features: str = "") -> None:
        await self.until(b"<stream:stream")
        self.read = b""
        await self.say(
            f"<?xml version='1.0'?><stream:stream xmlns='{namespace}'"
            f" xmlns:stream='{STREAMS}' id='x' version='1.0' from='{DOMAIN}'>{features}"
        )


@dataclass
class Server:
    """A port, and the script of each connection to it."""

    port: int = 0
    peers: list[Peer] = field(default_factory=list)
    done: asyncio.Event = field(default_factory=asyncio.Event)


@asynccontextmanager
async def serving(script: Callable[[Peer], Awaitable[None]]) -> AsyncIterator[Server]:
    server = Server()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peer = Peer(reader, writer)
        server.peers.append(peer)
        try:
            await script(peer)
            await peer.rest()
        except (ConnectionError, ssl.SSLError):
            pass  # the other side went away: the tests look at why
        finally:
            server.done.set()
            writer.close()

    listening = await asyncio.start_server(serve, "127.0.0.1", 0)
    server.port = listening.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        listening.close()
        await listening.wait_closed()


def component(port: int) -> Stream:
    login = ComponentLogin(
        domain="sabir.example.org",
        host="127.0.0.1",
        port=port,
        secret=Secret.from_text(CANARY),
    )
    return Stream(login, rng=SeededRng())


def account(port: int, ca_file: str = "") -> Stream:
    login = AccountLogin(
        jid=f"ada@{DOMAIN}",
        password=Secret.from_text(CANARY),
        host="127.0.0.1",
        port=port,
        ca_file=ca_file,
    )
    return Stream(login, rng=SeededRng())


async def accept(peer: Peer) -> None:
    await peer.begin("jabber:component:accept")
    await peer.until(b"</handshake>")
    await peer.say("<handshake/>")


# ---- components


@pytest.mark.parametrize("condition", ["not-authorized", "host-unknown"])
async def test_a_wrong_secret_names_the_setting(condition: str) -> None:
    async def refuse(peer: Peer) -> None:
        await peer.begin("jabber:component:accept")
        await peer.until(b"</handshake>")
        error = f"<{condition} xmlns='urn:ietf:params:xml:ns:xmpp-streams'/>"
        await peer.say(f"<stream:error>{error}</stream:error></stream:stream>")

    async with serving(refuse) as server:
        with pytest.raises(CredentialsRefused) as raised:
            await component(server.port).open(lambda _: None)
    words = str(raised.value)
    assert f"127.0.0.1:{server.port}" in words
    assert condition in words
    assert "make secret and domain the same" in words
    assert CANARY not in words
    assert CANARY.encode() not in server.peers[0].read


MALFORMED = {
    "unbalanced": b"<message from='a@b'></iq>",
    "control character": b"<message><body>\x01</body></message>",
    "no UTF-8": b"<message><body>\xff\xfe</body></message>",
    "undeclared prefix": b"<x:message/>",
    "unknown entity": b"<message><body>&nbsp;</body></message>",
    "late declaration": b"<?xml version='1.0'?><message/>",
    "document type": b"<!DOCTYPE a [<!ENTITY b 'c'>]><message>&b;</message>",
}


@pytest.mark.parametrize("octets", MALFORMED.values(), ids=MALFORMED)
async def test_a_malformed_stanza_ends_the_stream_and_what_came_before_is_kept(
    octets: bytes,
) -> None:
    async def misbehave(peer: Peer) -> None:
        await accept(peer)
        await peer.say("<message id='whole'><body>x</body></message>")
        await peer.say(octets)

    stanzas: list[Element] = []
    async with serving(misbehave) as server:
        stream = component(server.port)
        await stream.open(stanzas.append)
        async with asyncio.timeout(PATIENCE_S):
            failure = await stream.wait_lost()
        assert isinstance(failure, Unavailable)
        assert f"127.0.0.1:{server.port} sent something that is no XML" in str(failure)
        assert not stream.is_open
        with pytest.raises(Unavailable):
            stream.write(Element("message"))
        await stream.close()
        await server.done.wait()
    assert [each.get("id") for each in stanzas] == ["whole"]
    assert b"<not-well-formed" in server.peers[0].read


async def test_odd_but_whole_stanzas_are_handed_on_for_decode_to_judge() -> None:
    odd = [
        "<message/>",
        "<message from='' to='\u202e' type='nonsense' id=''/>",
        "<presence><x xmlns='http://jabber.org/protocol/muc#user'/></presence>",
        "<message>" + "<a>" * 2_000 + "</a>" * 2_000 + "</message>",
    ]

    async def speak(peer: Peer) -> None:
        await accept(peer)
        for stanza in (*odd, "<nonsense/>", "<message id='last'/>"):
            await peer.say(stanza)

    stanzas: list[Element] = []
    async with serving(speak) as server:
        stream = component(server.port)
        await stream.open(stanzas.append)
        async with asyncio.timeout(PATIENCE_S):
            while not stanzas or stanzas[-1].get("id") != "last":
                await asyncio.sleep(0.01)
        await stream.close()
    assert len(stanzas) == len(odd) + 1


async def test_an_oversized_stanza_is_read_whole_and_the_next_one_too() -> None:
    async def speak(peer: Peer) -> None:
        await accept(peer)
        await peer.say(f"<message id='big'><body>{'x' * 2_000_000}</body></message>")
        await peer.say("<message id='next'/>")

    stanzas: list[Element] = []
    async with serving(speak) as server:
        stream = component(server.port)
        await stream.open(stanzas.append)
        async with asyncio.timeout(PATIENCE_S):
            while len(stanzas) < 2:
                await asyncio.sleep(0.01)
        await stream.close()
    assert [each.get("id") for each in stanzas] == ["big", "next"]


async def test_an_oversized_stanza_of_ours_is_not_written_and_the_stream_goes_on() -> (
    None
):
    async with serving(accept) as server:
        stream = component(server.port)
        await stream.open(lambda _: None)
        big = Element("message")
        SubElement(big, "body").text = "x" * STANZA_OCTETS_MAX
        with pytest.raises(TooLarge):
            stream.write(big)
        stream.write(Element("message", {"id": "small"}))
        async with asyncio.timeout(PATIENCE_S):
            while b"small" not in server.peers[0].read:
                await asyncio.sleep(0.01)
        assert b"xxx" not in server.peers[0].read
        await stream.close()


async def test_a_server_that_speaks_something_else_is_unavailable() -> None:
    async def web(peer: Peer) -> None:
        await peer.until(b"<stream:stream")
        await peer.say("HTTP/1.1 400 Bad Request\r\n\r\n")

    async with serving(web) as server:
        with pytest.raises(Unavailable, match=f"127.0.0.1:{server.port} .*no XML"):
            await component(server.port).open(lambda _: None)


# ---- accounts and certificates


def starttls(folder: Path, name: str) -> Callable[[Peer], Awaitable[None]]:
    """Offer STARTTLS with a certificate of this name, then a login by password."""
    made = keep_certificate(folder, [name])
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(made.chain_file, made.key_file)

    async def speak(peer: Peer) -> None:
        offer = f"<starttls xmlns='{TLS}'><required/></starttls>"
        await peer.begin("jabber:client", f"<stream:features>{offer}</stream:features>")
        await peer.until(b"<starttls")
        await peer.say(f"<proceed xmlns='{TLS}'/>")
        await peer.writer.start_tls(context)
        plain = f"<mechanisms xmlns='{SASL}'><mechanism>PLAIN</mechanism></mechanisms>"
        await peer.begin("jabber:client", f"<stream:features>{plain}</stream:features>")
        await peer.until(b"</auth>")
        await peer.say(f"<failure xmlns='{SASL}'><not-authorized/></failure>")

    return speak


async def test_a_certificate_with_another_name_gets_no_password(tmp_path: Path) -> None:
    script = starttls(tmp_path, "other.example.net")
    async with serving(script) as server:
        with pytest.raises(CredentialsRefused) as raised:
            await account(server.port, str(tmp_path / "ca.pem")).open(lambda _: None)
        await server.done.wait()
    words = str(raised.value)
    assert f"127.0.0.1:{server.port}" in words
    assert "example.org" in words
    assert "certificate" in words
    assert "renewed" in words
    assert all(b"auth" not in peer.read for peer in server.peers)
    assert CANARY not in words


async def test_a_certificate_of_an_unknown_authority_gets_no_password(
    tmp_path: Path,
) -> None:
    script = starttls(tmp_path, DOMAIN)
    async with serving(script) as server:
        with pytest.raises(CredentialsRefused) as raised:
            await account(server.port).open(lambda _: None)
        await server.done.wait()
    words = str(raised.value)
    assert f"127.0.0.1:{server.port}" in words
    assert "issuer" in words or "self-signed" in words
    assert "ca_file" in words
    assert all(b"auth" not in peer.read for peer in server.peers)


async def test_the_right_certificate_gets_the_password_and_a_wrong_one_is_named(
    tmp_path: Path,
) -> None:
    script = starttls(tmp_path, DOMAIN)
    async with serving(script) as server:
        with pytest.raises(CredentialsRefused, match="this password"):
            await account(server.port, str(tmp_path / "ca.pem")).open(lambda _: None)
        await server.done.wait()
    assert b"<auth" in server.peers[0].read


async def test_a_server_without_tls_gets_no_password() -> None:
    async def speak(peer: Peer) -> None:
        plain = f"<mechanisms xmlns='{SASL}'><mechanism>PLAIN</mechanism></mechanisms>"
        await peer.begin("jabber:client", f"<stream:features>{plain}</stream:features>")

    async with serving(speak) as server:
        with pytest.raises(CredentialsRefused, match="offers no TLS"):
            await account(server.port).open(lambda _: None)
        await server.done.wait()
    assert b"auth" not in server.peers[0].read

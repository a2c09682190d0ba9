"""A certificate that a client verifies, and one that it does not."""

import asyncio
import ssl
from pathlib import Path

import pytest

from sabir.testing.servers.authority import Certificate, keep_certificate


async def _shake_hands(server: Certificate, trusts: Certificate, name: str) -> None:
    served = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    served.load_cert_chain(server.chain_file, server.key_file)
    trusted = ssl.create_default_context(cafile=trusts.ca_file)
    trusted.verify_flags |= ssl.VERIFY_X509_STRICT

    async def close(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    listening = await asyncio.start_server(close, "127.0.0.1", 0, ssl=served)
    async with listening:
        port = listening.sockets[0].getsockname()[1]
        _, writer = await asyncio.open_connection(
            "127.0.0.1", port, ssl=trusted, server_hostname=name
        )
        writer.close()


@pytest.mark.parametrize("name", ["a.example", "b.example", "127.0.0.1"])
async def test_every_name_is_verified(tmp_path: Path, name: str) -> None:
    made = keep_certificate(tmp_path, ["a.example", "b.example"])
    await _shake_hands(made, made, name)


async def test_another_name_is_refused(tmp_path: Path) -> None:
    made = keep_certificate(tmp_path, ["a.example"])
    with pytest.raises(ssl.SSLCertVerificationError):
        await _shake_hands(made, made, "c.example")


async def test_another_authority_is_refused(tmp_path: Path) -> None:
    made = keep_certificate(tmp_path / "one", ["a.example"])
    other = keep_certificate(tmp_path / "two", ["a.example"])
    with pytest.raises(ssl.SSLCertVerificationError):
        await _shake_hands(made, other, "a.example")


def test_the_same_folder_keeps_its_certificate(tmp_path: Path) -> None:
    made = keep_certificate(tmp_path, ["a.example"])
    before = made.chain_file.read_bytes()
    assert keep_certificate(tmp_path, ["a.example"]).chain_file.read_bytes() == before
    assert made.key_file.stat().st_mode & 0o077 == 0

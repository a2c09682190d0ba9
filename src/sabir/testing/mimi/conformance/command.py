"""The command `sabir conformance`."""

import asyncio
import json
import ssl
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import click

from sabir.cli.harmless import harmless
from sabir.cli.provider_config import is_domain
from sabir.crypto.certificates import NotACertificate, domains_of
from sabir.errors import ConfigInvalid, PeerIncompatible
from sabir.testing.mimi.conformance.examine import NEED_MORE, examine
from sabir.testing.mimi.conformance.finding import Finding, Verdict
from sabir.testing.mimi.conformance.visit import Card, Plan, Visit
from sabir.testing.mls.clients import SystemEnv

FILE: Final = click.Path(exists=True, dir_okay=False, path_type=Path)
WIDTH: Final = 9
"""Of a number, and of a verdict."""
HTTPS: Final = 443


class LinesBroken(PeerIncompatible):
    """The provider does not keep to the profile."""


@click.command("conformance")
@click.argument("url")
@click.option(
    "--certificate",
    type=FILE,
    required=True,
    help="PEM of the provider that asks; the other one must let it in.",
)
@click.option("--key", type=FILE, required=True, help="PEM, its key.")
@click.option("--roots", type=FILE, help="PEM of the authorities to believe.")
@click.option("--connect", metavar="HOST:PORT", help="Where it is, whatever DNS says.")
@click.option("--stranger-certificate", type=FILE, help="One that is not let in.")
@click.option("--stranger-key", type=FILE, help="Its key.")
@click.option("--user", default="", help="URI of somebody there, without consent.")
@click.option("--room", default="", help="URI of a room there that we are not in.")
@click.option("--flood", default=0, help="So many requests at once (MC-013).")
@click.option(
    "--fuzz", default=100, show_default=True, help="So many broken bodies (MC-015)."
)
@click.option("--only", multiple=True, help="A number, e.g. MC-009; again for more.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(*, only: tuple[str, ...], as_json: bool, **given: Any) -> None:
    """Check the provider at URL from outside, as a peer in none of its rooms.

    It is asked some hundreds of things that honest peers do not ask. Do it with a
    provider whose operator knows.
    """
    tell = _silent if as_json else _tell
    found = asyncio.run(_examine(_plan(**given), only, tell))
    if as_json:
        click.echo(json.dumps([asdict(each) for each in found]))
    else:
        click.echo(f"Not to be seen from outside: {NEED_MORE}.")
    broken = [each.number for each in found if each.verdict is Verdict.BROKEN]
    if broken:
        raise LinesBroken(
            f"{len(broken)} of {len(found)} checks: {', '.join(broken)}; what was seen"
            " is in the table."
        )


async def _examine(
    plan: Plan, only: Sequence[str], tell: Callable[[Finding], None]
) -> Sequence[Finding]:
    visit = Visit(plan=plan, env=SystemEnv(), sleep=asyncio.sleep)
    return await examine(visit, only, tell)


def _silent(_: Finding) -> None:
    """All of it will be JSON."""


def _tell(found: Finding) -> None:
    head = f"{found.number:<{WIDTH}}{found.verdict:<{WIDTH}}"
    click.echo(harmless(f"{head}{found.what}"))
    click.echo(harmless(f"{'':<{2 * WIDTH}}{found.evidence}"))


# ---- what was given


def _plan(
    *,
    url: str,
    certificate: Path,
    key: Path,
    roots: Path | None,
    connect: str | None,
    stranger_certificate: Path | None,
    stranger_key: Path | None,
    user: str,
    room: str,
    flood: int,
    fuzz: int,
) -> Plan:
    """Return what the visit may do.

    Raises:
        ConfigInvalid: something of it cannot be used.
    """
    domain, port = _provider(url)
    stranger = None
    if stranger_certificate is not None:
        if stranger_key is None:
            raise ConfigInvalid("--stranger-certificate needs --stranger-key")
        stranger = _card(stranger_certificate, stranger_key, roots)
    return Plan(
        domain=domain,
        card=_card(certificate, key, roots),
        nobody=lambda: _context(roots),
        stranger=stranger,
        address=_address(connect, domain, port),
        known_user=user,
        known_room=room,
        flood=flood,
        fuzz=fuzz,
    )


def _provider(url: str) -> tuple[str, int]:
    try:
        parts = urlsplit(url)
        domain, port = parts.hostname or "", parts.port or HTTPS
    except ValueError:
        domain, port = "", HTTPS
        parts = urlsplit("")
    if parts.scheme != "https" or not is_domain(domain) or parts.path.strip("/"):
        raise ConfigInvalid(f'"{url}" is not like https://provider.example')
    return domain, port


def _address(connect: str | None, domain: str, port: int) -> tuple[str, int] | None:
    """Return where to connect; None: where the directory and the DNS say."""
    if connect is None:
        return None if port == HTTPS else (domain, port)
    host, _, number = connect.rpartition(":")
    if not host or not number.isdigit():
        raise ConfigInvalid(f'"{connect}" is not like 127.0.0.1:8443')
    return host.strip("[]"), int(number)


def _card(certificate: Path, key: Path, roots: Path | None) -> Card:
    try:
        names = domains_of(certificate.read_bytes())
    except (OSError, NotACertificate) as error:
        raise ConfigInvalid(f"{certificate} cannot be used: {error}") from error
    if not names:
        raise ConfigInvalid(f"{certificate} names no domain")

    def context() -> ssl.SSLContext:
        made = _context(roots)
        made.load_cert_chain(certificate, key)
        return made

    try:
        context()
    except OSError as error:  # ssl.SSLError is one
        raise ConfigInvalid(
            f"{certificate} and {key} do not fit together: {error}"
        ) from error
    return Card(domain=names[0], tls=context)


def _context(roots: Path | None) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=roots)
    except OSError as error:
        raise ConfigInvalid(f"{roots} cannot be used: {error}") from error

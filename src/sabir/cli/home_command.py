"""`sabir home`: our device at a provider, and who may add us to rooms."""

import asyncio
import json
import socket
from pathlib import Path
from typing import Any

import click

from sabir.agent.membership.home import enrol
from sabir.agent.membership.provider_client import Place
from sabir.cli.composition import Installation
from sabir.cli.context import Invocation
from sabir.cli.fingerprints import in_fours
from sabir.cli.harmless import harmless, harmless_line
from sabir.cli.room_names import ask_home
from sabir.cli.secret_sources import SecretFile
from sabir.cli.system import SystemClock, system_rng
from sabir.cli.terminal import Terminal
from sabir.cli.times import ago
from sabir.crypto.secrets import Secret
from sabir.errors import ConfigInvalid
from sabir.storage.membership import HomeRecord


@click.group("home")
def command() -> None:
    """Live at a provider: encrypted rooms with people of any provider."""


@command.command("join")
@click.argument("domain")
@click.option("--address", default="", help="https://HOST:PORT [default: at DOMAIN].")
@click.option("--ca", "ca_file", metavar="FILE", help="PEM of its authority.")
@click.option("--name", help="Of this device, for people [default: the host's].")
@click.option("--token-file", metavar="FILE", help="With the account token.")
@click.pass_obj
def join(
    invocation: Invocation,
    domain: str,
    address: str,
    ca_file: str | None,
    name: str | None,
    token_file: str | None,
) -> None:
    """Register this installation at the provider DOMAIN.

    Its operator gives you the account token: `sabir provider user add NAME`.
    """
    installation = invocation.installation()
    if address and not address.startswith("https://"):
        raise ConfigInvalid(f'"{address}" is no https:// address')
    place = Place(domain=domain, address=address, roots=_read(ca_file))
    token = _token(token_file)
    home = asyncio.run(_join(installation, place, name or socket.gethostname(), token))
    click.echo(f"you      {home.user}")
    click.echo(f"device   {home.device}")
    click.echo("It is used from the next `sabir up` on.", err=True)
    hint = "If you had a device before, `sabir home history ask` brings what was said."
    click.echo(hint, err=True)


def _token(token_file: str | None) -> Secret:
    if token_file is not None:
        return SecretFile(Path(token_file).expanduser()).read()
    asked = Terminal.of_process().ask("Account token:", hidden=True)
    if not (answer := asyncio.run(asked)):
        raise ConfigInvalid("without the account token nobody knows who you are")
    return Secret.from_text(answer.strip())


async def _join(
    installation: Installation, place: Place, name: str, token: Secret
) -> HomeRecord:
    key = installation.key()
    storage = installation.open_storage()
    try:
        return await enrol(
            storage,
            place,
            token,
            name=name,
            key=key,
            clock=SystemClock(),
            rng=system_rng,
        )
    finally:
        storage.close()


def _read(ca_file: str | None) -> str:
    if ca_file is None:
        return ""
    try:
        return Path(ca_file).expanduser().read_text("ascii")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigInvalid(f"{ca_file} cannot be read as PEM: {error}") from error


@command.command("show")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def show(invocation: Invocation, *, as_json: bool) -> None:
    """Show who we are, and our devices."""
    home = ask_home(invocation, "GET", "/home")
    home["devices"] = ask_home(invocation, "GET", "/home/devices")
    if as_json:
        click.echo(json.dumps(home))
        return
    click.echo(f"you      {home['user']}")
    click.echo(f"key      {in_fours(home['fingerprint'])} of this device")
    for each in home["devices"]:
        mark = "*" if each["current"] else " "
        line = f"device {mark} {each['device_uri']}  {each['name']}"
        click.echo(harmless_line(line))


@command.command("remove-device")
@click.argument("device")
@click.pass_obj
def remove_device(invocation: Invocation, device: str) -> None:
    """Remove a lost DEVICE from the provider and from all rooms."""
    ask_home(invocation, "POST", "/home/remove-device", {"device": device})
    click.echo(f"{device} reads nothing from now on")


@command.group("history")
def history() -> None:
    """Bring what was said before to a new device of yours."""


@history.command("ask")
@click.pass_obj
def ask(invocation: Invocation) -> None:
    """Ask your other devices for what was said before this one came."""
    asked = ask_home(invocation, "POST", "/home/history-ask")["devices"]
    home = ask_home(invocation, "GET", "/home")
    click.echo(f"asked {asked} of your devices; on one of them, run")
    click.echo(f"  sabir home history give {home['device']}")
    click.echo(
        f"once `sabir home history show` shows the key {in_fours(home['fingerprint'])}"
    )


@history.command("show")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def show_asks(invocation: Invocation, *, as_json: bool) -> None:
    """Show which of your devices ask."""
    found = ask_home(invocation, "GET", "/home/history")
    if as_json:
        click.echo(json.dumps(found))
        return
    for each in found:
        if each["ours"]:
            line = f"asked    by this device {ago(each['asked_at'])}"
        elif each["rooms"]:
            key, rooms = in_fours(each["fingerprint"]), each["rooms"]
            when = ago(each["asked_at"])
            line = f"asks     {each['device']} key {key}, in {rooms} rooms, {when}"
        else:
            line = f"asks     {each['device']}, in none of your rooms"
        click.echo(harmless_line(line))
    if not found:
        click.echo("no device asks", err=True)


@history.command("give")
@click.argument("device")
@click.pass_obj
def give(invocation: Invocation, device: str) -> None:
    """Give DEVICE all that this one knows of the rooms that both are in.

    Compare the key first: `sabir home history show` here, `sabir home show` there.
    """
    given = ask_home(invocation, "POST", "/home/history-give", {"device": device})
    click.echo(f"gave {given['entries']} entries of {given['rooms']} rooms")


@command.command("requests")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def requests(invocation: Invocation, *, as_json: bool) -> None:
    """List who wants to add us, and what we decided before."""
    found = ask_home(invocation, "GET", "/home/consents")
    if as_json:
        click.echo(json.dumps(found))
        return
    for each in found["requests"]:
        click.echo(
            harmless(
                f"asks     {each['requester']} {_where(each)} {ago(each['asked_ms'])}"
            )
        )
    for each in found["verdicts"]:
        word = "granted" if each["granted"] else "revoked"
        click.echo(harmless(f"{word:<8} {each['requester']} {_where(each)}"))
    if not found["requests"]:
        click.echo("nobody waits", err=True)


def _where(each: dict[str, Any]) -> str:
    return f"to {each['room']}" if each.get("room") else "to any room"


@command.command("grant")
@click.argument("user")
@click.option("--room", default="", help="Only to this room [default: to any].")
@click.pass_obj
def grant(invocation: Invocation, user: str, room: str) -> None:
    """Let USER (ada@a.example) add us to rooms."""
    _decide(invocation, user, room, granted=True)


@command.command("revoke")
@click.argument("user")
@click.option("--room", default="", help="Only about this room [default: any].")
@click.pass_obj
def revoke(invocation: Invocation, user: str, room: str) -> None:
    """Do not let USER add us any more; rooms that we are in stay."""
    _decide(invocation, user, room, granted=False)


def _decide(invocation: Invocation, user: str, room: str, *, granted: bool) -> None:
    body = {"user": user, "room": room, "grant": granted}
    done = ask_home(invocation, "POST", "/home/consents", body)
    may = "may" if granted else "may not"
    click.echo(f"{done['user']} {may} add us")

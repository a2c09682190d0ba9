"""`sabir provider user`: who lives at a provider."""

import asyncio
import json
import re
from pathlib import Path
from typing import Any, Final

import click

from sabir.cli.harmless import harmless
from sabir.cli.provider_config import load_provider_file
from sabir.cli.provider_files import open_store
from sabir.cli.system import SystemClock, system_rng
from sabir.errors import ConfigInvalid, PolicyRefused
from sabir.mimi.codepoints import SearchType
from sabir.mimi.query import is_plausible
from sabir.mimi.uris import new_segment, user_uri
from sabir.provider.agent_api.tokens import digest_of, new_token
from sabir.storage.provider.ports import Devices
from sabir.storage.provider.records import Identifier

USER_OCTETS: Final = 16
"""Random octets in the name of a user (D-10)."""

_HANDLE: Final = re.compile(r"[a-z0-9](?:[a-z0-9._-]{0,62}[a-z0-9])?")


@click.group("user")
def user() -> None:
    """Add, list and remove the users of this provider."""


@user.command("add")
@click.argument("name")
@click.option("--email", multiple=True, help="An address that you have verified.")
@click.option(
    "--phone", multiple=True, help="A number, with +, that you have verified."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def add(
    folder: Path,
    name: str,
    email: tuple[str, ...],
    phone: tuple[str, ...],
    *,
    as_json: bool,
) -> None:
    """Make a user with the handle NAME; print the account token, once.

    Whoever has the token can register devices of this user.
    """
    identifiers = [
        _identifier(SearchType.HANDLE, name),
        *(_identifier(SearchType.EMAIL, each) for each in email),
        *(_identifier(SearchType.PHONE, each) for each in phone),
    ]
    domain = load_provider_file(folder).provider.domain
    made = asyncio.run(_add(folder, domain, identifiers))
    if as_json:
        click.echo(json.dumps(made))
        return
    click.echo(f"user           {made['user']}")
    click.echo(f"handle         {name}")
    click.echo(f"account token  {made['account_token']}")
    click.echo("It is shown this once; whoever has it can add devices of this user.")


async def _add(
    folder: Path, domain: str, identifiers: list[Identifier]
) -> dict[str, Any]:
    store = open_store(folder)
    try:
        handle = identifiers[0].value
        if await _user_of(store, handle) is not None:
            raise PolicyRefused(f'there is a user "{handle}"; take another name')
        uri = user_uri(domain, new_segment(system_rng, USER_OCTETS))
        token = new_token(system_rng)
        await store.add_user(uri, digest_of(token), now=SystemClock().now())
        await store.set_identifiers(uri, identifiers)
        return {"user": uri, "handle": handle, "account_token": token}
    finally:
        store.close()


@user.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def list_(folder: Path, *, as_json: bool) -> None:
    """List the users, with their handles and how many devices they have."""
    load_provider_file(folder)
    rows = asyncio.run(_list(folder))
    if as_json:
        click.echo(json.dumps(rows))
        return
    for row in rows:
        click.echo(
            harmless(f"{row['handle']:<24} {row['devices']:>3} devices  {row['user']}")
        )
    if not rows:
        click.echo("none yet: make one with `sabir provider user add NAME`")


async def _list(folder: Path) -> list[dict[str, Any]]:
    store = open_store(folder)
    try:
        return [
            {
                "user": uri,
                "handle": await _handle(store, uri),
                "devices": len(await store.devices_of(uri)),
            }
            for uri in await store.users()
        ]
    finally:
        store.close()


@user.command("remove")
@click.argument("name")
@click.pass_obj
def remove(folder: Path, name: str) -> None:
    """Delete the user with the handle or URI NAME, for good.

    The devices are cut off at once; rooms of this provider remove the user within ten
    minutes, rooms of others when their members do.
    """
    load_provider_file(folder)
    click.echo(f"removed        {asyncio.run(_remove(folder, name))}")


async def _remove(folder: Path, name: str) -> str:
    store = open_store(folder)
    try:
        uri = name if await store.user_exists(name) else await _user_of(store, name)
        if uri is None:
            raise ConfigInvalid(
                f'there is no user "{name}"; see `sabir provider user list`'
            )
        await store.delete_user(uri)
        return uri
    finally:
        store.close()


async def _user_of(store: Devices, handle: str) -> str | None:
    """Return whose handle it is, hidden or not."""
    for uri in await store.users():
        if await _handle(store, uri) == handle:
            return uri
    return None


async def _handle(store: Devices, uri: str) -> str:
    for each in await store.identifiers(uri):
        if each.search_type == SearchType.HANDLE:
            return each.value
    return ""


def _identifier(kind: SearchType, value: str) -> Identifier:
    if kind is SearchType.HANDLE and _HANDLE.fullmatch(value) is None:
        raise ConfigInvalid(
            f'"{value}" is no handle: up to 64 of a-z, 0-9, and inside . _ -'
        )
    if not is_plausible(kind, value):
        raise ConfigInvalid(
            f'"{value}" is no {kind.name.lower()}: like ann@a.example, or +4312345'
        )
    return Identifier(search_type=kind, value=value, searchable=True, verified=True)

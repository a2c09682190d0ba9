"""`sabir account`: logins on networks."""

import asyncio
import json
from collections.abc import Sequence

import click

from sabir.cli.config import ACCOUNT_ID
from sabir.cli.context import Invocation
from sabir.cli.harmless import harmless
from sabir.cli.login import Answers, run_login
from sabir.cli.system import system_rng
from sabir.errors import ConfigInvalid
from sabir.networks.api import Account, AccountId
from sabir.networks.registry import check_settings, network, networks
from sabir.storage.records import AccountRecord
from sabir.storage.sqlite.store import SqliteStorage


@click.group("account")
def command() -> None:
    """Add, list and remove logins on networks."""


@command.command("add")
@click.argument("account")
@click.argument("network_name", metavar="NETWORK")
@click.option("--set", "given", multiple=True, metavar="NAME=VALUE", help="An answer.")
@click.option(
    "--secret-file",
    "files",
    multiple=True,
    metavar="NAME=FILE",
    help="A secret answer.",
)
@click.pass_obj
def add(
    invocation: Invocation,
    account: str,
    network_name: str,
    given: tuple[str, ...],
    files: tuple[str, ...],
) -> None:
    """Log in on NETWORK and keep the login as ACCOUNT.

    An ACCOUNT of the same network that is there already is logged in anew.
    """
    installation = invocation.installation()
    if account in installation.config.accounts:
        raise ConfigInvalid(
            f"{account} is configured in {invocation.config_file};"
            " choose another name, or remove that section"
        )
    if not ACCOUNT_ID.fullmatch(account):
        raise ConfigInvalid(
            f'"{account}" cannot be an account\'s id: use 1 to 32 of a-z, 0-9 and'
            ' "-", beginning with a letter'
        )
    found = network(network_name)
    answers = Answers.parse(given, files)
    # Before the dialogue: nobody should log in for nothing.
    installation.key()
    storage = installation.open_storage()
    try:
        _check_free(asyncio.run(storage.accounts()), account, network_name)
        done = asyncio.run(run_login(found.login(rng=system_rng), answers))
        login = Account(
            id=AccountId(account),
            network=network_name,
            settings=check_settings(found, done.settings),
            secrets=done.secrets,
        )
        asyncio.run(installation.store_account(storage, login))
    finally:
        storage.close()
    click.echo(harmless(done.welcome or f"{account} is ready"))
    click.echo("It is used from the next `sabir up` on.", err=True)


def _check_free(stored: Sequence[AccountRecord], account: str, wanted: str) -> None:
    for each in stored:
        if each.id == account and each.network != wanted:
            raise ConfigInvalid(
                f"{account} is an account of {each.network}; choose another name, or"
                f" `sabir account remove {account}` first"
            )


@command.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def list_(invocation: Invocation, *, as_json: bool) -> None:
    """List the logins. Secrets are never shown, nor read."""
    installation = invocation.installation()
    storage = installation.open_storage()
    try:
        stored = {each.id: each for each in asyncio.run(storage.accounts())}
    finally:
        storage.close()
    configured = installation.config.accounts
    rows = [
        {
            "id": name,
            "network": account.network,
            "settings": dict(account.settings),
            "from": "sabir.toml" if name in configured else "login",
        }
        for name, account in sorted((stored | dict(configured)).items())
    ]
    if as_json:
        click.echo(json.dumps(rows))
        return
    for row in rows:
        click.echo(f"{row['id']:<12} {row['network']:<8} {row['from']}")
    if not rows:
        names = ", ".join(sorted(networks()))
        click.echo(f"none yet: `sabir account add ID NETWORK`, NETWORK one of {names}")


@command.command("remove")
@click.argument("account")
@click.pass_obj
def remove(invocation: Invocation, account: str) -> None:
    """Forget a login, its secrets and its cursors. Its links must be gone."""
    installation = invocation.installation()
    if account in installation.config.accounts:
        raise ConfigInvalid(
            f"{account} is in {invocation.config_file}; remove its section there"
        )
    storage = installation.open_storage()
    try:
        removed = asyncio.run(_remove(storage, account))
    finally:
        storage.close()
    if not removed:
        raise ConfigInvalid(f"there is no account {account}; see `sabir account list`")
    click.echo(f"{account} is forgotten")


async def _remove(storage: SqliteStorage, account: str) -> bool:
    linked = [p.id for p in await storage.portals() if p.account == account]
    if linked:
        numbers = ", ".join(map(str, linked))
        raise ConfigInvalid(
            f"{account} has open links (portals {numbers}); `sabir unlink` them first"
        )
    return await storage.remove_account(account)

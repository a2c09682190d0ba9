"""`sabir init`: make what Sabir needs on this machine."""

import os
import re
from pathlib import Path

import click

from sabir.cli.config import parse_config
from sabir.cli.config_keys import config_example
from sabir.cli.context import Invocation, settings_of
from sabir.cli.keys import create_key
from sabir.errors import ConfigInvalid, StorageFailed


@click.command("init")
@click.option("--owner", help="Your name in Sabir's own addresses [default: $USER].")
@click.option("--data-dir", help="Where everything is kept.")
@click.pass_obj
def command(invocation: Invocation, owner: str | None, data_dir: str | None) -> None:
    """Make the configuration, the data directory, the key and the database."""
    file = invocation.config_file
    if not file.exists():
        _make(file, owner, data_dir, invocation)
        click.echo(f"configuration  {file}")
    elif owner or data_dir:
        raise ConfigInvalid(
            f"{file} is there already: change owner and data_dir in it, or name"
            " another with --config"
        )
    installation = invocation.installation()
    config = installation.config
    root = config.agent.data_dir.root
    try:
        root.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise StorageFailed(
            f"{root}: {error.strerror}; choose another data_dir"
        ) from error
    if create_key(config):
        click.echo("key            made; back it up: without it the secrets are lost")
    installation.open_storage().close()
    click.echo(f"data           {root}")
    click.echo("Next: `sabir account add ID NETWORK`, then `sabir up`.")


def _make(
    file: Path, owner: str | None, data_dir: str | None, invocation: Invocation
) -> None:
    """Write a configuration, if what was given makes a right one."""
    user = invocation.environ.get("USER", "").lower() or "owner"
    name = owner or re.sub(r"[^a-z0-9-]", "-", user)[:32]
    text = config_example(owner=name, data_dir=data_dir)
    parse_config(
        text,
        file=file,
        environ=invocation.environ,
        home=invocation.home,
        settings_of=settings_of,
    )
    _write(file, text)


def _write(file: Path, text: str) -> None:
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        raise ConfigInvalid(
            f"{file}: {error.strerror}; name another with --config"
        ) from error
    with os.fdopen(descriptor, "w") as opened:
        opened.write(text)

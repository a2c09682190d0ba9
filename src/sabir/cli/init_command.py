"""`sabir init`: make what Sabir needs on this machine."""

import os
import re
from pathlib import Path

import click

from sabir.cli.config import load_config
from sabir.cli.config_keys import config_example
from sabir.cli.context import Invocation, settings_of
from sabir.cli.keys import create_key
from sabir.errors import ConfigInvalid, StorageFailed
from sabir.storage.sqlite.store import SqliteStorage


@click.command("init")
@click.option("--owner", help="Your name in Sabir's own addresses [default: $USER].")
@click.option("--data-dir", help="Where everything is kept.")
@click.pass_obj
def command(invocation: Invocation, owner: str | None, data_dir: str | None) -> None:
    """Make the configuration, the data directory, the key and the database."""
    file = invocation.config_file
    if not file.exists():
        name = owner or re.sub(
            r"[^a-z0-9-]", "-", invocation.environ.get("USER", "owner").lower()
        )
        _write(file, config_example(owner=name, data_dir=data_dir))
        click.echo(f"configuration  {file}")
    config = load_config(
        file,
        environ=invocation.environ,
        home=invocation.home,
        settings_of=settings_of,
    )
    root = config.agent.data_dir.root
    try:
        root.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise StorageFailed(
            f"{root}: {error.strerror}; choose another data_dir"
        ) from error
    if create_key(config):
        click.echo("key            made; back it up: without it the secrets are lost")
    SqliteStorage.open(config.agent.data_dir.database_file).close()
    click.echo(f"data           {root}")
    click.echo("Next: `sabir account add ID NETWORK`, then `sabir up`.")


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

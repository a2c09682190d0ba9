"""`sabir config`: check it, or see an example."""

import click

from sabir.cli.config_keys import config_example
from sabir.cli.context import Invocation


@click.group("config")
def command() -> None:
    """Check the configuration, or print an example."""


@command.command("check")
@click.pass_obj
def check(invocation: Invocation) -> None:
    """Read the configuration and say whether it is right."""
    config = invocation.installation().config
    click.echo(f"{invocation.config_file}: fine, {len(config.accounts)} accounts in it")


@command.command("example")
def example() -> None:
    """Print a documented example."""
    click.echo(config_example(), nl=False)

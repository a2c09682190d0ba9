"""`sabir`: one command per noun or deed; each in a file of its own.

Results go to standard output, talk to standard error. Exit codes: 0 done,
1 our failure, 2 usage or configuration, 3 the peer, 4 refused by policy.
"""

import importlib
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import click

from sabir.cli.context import Invocation
from sabir.cli.harmless import harmless
from sabir.errors import Error

COMMANDS: Final = {
    "account": "add, list and remove logins on networks",
    "chat": "talk in an encrypted room",
    "chats": "list the chats an account is in",
    "config": "check the configuration, or print an example",
    "conformance": "check another provider against the profile of MIMI",
    "doctor": "look for trouble and say what to do",
    "home": "live at a provider: our device, who may add us",
    "init": "make the data directory, the key and a configuration",
    "link": "connect chats of different networks",
    "log": "show messages: whence, whither, how long, what was lost",
    "provider": "run a server of rooms for yourself and others",
    "room": "make and run encrypted rooms",
    "status": "show accounts, links and what waits",
    "unlink": "disconnect a chat",
    "up": "run Sabir",
}


class Lazy(click.Group):
    """Imports a command only when it is called: `sabir status` starts fast."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the commands' names."""
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return a command."""
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"sabir.cli.{cmd_name}_command")
        command: click.Command = module.command
        return command

    def format_commands(
        self, ctx: click.Context, formatter: click.HelpFormatter
    ) -> None:
        """List the commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl(sorted(COMMANDS.items()))


@click.command(cls=Lazy)
@click.option(
    "--config",
    "config",
    metavar="FILE",
    help="Configuration file [default: ./sabir.toml, else the owner's own].",
)
@click.version_option(package_name="sabir")
@click.pass_context
def command(ctx: click.Context, config: str | None) -> None:
    """Sabir makes messaging apps interoperate, and says who can read the message."""
    ctx.obj = Invocation(given=config, environ=dict(os.environ), working_dir=Path.cwd())


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; errors become one paragraph and an exit code.

    Args:
        arguments: without the program's name; None: those of this process.
    """
    try:
        command.main(arguments, standalone_mode=False)
    except Error as error:
        click.echo(f"sabir: {harmless(error.diagnostics())}", err=True)
        sys.exit(error.exit_code)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        click.echo("sabir: stopped", err=True)
        sys.exit(130)

"""`sabir unlink`: disconnect a chat."""

import click

from sabir.cli.context import Invocation
from sabir.cli.control import ask
from sabir.cli.harmless import harmless_line


@click.command("unlink")
@click.argument("portal", type=int)
@click.pass_obj
def command(invocation: Invocation, portal: int) -> None:
    """Disconnect PORTAL (a number from `sabir status`); its history stays."""
    socket = invocation.installation().config.agent.control_socket
    closed = ask(socket, "POST", "/unlink", {"portal": portal})
    line = f"portal {portal} closed: {closed['account']}:{closed['chat']}"
    click.echo(harmless_line(line))

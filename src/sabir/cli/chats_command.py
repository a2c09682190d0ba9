"""`sabir chats`: what an account is in."""

import json

import click

from sabir.cli.context import Invocation
from sabir.cli.control import ask
from sabir.cli.harmless import harmless_line


@click.command("chats")
@click.argument("account")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def command(invocation: Invocation, account: str, *, as_json: bool) -> None:
    """List the chats that ACCOUNT is in, ready to be linked."""
    socket = invocation.installation().config.agent.control_socket
    chats = ask(socket, "GET", f"/chats/{account}")
    if as_json:
        click.echo(json.dumps(chats))
        return
    for chat in chats:
        lock = "  (encrypted)" if chat["encrypted"] else ""
        line = f"{account}:{chat['chat']}  {chat['kind']}  {chat['name']}{lock}"
        click.echo(harmless_line(line))

"""How to join the conversation with one's own apps while the servers are up."""

import shlex
import sys
from typing import Final
from urllib.parse import quote

from sabir.testing.demo.stage import Stage

_ALIAS: Final = "tea"
_GUEST: Final = "guest"


async def invite(stage: Stage) -> list[str]:
    """Open the doors, and return the lines that tell people how to come in."""
    lab = stage.lab
    alias = f"#{_ALIAS}:{lab.synapse.server_name}"
    await stage.alice.set_state(
        stage.matrix_room, "m.room.join_rules", {"join_rule": "public"}
    )
    await stage.alice.call(
        "PUT",
        f"/_matrix/client/v3/directory/room/{quote(alias, safe='')}",
        {"room_id": stage.matrix_room},
    )
    matrix = await lab.synapse.add_user(_GUEST)
    xmpp = await lab.prosody.add_user(_GUEST)
    sabir = shlex.join(
        [
            sys.executable,
            "-m",
            "sabir.cli",
            "--config",
            str(lab.sabir.folder / "sabir.toml"),
        ]
    )
    return [
        "",
        "All stays up. Come in with your own apps, from this machine:",
        "",
        f"Matrix  homeserver  {matrix.base_url} ({lab.synapse.server_name})",
        f"        log in as   {_GUEST}  password: {matrix.password}",
        f"        join        {alias}",
        "        in Element  Sign in, Edit (beside the homeserver), the address above",
        "",
        f"XMPP    log in as   {xmpp.jid}  password: {xmpp.password}",
        f"        server      {xmpp.host}, port {xmpp.port}, STARTTLS",
        f"        trust       {xmpp.ca_file}",
        f"        join        {stage.xmpp_room}",
        "        in Gajim    Add account, Advanced settings: custom hostname and port",
        f"        Profanity   /connect {xmpp.jid} server {xmpp.host} port {xmpp.port}",
        "",
        "People  alice, bob and carol on Matrix, xenia, yuri and zoe on XMPP;",
        '        the password of each is "password of NAME"',
        "",
        f"Sabir   {sabir} status",
        f"        {sabir} log -f",
        f"        its own log: {lab.sabir.folder / 'sabir.log'}",
        "",
        "Ctrl-C ends all.",
    ]

"""The entry point `irc`: settings and login."""

from collections.abc import Mapping
from typing import Final

from sabir.clock import Clock
from sabir.crypto.secrets import Secret
from sabir.errors import ConfigInvalid
from sabir.networks.api import Account, Rng, Setting
from sabir.networks.login import Ask, Done, Field, Step

from sabir_irc.connector import IrcConnector


class IrcNetwork:
    """Any IRC network with history."""

    name = "irc"
    label = "IRC"
    settings: tuple[Setting, ...] = (
        Setting(name="host", about="Name of the server, e.g. `irc.example.org`."),
        Setting(name="port", about="Its port.", kind=int, default=6697),
        Setting(name="tls", about="Whether it speaks TLS.", kind=bool, default=True),
        Setting(name="nick", about="Our nick there."),
        Setting(name="password", about="If it asks.", required=False, secret=True),
    )

    def connector(self, account: Account, *, clock: Clock, rng: Rng) -> IrcConnector:
        """Make the connector of one account."""
        settings = account.settings
        nick = str(settings["nick"])
        if not nick or any(character in nick for character in " ,*?!@:#"):
            raise ConfigInvalid(f"'{nick}' is no nick; letters, digits and - will do")
        return IrcConnector(
            (str(settings["host"]), int(settings["port"])),
            nick,
            account.secrets.get("password"),
            tls=bool(settings["tls"]),
            clock=clock,
        )

    def login(self, *, rng: Rng) -> "IrcLogin":
        """Start the dialogue."""
        return IrcLogin()


class IrcLogin:
    """Asks for the settings; the first connection will show whether they fit."""

    async def begin(self) -> Step:
        """Ask for everything at once."""
        return Ask(
            title="IRC",
            fields=(
                Field(name="host", label="Server"),
                Field(name="port", label="Port", default="6697"),
                Field(name="tls", label="TLS", default="yes", choices=("yes", "no")),
                Field(name="nick", label="Nick"),
                Field(name="password", label="Password, if any", secret=True),
            ),
        )

    async def answer(self, values: Mapping[str, str]) -> Step:
        """Turn the answers into settings.

        Raises:
            ConfigInvalid: no server, no nick, or a port that is no number.
        """
        port = values.get("port") or "6697"
        if not (values.get("host") and values.get("nick") and port.isdecimal()):
            raise ConfigInvalid("IRC needs a server, a nick, and a port like 6697")
        password = values.get("password", "")
        return Done(
            settings={
                "host": values["host"],
                "port": int(port),
                "tls": values.get("tls", "yes") != "no",
                "nick": values["nick"],
            },
            secrets={"password": Secret.from_text(password)} if password else {},
            welcome=f"You are {values['nick']} on {values['host']}.",
        )

    async def close(self) -> None:
        """Nothing is left open."""


NETWORK: Final = IrcNetwork()

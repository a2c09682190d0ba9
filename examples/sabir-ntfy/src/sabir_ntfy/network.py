"""The entry point `ntfy`: settings and login."""

from collections.abc import Mapping
from typing import Final

from sabir.clock import Clock
from sabir.crypto.secrets import Secret
from sabir.errors import ConfigInvalid
from sabir.networks.api import Account, Rng, Setting
from sabir.networks.login import Ask, Done, Field, Step

from sabir_ntfy.connector import NtfyConnector


def address(url: str) -> str:
    """Return the address of a server if it is one."""
    if url.startswith(("https://", "http://")):
        return url
    raise ConfigInvalid(f"url = {url!r} is no address like https://ntfy.example.org")


class NtfyNetwork:
    """Any ntfy server."""

    name = "ntfy"
    label = "ntfy"
    settings: tuple[Setting, ...] = (
        Setting(name="url", about="The server, e.g. `https://ntfy.example.org`."),
        Setting(name="token", about="If it asks.", required=False, secret=True),
    )

    def connector(self, account: Account, *, clock: Clock, rng: Rng) -> NtfyConnector:
        """Make the connector of one account."""
        url = address(str(account.settings["url"]))
        return NtfyConnector(url, account.secrets.get("token"))

    def login(self, *, rng: Rng) -> "NtfyLogin":
        """Start the dialogue."""
        return NtfyLogin()


class NtfyLogin:
    """Asks for the settings; the first connection shows whether they fit."""

    async def begin(self) -> Step:
        """Ask."""
        token = Field(name="token", label="Access token, if any", secret=True)
        return Ask(title="ntfy", fields=(Field(name="url", label="Server"), token))

    async def answer(self, values: Mapping[str, str]) -> Step:
        """Turn the answers into settings."""
        url, token = address(values.get("url", "")), values.get("token", "")
        secrets = {"token": Secret.from_text(token)} if token else {}
        return Done(settings={"url": url}, secrets=secrets, welcome=f"Ready: {url}")

    async def close(self) -> None:
        """Nothing is left open."""


NETWORK: Final = NtfyNetwork()

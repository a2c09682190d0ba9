"""The entry point `signal`: settings, login, and the account."""

from typing import Final

from sabir.clock import Clock
from sabir.networks.api import Account, Connector, Network, Rng, Setting
from sabir.networks.login import LoginFlow
from sabir.networks.signal.config import SETTINGS, account_config
from sabir.networks.signal.connector import SignalAccount
from sabir.networks.signal.login import SignalLogin


class SignalNetwork:
    """Signal."""

    name = "signal"
    label = "Signal"
    settings: tuple[Setting, ...] = SETTINGS

    def connector(self, account: Account, *, clock: Clock, rng: Rng) -> Connector:
        """Make the connector of one account (see `Network.connector`)."""
        return SignalAccount(account_config(account), clock=clock)

    def login(self, *, rng: Rng) -> LoginFlow:
        """Start the dialogue that adds an account."""
        return SignalLogin()


NETWORK: Final[Network] = SignalNetwork()

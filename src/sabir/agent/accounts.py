"""One account at run time: its connector and how the connection is."""

import asyncio
from dataclasses import dataclass

from sabir.clock import Instant
from sabir.networks.api import ConnectionState, Connector


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionStatus:
    """How an account's connection is, for people."""

    state: ConnectionState
    detail: str
    since: Instant
    attempts: int
    """Failed attempts since the last success."""


class AccountRuntime:
    """An account that is being run."""

    def __init__(
        self, account: str, network: str, connector: Connector, *, now: Instant
    ) -> None:
        self.id = account
        self.network = network
        self.connector = connector
        self.connected = asyncio.Event()
        """Set while pieces can be sent."""
        self.last_in: Instant | None = None
        self.last_out: Instant | None = None
        self.status = ConnectionStatus(
            state=ConnectionState.CONNECTING, detail="", since=now, attempts=0
        )

    def change(self, state: ConnectionState, detail: str, *, now: Instant) -> bool:
        """Note a new state; False if it is the old one."""
        if (state, detail) == (self.status.state, self.status.detail):
            return False
        failed = state in {
            ConnectionState.TRANSIENT_DISCONNECT,
            ConnectionState.BAD_CREDENTIALS,
        }
        attempts = self.status.attempts + 1 if failed else self.status.attempts
        if state is ConnectionState.CONNECTED:
            attempts = 0
        self.status = ConnectionStatus(
            state=state, detail=detail, since=now, attempts=attempts
        )
        if state is ConnectionState.CONNECTED:
            self.connected.set()
        elif state is not ConnectionState.CATCHING_UP:
            # One room may catch up again while the connection sends as before.
            self.connected.clear()
        return True

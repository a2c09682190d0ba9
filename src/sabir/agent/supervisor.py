"""Keeps workers running: whatever ends one, it alone is started again, later.

This is the one place that catches every exception (STYLE: supervisor), so that
one portal's trouble stays one portal's trouble (I8).
"""

from collections.abc import Awaitable, Callable
from typing import Final

import structlog

from sabir.agent.accounts import AccountRuntime
from sabir.agent.backoff import Backoff
from sabir.agent.host import AccountHost
from sabir.clock import Clock
from sabir.errors import CredentialsRefused, Error, Unavailable
from sabir.networks.api import ConnectionState, Rng

STEADY_MS: Final = 30_000
"""A worker that ran this long starts over with short waits."""

_log = structlog.get_logger()


async def keep_running(
    name: str, work: Callable[[], Awaitable[None]], *, clock: Clock, rng: Rng
) -> None:
    """Run a worker until cancelled; start it again whenever it ends."""
    backoff = Backoff(rng)
    while True:
        begun = clock.monotonic_ms()
        try:
            await work()
            detail = "it ended"
        except Error as error:
            detail = error.diagnostics()
            _log.warning("worker_failed", worker=name, code=error.code, detail=detail)
        except Exception:  # noqa: BLE001  the supervisor's whole point
            # Our own bug: shown with its traceback, and the others go on.
            _log.exception("worker_crashed", worker=name)
        if clock.monotonic_ms() - begun > STEADY_MS:
            backoff.success()
        await clock.sleep(backoff.next_ms())


async def attempt(name: str, work: Callable[[], Awaitable[None]]) -> None:
    """Run something once; its failure is logged and harms nobody else."""
    try:
        await work()
    except Error as error:
        _log.warning("attempt_failed", what=name, code=error.code, detail=str(error))
    except Exception:  # noqa: BLE001  the supervisor's whole point
        _log.exception("attempt_crashed", what=name)


async def keep_connected(
    account: AccountRuntime, host: AccountHost, *, clock: Clock, rng: Rng
) -> None:
    """Run an account's connector until cancelled, with its state shown to people."""
    backoff = Backoff(rng)
    while True:
        host.report(ConnectionState.CONNECTING)
        begun = clock.monotonic_ms()
        wait_ms, state, detail = 0, ConnectionState.TRANSIENT_DISCONNECT, ""
        try:
            await account.connector.run(host)
            detail = "the connector ended without saying why"
        except CredentialsRefused as error:
            state, detail = ConnectionState.BAD_CREDENTIALS, str(error)
        except Unavailable as error:
            detail, wait_ms = str(error), error.retry_after_ms or 0
        except Error as error:
            detail = error.diagnostics()
        except Exception as bug:  # noqa: BLE001  the supervisor's whole point
            _log.exception("connector_crashed", account=account.id)
            detail = f"a bug in the connector ({type(bug).__name__}); see the log"
        if clock.monotonic_ms() - begun > STEADY_MS:
            backoff.success()
        host.report(state, detail)
        await clock.sleep(backoff.next_ms(at_least_ms=wait_ms))

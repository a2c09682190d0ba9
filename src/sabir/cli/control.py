"""Talking to the running agent over its control socket."""

import asyncio
from pathlib import Path
from typing import Any, Final

import aiohttp

from sabir.errors import Code, ConfigInvalid, Error, Unavailable

ANSWER_TIMEOUT_S: Final = 90
"""Entering a chat may take the agent 60 s."""


class NotRunning(Unavailable):
    """Sabir is not running."""


class Refusal(Error):
    """The running agent refused."""

    code = Code.POLICY_REFUSED
    exit_code = 4

    def __init__(self, detail: str, exit_code: int) -> None:
        super().__init__(detail)
        self.exit_code = exit_code  # type: ignore[misc]  # as the agent says


def ask(socket: Path, method: str, path: str, body: Any = None) -> Any:
    """Ask the running agent.

    Raises:
        NotRunning: nobody listens on the socket.
        Refusal: the agent refused, with its reason.
        Unavailable: it does not answer in time, or ended while we waited.
        ConfigInvalid: the socket belongs to somebody else.
    """
    return asyncio.run(ask_async(socket, method, path, body))


async def ask_async(socket: Path, method: str, path: str, body: Any = None) -> Any:
    """Ask the running agent, from a loop that runs. Raises as `ask`."""
    timeout = aiohttp.ClientTimeout(total=ANSWER_TIMEOUT_S)
    connector = aiohttp.UnixConnector(str(socket))
    try:
        async with (
            aiohttp.ClientSession(connector=connector, timeout=timeout) as session,
            session.request(method, f"http://sabir{path}", json=body) as answer,
        ):
            content = await answer.json()
    except (aiohttp.ClientConnectorError, FileNotFoundError) as error:
        if isinstance(getattr(error, "os_error", None), PermissionError):
            raise ConfigInvalid(
                f"{socket} is not ours to open; call sabir as the user who runs it"
            ) from None
        raise NotRunning("start it with `sabir up`") from None
    except aiohttp.ClientError as error:
        raise Unavailable(
            f"the running agent gave no answer ({type(error).__name__}); it may have"
            " been stopped: see `sabir status` and its log"
        ) from None
    except TimeoutError:
        raise Unavailable(
            f"the running agent does not answer in {ANSWER_TIMEOUT_S} s; see its log"
        ) from None
    if answer.status != 200:
        raise Refusal(str(content.get("detail")), int(content.get("exit", 1)))
    return content

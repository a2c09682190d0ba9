"""`sabir up`: run until told to stop."""

import asyncio
import signal

import click
import structlog

from sabir.agent.agent import Agent
from sabir.agent.control import ControlServer
from sabir.cli.composition import Installation
from sabir.cli.context import Invocation
from sabir.cli.lock import InstanceLock
from sabir.cli.logs import configure_logs
from sabir.errors import Error

_log = structlog.get_logger()


@click.command("up")
@click.pass_obj
def command(invocation: Invocation) -> None:
    """Run Sabir until stopped (Ctrl-C or SIGTERM)."""
    installation = invocation.installation()
    section = installation.config.agent
    configure_logs(section.log_level, section.log_format)
    lock = InstanceLock(section.data_dir.root)
    lock.acquire()
    try:
        asyncio.run(_run(installation))
    finally:
        lock.release()


async def _run(installation: Installation) -> None:
    storage = installation.open_storage()
    try:
        agent = await installation.agent(storage)
        control = ControlServer(agent, installation.config.agent.control_socket)
        await control.start()
        try:
            await _until_stopped(agent)
        finally:
            await control.stop()
    finally:
        storage.close()
        _log.info("stopped")


async def _until_stopped(agent: Agent) -> None:
    """Run the agent until a signal comes, or until it cannot go on.

    Raises:
        Error: why it cannot go on.
    """
    try:
        async with asyncio.TaskGroup() as group:
            running = group.create_task(agent.run())
            saying = group.create_task(_say_started(agent))
            running.add_done_callback(lambda _: saying.cancel())
            for number in (signal.SIGTERM, signal.SIGINT):
                asyncio.get_running_loop().add_signal_handler(number, running.cancel)
    except ExceptionGroup as failures:
        ours = failures.subgroup(Error)
        if ours is None:
            raise
        reason: BaseException = ours
        while isinstance(reason, BaseExceptionGroup):
            reason = reason.exceptions[0]
        raise reason from None


async def _say_started(agent: Agent) -> None:
    await agent.started.wait()
    _log.info("started")

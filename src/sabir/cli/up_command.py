"""`sabir up`: run until told to stop."""

import asyncio
import signal

import click
import structlog

from sabir.agent.control import ControlServer
from sabir.cli.composition import Installation
from sabir.cli.context import Invocation
from sabir.cli.lock import InstanceLock
from sabir.cli.logs import configure_logs

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
            async with asyncio.TaskGroup() as group:
                running = group.create_task(agent.run())
                for number in (signal.SIGTERM, signal.SIGINT):
                    asyncio.get_running_loop().add_signal_handler(
                        number, running.cancel
                    )
                await agent.started.wait()
                _log.info(
                    "started", control=str(installation.config.agent.control_socket)
                )
        finally:
            await control.stop()
    finally:
        storage.close()
        _log.info("stopped")

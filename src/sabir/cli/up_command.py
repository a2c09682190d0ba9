"""`sabir up`: run until told to stop."""

import asyncio
import signal
from contextlib import AsyncExitStack

import click
import structlog

from sabir.agent.agent import Agent
from sabir.agent.control import ControlServer
from sabir.agent.desk_control import DeskRoutes, homeless_routes
from sabir.agent.membership.membership import Membership
from sabir.cli.composition import Installation
from sabir.cli.context import Invocation
from sabir.cli.lock import InstanceLock
from sabir.cli.logs import configure_logs
from sabir.cli.running import make_agent, our_home
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
        agent = await make_agent(installation, storage)
        async with AsyncExitStack() as stack:
            membership, routes = None, homeless_routes()
            known = await storage.home()
            if known is not None and known.device:  # or `sabir home join` broke off
                home = our_home(installation, storage, on_entries=agent.ring_room)
                desk = await stack.enter_async_context(home)
                agent.use_provider(desk.rooms)
                membership = desk.membership
                routes = DeskRoutes(desk, storage).routes()
            control = ControlServer(
                agent, installation.config.agent.control_socket, routes
            )
            await control.start()
            stack.push_async_callback(control.stop)
            await _until_stopped(agent, membership)
    finally:
        storage.close()
        _log.info("stopped")


async def _until_stopped(agent: Agent, membership: Membership | None) -> None:
    """Run everything until a signal comes, or until it cannot go on.

    Raises:
        Error: why it cannot go on.
    """
    try:
        async with asyncio.TaskGroup() as group:
            running = group.create_task(_run_all(agent, membership))
            saying = group.create_task(_say_started(agent, membership))
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


async def _run_all(agent: Agent, membership: Membership | None) -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(agent.run())
        if membership is not None:
            group.create_task(membership.run())


async def _say_started(agent: Agent, membership: Membership | None) -> None:
    await agent.started.wait()
    if membership is not None:
        await membership.started.wait()
    _log.info("started")

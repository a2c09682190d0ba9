"""`sabir doctor`: look for trouble and say what to do."""

import asyncio
import shutil
import sys
from collections.abc import Callable, Iterator
from typing import Final

import click

from sabir.cli.composition import Installation
from sabir.cli.context import Invocation
from sabir.cli.control import NotRunning, ask
from sabir.cli.harmless import harmless
from sabir.errors import Error, StorageFailed
from sabir.networks.registry import broken_plugins, networks
from sabir.storage.sqlite.store import SqliteStorage

DISK_FREE_OCTETS_MIN: Final = 1024**3
"""Under 1 GiB a single large file can fill the disk."""


@click.command("doctor")
@click.pass_obj
def command(invocation: Invocation) -> None:
    """Check configuration, key, database, networks and the running agent."""
    found = False
    for name, trouble in _examine(invocation):
        found = found or bool(trouble)
        click.echo(f"{'TROUBLE' if trouble else 'ok':<8} {name}")
        if trouble:
            click.echo(harmless(f"         {trouble}"))
    if found:
        sys.exit(1)


def _examine(invocation: Invocation) -> Iterator[tuple[str, str]]:
    for broken in broken_plugins():
        yield f"plug-in {broken.name}", broken.reason
    yield f"networks: {', '.join(sorted(networks()))}", ""
    try:
        installation = invocation.installation()
    except Error as error:
        yield f"configuration {invocation.config_file}", str(error)
        return
    yield f"configuration {invocation.config_file}", ""
    yield "key", _trouble(installation.key)
    yield from _disk(installation)
    yield from _database(installation)
    yield from _running(installation)


def _trouble(check: Callable[[], object]) -> str:
    try:
        check()
    except Error as error:
        return str(error)
    return ""


def _disk(installation: Installation) -> Iterator[tuple[str, str]]:
    root = installation.config.agent.data_dir.root
    if not root.is_dir():
        yield f"data directory {root}", "it is not there; run `sabir init`"
        return
    free = shutil.disk_usage(root).free
    low = free < DISK_FREE_OCTETS_MIN
    yield (
        f"disk: {free // 1024**2} MiB free under {root}",
        "less than 1 GiB; free some space or move the data directory" if low else "",
    )


def _database(installation: Installation) -> Iterator[tuple[str, str]]:
    file = installation.config.agent.data_dir.database_file
    try:
        storage = installation.open_storage()
    except Error as error:
        yield f"database {file}", str(error)
        return
    try:
        yield f"database {file}", _trouble(lambda: _check_file(storage))
        try:
            counts = asyncio.run(storage.counts())
        except StorageFailed:
            return  # the database's trouble, shown already
        for count in counts:
            if count.ambiguous or count.refused:
                trouble = f"{count.ambiguous} ambiguous, {count.refused} refused"
                yield f"portal {count.portal}", f"{trouble}: `sabir log --trouble`"
        yield (
            "accounts and their secrets",
            _trouble(lambda: asyncio.run(installation.accounts(storage))),
        )
    finally:
        storage.close()


def _check_file(storage: SqliteStorage) -> None:
    wrong = asyncio.run(storage.check())
    if wrong:
        raise StorageFailed(
            "; ".join(wrong)
            + "; restore a backup, or recover it with `sqlite3 FILE .recover`"
        )


def _running(installation: Installation) -> Iterator[tuple[str, str]]:
    try:
        status = ask(installation.config.agent.control_socket, "GET", "/status")
    except NotRunning:
        yield "agent: not running", ""
        return
    except Error as error:
        yield "agent", str(error)
        return
    yield f"agent: running, process {status['pid']}", ""
    for account in status["accounts"]:
        state = account["status"]["state"]
        fine = state in {"connected", "catching_up", "connecting"}
        yield (
            f"account {account['id']}: {state}",
            "" if fine else account["status"]["detail"] or "no detail",
        )
    for portal in status["portals"]:
        if portal["state"] != "active":
            yield f"portal {portal['id']}: {portal['state']}", portal["detail"]

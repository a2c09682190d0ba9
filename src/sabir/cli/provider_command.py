"""`sabir provider`: a server of rooms, with a data directory of its own."""

import asyncio
import json
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import click

from sabir.cli.context import Invocation
from sabir.cli.harmless import harmless
from sabir.cli.lock import InstanceLock
from sabir.cli.logs import configure_logs
from sabir.cli.provider_config import (
    CONFIG_NAME,
    ProviderFile,
    example,
    is_domain,
    load_provider_file,
)
from sabir.cli.provider_files import open_store, read_key, write_new, write_pair
from sabir.cli.provider_user_command import user
from sabir.cli.system import SystemClock, system_rng
from sabir.crypto.certificates import (
    Issued,
    NotACertificate,
    expires_at,
    issue,
    new_authority,
)
from sabir.crypto.sealing import KEY_OCTETS
from sabir.errors import ConfigInvalid, StorageFailed
from sabir.provider.config import KEY_NAME
from sabir.provider.provider import Provider
from sabir.storage.provider.records import QueueRecord, QueueState

FOLDER_NAME: Final = "sabir-provider"
FOLDER_VARIABLE: Final = "SABIR_PROVIDER_DIR"
AUTHORITY_DAYS: Final = 3_650
CERTIFICATE_DAYS: Final = 397
"""As long as public authorities allow."""
DEAD_SHOWN: Final = 20
"""Dead letters that are listed."""
ROOMS_COUNTED: Final = 100_000
"""Beyond, `status` says no more than that."""
DAY_MS: Final = 24 * 3_600_000


@click.group("provider")
@click.option(
    "--data-dir",
    metavar="DIR",
    help=f"The provider's own directory [default: ${FOLDER_VARIABLE},"
    f" else ./{FOLDER_NAME}].",
)
@click.pass_context
def command(ctx: click.Context, data_dir: str | None) -> None:
    """Run a server of rooms for yourself and others."""
    invocation: Invocation = ctx.obj
    named = data_dir or invocation.environ.get(FOLDER_VARIABLE) or FOLDER_NAME
    ctx.obj = invocation.working_dir / named


command.add_command(user)


@command.command("init")
@click.argument("domain")
@click.option("--listen", default="127.0.0.1:8443", help="Where others reach it.")
@click.option("--agents", default="127.0.0.1:8444", help="Where agents reach it.")
@click.pass_obj
def init(folder: Path, domain: str, listen: str, agents: str) -> None:
    """Make the directory of a provider for DOMAIN: configuration, key, database."""
    if not is_domain(domain):
        raise ConfigInvalid(
            f'"{domain}" is no DNS name in lower case with A-labels; take one that is'
            " yours, or one below .example for experiments"
        )
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not (folder / CONFIG_NAME).exists():
            write_new(folder / CONFIG_NAME, example(domain, listen, agents).encode())
        if not (folder / KEY_NAME).exists():
            write_new(folder / KEY_NAME, system_rng(KEY_OCTETS))
    except OSError as error:
        raise StorageFailed(
            f"{folder}: {error.strerror}; choose another --data-dir"
        ) from error
    open_store(folder).close()
    load_provider_file(folder)
    click.echo(f"data           {folder}")
    click.echo(
        "Next: `sabir provider ca` and `sabir provider cert`, or put a certificate"
        f" into {folder / 'certificate.pem'}; then `sabir provider up`."
    )


@command.command("ca")
@click.pass_obj
def authority(folder: Path) -> None:
    """Make a development authority (ca.pem, ca.key).

    Whoever holds ca.key can be any provider to those who trust ca.pem. For real
    domains take the certificates of a public authority.
    """
    made = new_authority(
        "Sabir development authority",
        now=SystemClock().now(),
        days=AUTHORITY_DAYS,
        rng=system_rng,
    )
    write_pair(folder, "ca.pem", "ca.key", made)
    click.echo(f"authority      {folder / 'ca.pem'}")


@command.command("cert")
@click.option("--ca", "ca_dir", metavar="DIR", help="Where ca.pem and ca.key are.")
@click.pass_obj
def certificate(folder: Path, ca_dir: str | None) -> None:
    """Make the provider's certificate with a development authority."""
    config = load_provider_file(folder).provider
    source = folder if ca_dir is None else Path(ca_dir)
    try:
        issuer = Issued(
            certificate=(source / "ca.pem").read_bytes(),
            key=(source / "ca.key").read_bytes(),
        )
    except OSError as error:
        raise ConfigInvalid(
            f"{error.filename}: {error.strerror}; make an authority with"
            " `sabir provider ca`, or name its directory with --ca"
        ) from error
    names = sorted({config.domain, config.endpoint_host})
    try:
        made = issue(
            issuer,
            [config.domain, *(each for each in names if each != config.domain)],
            now=SystemClock().now(),
            days=CERTIFICATE_DAYS,
            rng=system_rng,
        )
    except NotACertificate as error:
        raise ConfigInvalid(f"{source}: {error}; make a new authority") from error
    identity = config.identity
    for file in (identity.certificate, identity.key):
        file.unlink(missing_ok=True)
    write_pair(folder, identity.certificate.name, identity.key.name, made)
    if source != folder and not (folder / "ca.pem").exists():
        write_new(folder / "ca.pem", issuer.certificate)
    click.echo(f"certificate    {identity.certificate} for {', '.join(names)}")


@command.command("up")
@click.pass_obj
def up(folder: Path) -> None:
    """Run the provider until stopped (Ctrl-C or SIGTERM)."""
    settings = load_provider_file(folder)
    configure_logs(settings.log_level, settings.log_format)
    lock = InstanceLock(folder)
    lock.acquire()
    try:
        asyncio.run(_run(folder, settings))
    finally:
        lock.release()


async def _run(folder: Path, settings: ProviderFile) -> None:
    key = read_key(folder)
    store = open_store(folder)
    try:
        provider = Provider(
            settings.provider, store, key=key, clock=SystemClock(), rng=system_rng
        )
        await provider.start()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, provider.stop)
        await provider.run()
    finally:
        store.close()


@command.command("status")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def status(folder: Path, *, as_json: bool) -> None:
    """Show rooms, users, queues, and how long the certificate lasts."""
    config = load_provider_file(folder).provider
    found = asyncio.run(_status(folder))
    found["domain"] = config.domain
    try:
        left_ms = (
            expires_at(config.identity.certificate.read_bytes()) - SystemClock().now()
        )
        found["certificate_days_left"] = left_ms // DAY_MS
    except (OSError, NotACertificate):
        found["certificate_days_left"] = None
    _show(found, as_json=as_json)


async def _status(folder: Path) -> dict[str, Any]:
    store = open_store(folder)
    try:
        queues = await store.queues()
        return {
            "users": len(await store.users()),
            "rooms": len(await store.rooms(count_max=ROOMS_COUNTED)),
            "queues": len(queues),
            "messages_waiting": sum(queue.waiting for queue in queues),
            "queues_stopped": sum(
                queue.state is not QueueState.OPEN for queue in queues
            ),
            "reports": len(await store.reports(count_max=ROOMS_COUNTED)),
        }
    finally:
        store.close()


@command.command("peers")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def peers(folder: Path, *, as_json: bool) -> None:
    """List other providers: when they answered last, and where they deviate."""
    config = load_provider_file(folder).provider
    rows = asyncio.run(_peers(folder, sorted(config.peers)))
    if as_json:
        click.echo(json.dumps(rows))
        return
    for row in rows:
        error = f"  {row['last_error']}" if row["last_error"] else ""
        click.echo(harmless(f"{row['domain']:<24} {_ago(row['last_ok_at'])}{error}"))
        for what, count in row["deviations"].items():
            click.echo(harmless(f"  {what} ({count})"))
    if not rows:
        click.echo(f"none yet: add one to {folder / CONFIG_NAME}")


async def _peers(folder: Path, listed: Sequence[str]) -> list[dict[str, Any]]:
    store = open_store(folder)
    try:
        known = {peer.domain: peer for peer in await store.peers()}
        rows = []
        for domain in sorted({*known, *listed}):
            peer = known.get(domain)
            rows.append(
                {
                    "domain": domain,
                    "listed": domain in listed,
                    "last_ok_at": None if peer is None else peer.last_ok_at,
                    "last_error": "" if peer is None else peer.last_error,
                    "deviations": {
                        each.what: each.count for each in await store.deviations(domain)
                    },
                }
            )
        return rows
    finally:
        store.close()


@command.command("queue")
@click.option("--resume", metavar="DOMAIN", help="Let its stopped queues move again.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def queue(folder: Path, resume: str | None, *, as_json: bool) -> None:
    """Show what waits for other providers, and messages they refused for good."""
    load_provider_file(folder)
    found = asyncio.run(_queue(folder, resume))
    if as_json:
        click.echo(json.dumps(found))
        return
    for row in found["queues"]:
        click.echo(
            harmless(
                f"{row['follower']:<24} {row['state']:<12} {row['waiting']:>7}"
                f"  {row['room']}  {row['detail']}"
            )
        )
    for row in found["dead_letters"]:
        click.echo(
            harmless(f"refused  {row['follower']}  {row['room']}  {row['reason']}")
        )
    if not found["queues"]:
        click.echo("nothing waits")


async def _queue(folder: Path, resume: str | None) -> dict[str, Any]:
    store = open_store(folder)
    try:
        for each in await store.queues():
            if each.follower == resume and each.state is not QueueState.OPEN:
                await store.set_queue_state(
                    each.room,
                    each.follower,
                    QueueState.OPEN,
                    "",
                    now=SystemClock().now(),
                )
        dead = await store.dead_letters(count_max=DEAD_SHOWN)
        return {
            "queues": [_row(each) for each in await store.queues()],
            "dead_letters": [
                {
                    "room": each.room,
                    "follower": each.follower,
                    "octets": len(each.octets),
                    "reason": each.reason,
                    "died_at": each.died_at,
                }
                for each in dead
            ],
        }
    finally:
        store.close()


def _row(each: QueueRecord) -> dict[str, Any]:
    return {
        "room": each.room,
        "follower": each.follower,
        "state": each.state.value,
        "waiting": each.waiting,
        "attempts": each.attempts,
        "next_at": each.next_at,
        "detail": each.detail,
    }


def _show(found: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(found))
        return
    for name, value in found.items():
        shown = "unknown" if value is None else value
        click.echo(f"{name.replace('_', ' '):<24} {shown}")


def _ago(at: int | None) -> str:
    if at is None:
        return "never answered"
    seconds = max(0, SystemClock().now() - at) // 1_000
    return f"answered {seconds} s ago"

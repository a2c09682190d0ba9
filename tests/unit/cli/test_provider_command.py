"""`sabir provider`: from nothing to two providers that know each other."""

import asyncio
import http.client
import json
import signal
import socket
import sqlite3
import ssl
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from sabir.cli.main import main
from sabir.clock import Instant
from sabir.provider.agent_api.tokens import digest_of
from sabir.storage.provider.records import (
    EventKind,
    HostedRoom,
    NewMessage,
    QueueState,
    RoomCommit,
    RoomPhase,
)
from sabir.storage.sqlite.provider.store import SqliteProviderStore

ROOM = "mimi://a.example/r/x"


class ProviderShell:
    """The commands over one data directory."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder = folder
        self._capsys = capsys

    def __call__(self, *arguments: str) -> str:
        main(["provider", "--data-dir", str(self.folder), *arguments])
        return self._capsys.readouterr().out

    def json(self, *arguments: str) -> Any:
        return json.loads(self(*arguments, "--json"))

    def fails(self, *arguments: str) -> str:
        with pytest.raises(SystemExit) as caught:
            self(*arguments)
        assert caught.value.code == 2
        return " ".join(self._capsys.readouterr().err.split())


@pytest.fixture
def provider(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> ProviderShell:
    return ProviderShell(tmp_path / "a", capsys)


def test_from_nothing_to_a_certificate(provider: ProviderShell) -> None:
    assert "sabir provider up" in provider("init", "a.example")
    provider("ca")
    assert "a.example" in provider("cert")
    modes = {
        file.name: file.stat().st_mode & 0o777 for file in provider.folder.iterdir()
    }
    assert set(modes.values()) == {0o600}
    assert {"provider.toml", "provider.key", "provider.db", "ca.key"} < set(modes)
    key = (provider.folder / "provider.key").read_bytes()
    provider("init", "a.example")
    assert (provider.folder / "provider.key").read_bytes() == key
    status = provider.json("status")
    assert status == {
        "domain": "a.example",
        "users": 0,
        "rooms": 0,
        "queues": 0,
        "messages_waiting": 0,
        "queues_stopped": 0,
        "reports": 0,
        "certificate_days_left": 396,
    }
    assert "certificate days left    396" in provider("status")


def test_an_authority_is_not_replaced_and_a_certificate_is(
    provider: ProviderShell,
) -> None:
    provider("init", "a.example")
    provider("ca")
    assert "is there already" in provider.fails("ca")
    provider("cert")
    first = (provider.folder / "certificate.pem").read_bytes()
    provider("cert")
    assert (provider.folder / "certificate.pem").read_bytes() != first


def test_what_is_missing_is_named(provider: ProviderShell, tmp_path: Path) -> None:
    assert "sabir provider init" in provider.fails("status")
    assert "no DNS name" in provider.fails("init", "A.Example")
    provider("init", "a.example")
    assert "sabir provider ca" in provider.fails("cert")
    assert "ca.pem: No such file" in provider.fails("up")
    provider("ca")
    assert "certificate.pem cannot be used" in provider.fails("up")
    (provider.folder / "provider.key").unlink()
    assert "backup" in provider.fails("up")
    (provider.folder / "provider.key").write_bytes(b"short")
    assert "32 octets" in provider.fails("up")
    assert provider.json("status")["certificate_days_left"] is None
    foreign = tmp_path / "foreign"
    foreign.mkdir()
    (foreign / "ca.pem").write_text("x")
    (foreign / "ca.key").write_text("x")
    assert "make a new authority" in provider.fails("cert", "--ca", str(foreign))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("domain = 1", "domain: must be text"),
        ('domain = "A"', "domain: must be a DNS name"),
        ("", "domain: is required"),
        ('domain = "a.example"\nlisten = "x"', "listen: must be host:port"),
        ('domain = "a.example"\nlisten = "x:99999"', "listen: must be host:port"),
        ('domain = "a.example"\nagents = "x"', "agents: must be host:port"),
        ('domain = "a.example"\nshared = 1', "shared: must be a flag"),
        ('domain = "a.example"\nblocked = "b"', "blocked: must be a list of texts"),
        ('domain = "a.example"\nfederation = "x"', "must be one of allowlist, open"),
        ('domain = "a.example"\npeers = 1', "peers: must be a table"),
        ('domain = "a.example"\ntypo = 1', "typo: unknown"),
        ('domain = "a.example"\n[peers."B"]', "must be named by its domain"),
        ('domain = "a.example"\npeers."b.example" = 1', "must be a table"),
        ('domain = "a.example"\n[peers."b.example"]\nx = 1', ".x: unknown"),
        (
            'domain = "a.example"\n[peers."b.example"]\nurl = "http://b"',
            "url: must be like",
        ),
        (
            'domain = "a.example"\n[peers."b.example"]\nurl = "https://b:x"',
            "url: must be like",
        ),
        (
            'domain = "a.example"\n[peers."b.example"]\npinned = "none.pem"',
            "none.pem cannot be used",
        ),
        ("domain = ", "Invalid value"),
    ],
)
def test_every_problem_of_the_file_is_named(
    provider: ProviderShell, text: str, said: str
) -> None:
    provider.folder.mkdir()
    (provider.folder / "provider.toml").write_text(text)
    assert said in provider.fails("status")


def test_a_pinned_authority_must_issue_itself(provider: ProviderShell) -> None:
    provider("init", "a.example")
    provider("ca")
    provider("cert")
    for pinned, good in (("ca.pem", True), ("certificate.pem", False)):
        (provider.folder / "provider.toml").write_text(
            f'domain = "a.example"\n[peers."b.example"]\npinned = "{pinned}"'
        )
        if good:
            provider("status")
        else:
            assert "path length 0" in provider.fails("status")


async def _fill(folder: Path) -> None:
    store = SqliteProviderStore.open(folder / "provider.db")
    now = Instant(1_700_000_000_000)
    await store.reserve(
        HostedRoom(room=ROOM, hub="a.example", phase=RoomPhase.OPEN), now=now
    )
    for text in (b"one", b"two"):
        message = NewMessage(
            accepted_at=now,
            digest=text,
            kind=EventKind.MESSAGE,
            octets=text,
            followers=frozenset({"b.example"}),
        )
        await store.commit(
            RoomCommit(room=ROOM, last_at=now, messages=(message,)), now=now
        )
    await store.batch(ROOM, "b.example", count_max=1, octets_max=10)
    await store.batch_died(ROOM, "b.example", "status 400", now=now)
    await store.set_queue_state(
        ROOM, "b.example", QueueState.PAUSED, "status 403", now=now
    )
    await store.peer_result("b.example", "", now=now)
    await store.deviates("b.example", "notify answers 202", now=now)
    store.close()


def test_peers_and_queues_are_shown_and_resumed(provider: ProviderShell) -> None:
    provider("init", "a.example")
    assert "none yet" in provider("peers")
    assert "nothing waits" in provider("queue")
    with (provider.folder / "provider.toml").open("a") as file:
        file.write('[peers."c.example"]\n')
    asyncio.run(_fill(provider.folder))
    b, c = provider.json("peers")
    assert (b["domain"], b["listed"], b["deviations"]) == (
        "b.example",
        False,
        {"notify answers 202": 1},
    )
    assert (c["domain"], c["listed"], c["last_ok_at"]) == ("c.example", True, None)
    shown = provider("peers")
    assert "never answered" in shown
    assert "notify answers 202 (1)" in shown
    found = provider.json("queue")
    assert [each["state"] for each in found["queues"]] == ["paused"]
    assert [each["octets"] for each in found["dead_letters"]] == [3]
    assert "refused  b.example" in provider("queue")
    resumed = provider.json("queue", "--resume", "b.example")
    assert [each["state"] for each in resumed["queues"]] == ["open"]


def _free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def _challenge(port: int, roots: Path, account_token: str) -> Any:
    """Ask a running provider, as the agent of a new device does."""
    context = ssl.create_default_context(cafile=str(roots))
    context.check_hostname = False  # it is a.example's, and we go by its number
    connection = http.client.HTTPSConnection("127.0.0.1", port, context=context)
    body = json.dumps({"account_token": account_token})
    connection.request("POST", "/agent/v1/challenges", body)
    response = connection.getresponse()
    assert response.status == 200
    found = json.loads(response.read())
    connection.close()
    return found


def test_users_are_added_listed_and_removed(provider: ProviderShell) -> None:
    provider("init", "a.example")
    assert "none yet" in provider("user", "list")
    said = provider("user", "add", "ann")
    token = said.partition("account token")[2].split()[0]
    made = provider.json(
        "user", "add", "ben", "--email", "ben@a.example", "--phone", "+4312345"
    )
    ann, ben = asyncio.run(_users_of(provider.folder, token, made["account_token"]))
    assert ann is not None
    assert ann in said
    assert ben == made["user"]
    rows = provider.json("user", "list")
    assert sorted(row["handle"] for row in rows) == ["ann", "ben"]
    assert [row["devices"] for row in rows] == [0, 0]
    assert token not in json.dumps(rows)
    assert "ann  " in provider("user", "list")
    assert made["user"] in provider("user", "remove", "ben")
    assert ann in provider("user", "remove", ann)
    assert provider.json("user", "list") == []
    after = asyncio.run(_users_of(provider.folder, token, made["account_token"]))
    assert after == [None, None]


async def _users_of(folder: Path, *tokens: str) -> list[str | None]:
    store = SqliteProviderStore.open(folder / "provider.db")
    found = [await store.user_of_token(digest_of(token)) for token in tokens]
    store.close()
    return found


def test_users_that_cannot_be_are_refused(
    provider: ProviderShell, capsys: pytest.CaptureFixture[str]
) -> None:
    provider("init", "a.example")
    provider("user", "add", "ann")
    with pytest.raises(SystemExit):
        provider("user", "add", "ann")
    assert 'there is a user "ann"' in " ".join(capsys.readouterr().err.split())
    assert "no handle" in provider.fails("user", "add", "Ann")
    assert "no email" in provider.fails("user", "add", "cy", "--email", "cy")
    assert "no phone" in provider.fails("user", "add", "cy", "--phone", "12")
    assert "user list" in provider.fails("user", "remove", "cy")


def test_two_processes_find_each_other(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One queue of the first leads to the second, which refuses an unknown room."""
    *free, for_agents, other_agents = _free_ports(4)
    ports = dict(zip(("a.example", "b.example"), free, strict=True))
    agents = dict(zip(ports, (for_agents, other_agents), strict=True))
    shells = {name: ProviderShell(tmp_path / name, capsys) for name in ports}
    for name, shell in shells.items():
        other = next(each for each in ports if each != name)
        shell(
            "init",
            name,
            *("--listen", f"127.0.0.1:{ports[name]}"),
            *("--agents", f"127.0.0.1:{agents[name]}"),
        )
        with (shell.folder / "provider.toml").open("a") as file:
            file.write(f'[peers."{other}"]\nurl = "https://127.0.0.1:{ports[other]}"\n')
    shells["a.example"]("ca")
    for shell in shells.values():
        shell("cert", "--ca", str(tmp_path / "a.example"))
    asyncio.run(_fill(tmp_path / "a.example"))
    shells["a.example"]("queue", "--resume", "b.example")
    command = [sys.executable, "-m", "sabir.cli", "provider", "--data-dir"]
    processes = [
        subprocess.Popen([*command, str(shell.folder), "up"], stderr=subprocess.DEVNULL)
        for shell in reversed(shells.values())
    ]
    try:
        state = ""
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline and not state.startswith("status"):
            time.sleep(0.1)
            database = sqlite3.connect(tmp_path / "a.example" / "provider.db")
            rows = database.execute("SELECT reason FROM dead_letters").fetchall()
            database.close()
            state = rows[-1][0] if len(rows) > 1 else ""
        assert state == "status 400", "`two` is no FanoutMessage"
        assert "runs already" in shells["a.example"].fails("up")
        made = shells["a.example"].json("user", "add", "ann")
        roots = tmp_path / "a.example" / "ca.pem"
        found = _challenge(for_agents, roots, made["account_token"])
        assert found["user"] == made["user"]
    finally:
        for process in processes:
            process.send_signal(signal.SIGTERM)
        assert [process.wait(20) for process in processes] == [0, 0]

"""`sabir account`: logins come, are listed without their secrets, and go."""

import json
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from sabir.cli import account_command
from tests.unit.cli.shell import CANARY, Result, Shell, closed_port, matrix_account

PASSWORD = "canary-password-55c0"


@asynccontextmanager
async def homeserver() -> AsyncIterator[str]:
    """Be a homeserver that takes one password and gives the canary as token."""

    async def login(request: web.Request) -> web.Response:
        body = await request.json()
        if body["password"] != PASSWORD:
            no = {"errcode": "M_FORBIDDEN", "error": "no"}
            return web.json_response(no, status=403)
        answer = {"user_id": "@ada:example.org", "access_token": CANARY}
        return web.json_response(answer)

    app = web.Application()
    app.router.add_post("/_matrix/client/v3/login", login)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


async def _add(sabir: Shell, url: str, password: str = PASSWORD) -> Result:
    file = sabir.folder / "password"
    file.write_text(password)
    return await sabir.asks(
        "account",
        "add",
        "work",
        "matrix",
        "--set",
        "kind=account",
        "--set",
        "user_id=@ada:example.org",
        "--set",
        f"homeserver_url={url}",
        "--secret-file",
        f"password={file}",
    )


@pytest.fixture
def sabir(tmp_path: Path) -> Shell:
    made = Shell(tmp_path)
    assert made("init").code == 0
    return made


def _said(*results: Result) -> str:
    return "".join(result.out + result.err for result in results)


async def test_a_login_is_kept_listed_and_forgotten_and_its_secret_never_shown(
    sabir: Shell,
) -> None:
    async with homeserver() as url:
        added = await _add(sabir, url)
    assert added.code == 0, added.err
    assert "@ada:example.org" in added.out
    shown = await sabir.asks("account", "list")
    listed = await sabir.asks("account", "list", "--json")
    assert [(row["id"], row["network"], row["from"]) for row in listed.json] == [
        ("work", "matrix", "login")
    ]
    assert listed.json[0]["settings"]["user_id"] == "@ada:example.org"
    others = [
        await sabir.asks(*arguments.split())
        for arguments in ("status", "status --json", "log --json", "doctor")
    ]
    assert not [each.err for each in others if each.code]
    removed = await sabir.asks("account", "remove", "work")
    assert removed.code == 0
    assert (await sabir.asks("account", "list", "--json")).json == []
    said = _said(added, shown, listed, *others, removed)
    assert CANARY not in said
    assert PASSWORD not in said


async def test_the_secret_is_not_readable_in_the_database(sabir: Shell) -> None:
    async with homeserver() as url:
        assert (await _add(sabir, url)).code == 0
    for file in sabir.folder.glob("sabir.db*"):
        octets = file.read_bytes()
        assert CANARY.encode() not in octets
        assert PASSWORD.encode() not in octets


async def test_a_refused_login_keeps_nothing_and_says_what_to_check(
    sabir: Shell,
) -> None:
    async with homeserver() as url:
        refused = await _add(sabir, url, "canary-wrong-password")
    assert refused.code == 4
    assert "check both" in refused.err
    assert "canary" not in refused.err
    assert (await sabir.asks("account", "list", "--json")).json == []


async def test_a_server_that_is_not_there_keeps_nothing(sabir: Shell) -> None:
    gone = await _add(sabir, f"http://127.0.0.1:{closed_port()}")
    assert gone.code == 3
    assert "homeserver_url" in gone.err
    assert (await sabir.asks("account", "list", "--json")).json == []


async def test_the_same_login_again_renews_it(sabir: Shell) -> None:
    async with homeserver() as url:
        assert (await _add(sabir, url)).code == 0
        assert (await _add(sabir, url)).code == 0
    assert len((await sabir.asks("account", "list", "--json")).json) == 1


@pytest.mark.parametrize("wrong", ["Work", "1st", "a b", "x" * 33, "näme"])
def test_an_id_that_could_not_stand_in_a_command_is_refused_first(
    sabir: Shell, wrong: str
) -> None:
    result = sabir("account", "add", wrong, "matrix")
    assert result.code == 2
    assert "a-z" in result.err


def test_a_name_from_the_configuration_is_not_taken_twice(tmp_path: Path) -> None:
    sabir = Shell(tmp_path, matrix_account(tmp_path))
    assert sabir("init").code == 0
    for command in (["add", "work", "matrix"], ["remove", "work"]):
        result = sabir("account", *command)
        assert result.code == 2
        assert "sabir.toml" in result.err
        assert "section" in result.err
    listed = sabir("account", "list", "--json")
    assert [row["from"] for row in listed.json] == ["sabir.toml"]
    assert CANARY not in listed.out


def _no_dialogue(*_: Any) -> Any:
    raise AssertionError("the login was begun")


def test_nobody_logs_in_when_the_login_could_not_be_kept(
    sabir: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(account_command, "run_login", _no_dialogue)
    (sabir.folder / "key").rename(sabir.folder / "key.away")
    result = sabir("account", "add", "work", "matrix")
    assert result.code == 2
    assert "There is no key" in result.err


async def test_logins_are_listed_even_when_their_secrets_cannot_be_opened(
    sabir: Shell,
) -> None:
    async with homeserver() as url:
        assert (await _add(sabir, url)).code == 0
    (sabir.folder / "key").unlink()
    assert len((await sabir.asks("account", "list", "--json")).json) == 1


async def test_another_network_does_not_take_an_accounts_name(sabir: Shell) -> None:
    async with homeserver() as url:
        assert (await _add(sabir, url)).code == 0
    result = await sabir.asks("account", "add", "work", "xmpp")
    assert result.code == 2
    assert "sabir account remove work" in result.err


def test_an_account_that_is_not_there_is_said(sabir: Shell) -> None:
    result = sabir("account", "remove", "nobody")
    assert result.code == 2
    assert "sabir account list" in result.err
    assert "sabir account add" in sabir("account", "list").out


async def test_an_account_with_open_links_stays(sabir: Shell) -> None:
    async with homeserver() as url:
        assert (await _add(sabir, url)).code == 0
    with sqlite3.connect(sabir.folder / "sabir.db") as database:
        database.execute(
            "INSERT INTO rooms (id, name, created_at) VALUES ('mimi://x/r/1', '', 0)"
        )
        database.execute(
            "INSERT INTO portals (room, account, chat, cursor, created_at)"
            " VALUES ('mimi://x/r/1', 'work', '!r:example.org', 0, 0)"
        )
    database.close()
    result = await sabir.asks("account", "remove", "work")
    assert result.code == 2
    assert "sabir unlink" in result.err
    assert json.loads((await sabir.asks("account", "list", "--json")).out)

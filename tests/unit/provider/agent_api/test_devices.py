"""How devices get in, stay in, and get out."""

import os
from typing import Any

import aiohttp
import pytest

from sabir.crypto.signatures import signature_key_pair
from sabir.mimi.agent_api import paths
from sabir.mimi.agent_api.events import EventType
from sabir.mimi.agent_api.forms import Octets, decode_form
from sabir.mimi.agent_api.registration import (
    ChallengeRequest,
    DeviceList,
    TokenRequest,
    sign_refresh,
    sign_registration,
)
from sabir.mimi.problems import Problem, ProblemCode
from sabir.provider.agent_api import devices as registration
from sabir.provider.agent_api.challenges import (
    CHALLENGE_MS,
    CHALLENGES_MAX,
    Challenges,
)
from sabir.provider.agent_api.tokens import ACCESS_MS, REFRESH_MS, Tokens, digest_of
from sabir.storage.provider.records import DeviceRecord, TokenPurpose
from sabir.storage.sqlite.provider.store import SqliteProviderStore
from sabir.testing.clock import VirtualClock
from tests.unit.provider.agent_api.phone import (
    S,
    Street,
    register,
    try_to_register,
)
from tests.unit.provider.town import Site


def new_key() -> tuple[bytes, bytes]:
    return signature_key_pair(S, os.urandom(S.signature.private_octets))


# ---- getting in


async def test_a_device_gets_in_and_its_siblings_hear_of_it(
    street: Street, a: Site
) -> None:
    account = await street.account(a, "ann")
    phone = await street.phone(a, account)
    laptop = await street.phone(a, account, "laptop")
    assert phone.user == laptop.user == "mimi://a.example/u/ann"
    assert phone.device.startswith("mimi://a.example/d/ann/")
    assert phone.device != laptop.device
    (event,) = await phone.poll()
    assert (event.type, event.device_uri) == (EventType.DEVICE_ADDED, laptop.device)
    assert await laptop.poll() == []
    found = decode_form((await laptop.get(paths.DEVICES)).body, DeviceList).devices
    assert [(each.device_uri, each.name, each.current) for each in found] == [
        (phone.device, "phone", False),
        (laptop.device, "laptop", True),
    ]


async def test_the_same_key_is_the_same_device_with_new_tokens(
    street: Street, a: Site
) -> None:
    account, line = await street.account(a, "ann"), street.line(a)
    private, public = new_key()
    first = await register(line, account, private, public)
    again = await register(line, account, private, public)
    assert again.device_uri == first.device_uri
    assert again.credential == first.credential
    for token, status in ((first.token, 401), (again.token, 200)):
        assert (await line.ask("GET", paths.DEVICES, token=token)).status == status


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"account_token": "nobody's"}, "unauthorized"),
        ({"signature": Octets(bytes(64))}, "unauthorized"),
        ({"signature": Octets(b"")}, "unauthorized"),
        ({"signature_key": Octets(b"short")}, "unauthorized"),
        ({"signature_key": Octets(bytes(32))}, "unauthorized"),
        ({"challenge": Octets(bytes(32))}, "unauthorized"),
        ({"suite": 2}, "not-allowed"),
    ],
)
async def test_who_does_not_prove_it_stays_out(
    street: Street, a: Site, changed: dict[str, Any], code: str
) -> None:
    account, line = await street.account(a, "ann"), street.line(a)
    reply = await try_to_register(line, account, *new_key(), **changed)
    assert reply.problem == code
    assert await a.store.devices_of("mimi://a.example/u/ann") == []


async def test_a_challenge_is_answered_once(street: Street, a: Site) -> None:
    account, line = await street.account(a, "ann"), street.line(a)
    found = await line.challenge(account)
    changed: dict[str, Any] = {"challenge": found.challenge}
    first = await try_to_register(line, account, *new_key(), **changed)
    assert first.problem == "unauthorized", "the signature was for another one"
    private, public = new_key()
    signature = Octets(sign_registration(S, private, found.challenge, found.user))
    spent = await try_to_register(
        line, account, private, public, signature=signature, **changed
    )
    assert spent.problem == "unauthorized"


async def test_a_user_has_so_many_devices(
    street: Street, a: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registration, "DEVICES_MAX", 2)
    account, line = await street.account(a, "ann"), street.line(a)
    for _ in range(2):
        await register(line, account, *new_key())
    reply = await try_to_register(line, account, *new_key())
    assert reply.problem == "not-allowed"


async def test_a_challenge_says_whose_account_token_it_is(
    street: Street, a: Site
) -> None:
    account, line = await street.account(a, "ann"), street.line(a)
    assert (await line.challenge(account)).user == "mimi://a.example/u/ann"
    assert (await line.challenge()).user == ""
    reply = await line.ask("POST", paths.CHALLENGES, b'{"account_token": "x"}')
    assert reply.problem == "unauthorized"


async def test_strangers_ask_so_often(scarce: int, street: Street, a: Site) -> None:
    line = street.line(a)
    for _ in range(scarce):
        await line.challenge()
    reply = await line.ask("POST", paths.CHALLENGES, b"{}")
    assert reply.problem == "rate-limited"
    assert int(reply.headers["retry-after"]) >= 1


# ---- tokens


async def test_a_refreshed_token_replaces_the_one_before(
    street: Street, a: Site
) -> None:
    phone = await street.resident(a, "ann")
    old = phone.line.token
    await phone.refresh()
    assert (await phone.get(paths.DEVICES)).status == 200
    reply = await phone.line.ask("GET", paths.DEVICES, token=old)
    assert reply.problem == "unauthorized"
    assert reply.headers["www-authenticate"] == "Bearer"
    await phone.refresh()


async def test_a_refresh_is_signed_by_the_device(street: Street, a: Site) -> None:
    phone = await street.resident(a, "ann")
    other = await street.resident(a, "eve")
    challenge = (await phone.line.challenge()).challenge
    request = TokenRequest(
        refresh_token=phone.refresh_token,
        challenge=challenge,
        signature=Octets(sign_refresh(S, other.private, challenge, phone.device)),
    )
    assert (await phone.line.ask("POST", paths.TOKEN, request)).problem == (
        "unauthorized"
    )
    unknown = TokenRequest(
        refresh_token="x", challenge=challenge, signature=Octets(b"")
    )
    assert (await phone.line.ask("POST", paths.TOKEN, unknown)).problem == (
        "unauthorized"
    )
    assert (await phone.get(paths.DEVICES)).status == 200, "the old one is still good"


async def test_a_token_is_in_the_field_and_nowhere_else(
    street: Street, a: Site
) -> None:
    phone = await street.resident(a, "ann")
    token = phone.line.token
    for path in (
        f"{paths.DEVICES}?access_token={token}",
        f"{paths.DEVICES}?token={token}",
    ):
        assert (await phone.line.ask("GET", path, token="")).problem == "unauthorized"
    for wrong in ("", "Basic", token + "x", phone.refresh_token):
        reply = await phone.line.ask("GET", paths.DEVICES, token=wrong)
        assert reply.problem == "unauthorized"


async def test_the_database_has_no_token(street: Street, a: Site) -> None:
    account = await street.account(a, "ann")
    phone = await street.phone(a, account)
    await phone.refresh()
    found = b"".join(
        file.read_bytes() for file in a.config.data_dir.glob("provider.db*")
    )
    assert digest_of(phone.line.token) in found
    for token in (account, phone.line.token, phone.refresh_token):
        assert token.encode() not in found


async def test_tokens_end(tmp_path: Any) -> None:
    clock = VirtualClock()
    store = SqliteProviderStore.open(tmp_path / "provider.db")
    tokens = Tokens(store, clock, os.urandom)
    made, stored = tokens.fresh()
    device = "mimi://a.example/d/ann/1"
    await store.add_user("mimi://a.example/u/ann", b"", now=clock.now())
    record = DeviceRecord(
        device=device,
        user="mimi://a.example/u/ann",
        name="phone",
        suite=1,
        signature_key=b"",
        created_at=clock.now(),
    )
    await store.add_device(record, stored)
    digest = digest_of(made.access)
    for passed, there in ((ACCESS_MS - 1, True), (1, False)):
        await clock.advance(passed)
        found = await store.device_of_token(
            digest, TokenPurpose.ACCESS, now=clock.now()
        )
        assert (found is not None) == there
    await clock.advance(REFRESH_MS - ACCESS_MS - 1)
    await tokens.device_of_refresh(made.refresh)
    await tokens.refreshed(device, made.refresh)
    await clock.advance(REFRESH_MS - 1)
    await tokens.device_of_refresh(made.refresh)
    await clock.advance(1)
    with pytest.raises(Problem) as caught:
        await tokens.device_of_refresh(made.refresh)
    assert caught.value.problem is ProblemCode.UNAUTHORIZED
    assert made.access not in repr(made)
    store.close()


async def test_challenges_end_and_are_so_many() -> None:
    clock = VirtualClock()
    challenges = Challenges(clock, os.urandom)
    (first, _), (second, expires_at) = challenges.make(), challenges.make()
    await clock.advance(CHALLENGE_MS - 1)
    challenges.spend(first)
    await clock.advance(1)
    assert clock.now() == expires_at
    with pytest.raises(Problem):
        challenges.spend(second)
    (oldest, _), *_ = [challenges.make() for _ in range(CHALLENGES_MAX + 1)]
    with pytest.raises(Problem):
        challenges.spend(oldest)


# ---- getting out


async def test_a_device_is_removed_by_a_sibling_and_cut_off(
    street: Street, a: Site
) -> None:
    account = await street.account(a, "ann")
    phone = await street.phone(a, account)
    laptop = await street.phone(a, account, "laptop")
    path = paths.path(paths.DEVICE, device=laptop.device)
    async with laptop.socket(0) as socket:
        assert (await phone.delete(path)).status == 204
        message = await socket.receive(timeout=5)
        assert message.type is aiohttp.WSMsgType.CLOSE
        assert socket.close_code == aiohttp.WSCloseCode.POLICY_VIOLATION
    assert (await laptop.get(paths.DEVICES)).problem == "unauthorized"
    await phone.poll()
    assert (phone.events[-1].type, phone.events[-1].device_uri) == (
        EventType.DEVICE_REMOVED,
        laptop.device,
    )
    assert (await phone.delete(path)).problem == "not-found"


async def test_nobody_removes_other_peoples_devices(street: Street, a: Site) -> None:
    ann, eve = await street.resident(a, "ann"), await street.resident(a, "eve")
    reply = await eve.delete(paths.path(paths.DEVICE, device=ann.device))
    assert reply.problem == "not-found"
    assert (await ann.get(paths.DEVICES)).status == 200


async def test_a_user_that_is_deleted_is_out_at_once(street: Street, a: Site) -> None:
    account = await street.account(a, "ann")
    phone = await street.phone(a, account)
    await a.store.delete_user(phone.user)
    assert (await phone.get(paths.DEVICES)).problem == "unauthorized"
    body = ChallengeRequest(account_token=account)
    reply = await phone.line.ask("POST", paths.CHALLENGES, body, token="")
    assert reply.problem == "unauthorized"

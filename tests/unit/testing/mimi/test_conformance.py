"""A provider checked from outside: ours keeps every line, a broken one is found out."""

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import pytest

from sabir.cli.main import main
from sabir.mimi.codepoints import GroupInfoCode, KeyMaterialUserCode, QueryCode
from sabir.mimi.directory import Endpoint
from sabir.mimi.problems import Problem, ProblemCode
from sabir.mimi.structs.group_info import GroupInfoRefused
from sabir.mimi.structs.key_material import (
    KeyMaterialRequest,
    KeyMaterialResponse,
    decode_key_material_request,
    verify_request,
)
from sabir.mimi.structs.query import IdentifierResponse
from sabir.provider import admission, http, listener, provider, tls
from sabir.provider.admission import Admission
from sabir.provider.config import Federation as Mode
from sabir.provider.federation import Call, Federation, Service
from sabir.provider.http import Answer, Exchange, Router
from sabir.provider.rates import RateLimit
from sabir.provider.services import Services, our_services
from sabir.testing.mimi.conformance.examine import examine
from sabir.testing.mimi.conformance.finding import Verdict
from sabir.testing.mimi.conformance.visit import Card, Plan, Visit
from sabir.testing.mls.seeded import SeededEnv
from sabir.wire.errors import Malformed
from tests.unit.provider.town import Authority, Site, Town, client_tls

KNOWN = "mimi://a.example/u/somebody-who-is-there"
FLOOD = 400
F = TypeVar("F", bound=Callable[..., Any])


@pytest.fixture
async def town(tmp_path: Path) -> AsyncIterator[Town]:
    async with AsyncExitStack() as stack:
        yield Town(tmp_path, stack)


def card(town: Town, domain: str) -> Card:
    identity = town.authority.identity(domain)
    return Card(domain=domain, tls=lambda: client_tls(identity, town.authority.roots))


def visit(town: Town, site: Site, **more: Any) -> Visit:
    settings: dict[str, Any] = {
        "domain": site.domain,
        "card": card(town, "b.example"),
        "nobody": lambda: client_tls(None, town.authority.roots),
        "stranger": card(town, "c.example"),
        "address": (site.address.host, site.address.port),
        "known_user": KNOWN,
        "flood": FLOOD,
    }
    plan = Plan(**{**settings, **more})
    return Visit(plan=plan, env=SeededEnv(3), sleep=asyncio.sleep)


async def opened(town: Town, **more: Any) -> Site:
    site = await town.open("a.example", knows=("b.example",), **more)
    await site.store.add_user(KNOWN, b"token", now=town.clock.now())
    return site


async def test_our_provider_keeps_every_line(town: Town) -> None:
    site = await opened(town)
    found = await examine(visit(town, site))
    assert {f.number: f.evidence for f in found if f.verdict is not Verdict.KEPT} == {}
    assert len(found) >= 25
    numbers = [each.number for each in found]
    assert numbers[0] == "MC-005"
    assert numbers[-1] == "MC-011"


async def test_what_is_not_given_is_not_tried(town: Town) -> None:
    site = await opened(town)
    less = visit(town, site, stranger=None, known_user="", flood=0)
    found = await examine(less, only={"MC-008", "MC-013", "MC-019"})
    assert {f.number for f in found if f.verdict is Verdict.NOT_RUN} == {
        "MC-008",
        "MC-013",
        "MC-019",
    }


# ---- providers that are broken on purpose


@dataclass(frozen=True)
class Fault:
    """What is wrong, which line sees it, and what it sees."""

    number: str
    seen: str
    plant: Callable[[pytest.MonkeyPatch], dict[str, Any]]

    def __str__(self) -> str:
        return f"{self.number}-{self.plant.__name__}"


FAULTS: list[Fault] = []


def fault(number: str, seen: str) -> Callable[[F], F]:
    def enter(plant: F) -> F:
        FAULTS.append(Fault(number, seen, plant))
        return plant

    return enter


Patch = pytest.MonkeyPatch
Wrap = Callable[[Service], Service]


def serving(**wraps: Wrap | None) -> dict[str, Any]:
    """Wrap services by the names of their endpoints; None takes one away."""

    def services(all_of_them: Services) -> Mapping[Endpoint, Service]:
        found = dict(our_services(all_of_them))
        for name, wrap in wraps.items():
            endpoint = Endpoint[name]
            service = found.pop(endpoint)
            if wrap is not None:
                found[endpoint] = wrap(service)
        return found

    return {"services": services}


def always(answer: bytes | Answer) -> Wrap:
    async def serve(_: Call) -> bytes | Answer:
        return answer

    return lambda _: serve


@fault("MC-001", "without a certificate: 200")
def nobody_is_let_in(patch: Patch) -> dict[str, Any]:
    admit = Admission.admit

    def careless(self: Admission, exchange: Exchange) -> str:
        return "b.example" if exchange.peer is None else admit(self, exchange)

    patch.setattr(Admission, "admit", careless)
    return {"shared": True}


@fault("D-02", "a handshake with TLS 1.2")
def old_tls(patch: Patch) -> dict[str, Any]:
    make = tls.server_context

    def lower(*args: Any, **more: Any) -> ssl.SSLContext:
        context = make(*args, **more)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        return context

    patch.setattr(provider, "server_context", lower)
    return {}


@fault("MC-002", "From somebody-else.example: 200")
def whoever_says_so(patch: Patch) -> dict[str, Any]:
    patch.setattr(
        Admission, "admit", lambda _, exchange: admission.source_domain(exchange)
    )
    return {}


@fault("MC-004", "From []: 200")
def any_form_of_from(patch: Patch) -> dict[str, Any]:
    patch.setattr(admission, "source_domain", lambda _: "b.example")
    return {}


@fault("D-03", "Host somebody-else.example: 200")
def any_host(patch: Patch) -> dict[str, Any]:
    patch.setattr(Admission, "check_host", lambda *_: None)
    return {}


@fault("D-06", "GET: 400 malformed-body instead of 405")
def methods_are_not_told_apart(patch: Patch) -> dict[str, Any]:
    find = Router.find

    def careless(self: Router, method: str, path: str) -> Any:
        return find(self, "POST" if path.startswith("/v1/") else method, path)

    patch.setattr(Router, "find", careless)
    return {}


@fault("MC-005", "not offered: update")
def an_endpoint_is_missing(_: Patch) -> dict[str, Any]:
    return serving(UPDATE=None)


@fault("MC-007", "encoded twice: 200")
def paths_are_decoded_twice(patch: Patch) -> dict[str, Any]:
    once = http.decode_once
    patch.setattr(http, "decode_once", lambda segment: once(once(segment)))
    return {}


@fault("MC-007", "path and body of two users: 200")
def the_body_is_believed_and_not_the_path(_: Patch) -> dict[str, Any]:
    def wrap(service: Service) -> Service:
        async def serve(call: Call) -> Any:
            request = decode_key_material_request(call.body)
            return await service(replace(call, about=request.target_user))

        return serve

    return serving(KEY_MATERIAL=wrap)


@fault("MC-008", "c.example: 408 request-timeout instead of 403")
def everybody_is_a_peer(_: Patch) -> dict[str, Any]:
    return {"federation": Mode.OPEN}


@fault("MC-009", "identifierQuery, trailing octet: 200")
def trailing_octets_are_ignored(_: Patch) -> dict[str, Any]:
    def wrap(service: Service) -> Service:
        async def serve(call: Call) -> Any:
            try:
                return await service(call)
            except Malformed:
                return await service(replace(call, body=call.body[:-1]))

        return serve

    return serving(IDENTIFIER_QUERY=wrap)


@fault("MC-009", "keyMaterial, 65537 octets: 408")
def bodies_of_any_size(patch: Patch) -> dict[str, Any]:
    body = Exchange.body
    patch.setattr(http, "REQUEST_S", 0.1)
    patch.setattr(Exchange, "body", lambda self, _: body(self, 1 << 40))
    return {}


@fault("MC-010", "submitMessage, protocol 9: 400")
def only_one_protocol_is_read(_: Patch) -> dict[str, Any]:
    def wrap(service: Service) -> Service:
        async def serve(call: Call) -> Any:
            if call.body[:1] != b"\1":
                raise Malformed("MIMI-004", "protocol")
            return await service(call)

        return serve

    return serving(SUBMIT_MESSAGE=wrap)


@fault("MC-011", "Content-Type text/plain")
def errors_are_plain_text(patch: Patch) -> dict[str, Any]:
    def plain(problem: Problem) -> Answer:
        return Answer(
            status=problem.problem.status, body=b"no", content_type="text/plain"
        )

    patch.setattr(listener, "problem_answer", plain)
    return {}


@fault("MC-011", "repeats 1 identifiers")
def errors_repeat_who_was_asked_for(_: Patch) -> dict[str, Any]:
    def wrap(_: Service) -> Service:
        async def serve(call: Call) -> Any:
            raise Problem(ProblemCode.NOT_FOUND, f"there is no {call.about}")

        return serve

    return serving(GROUP_INFO=wrap)


@fault("MC-012", "mimi99-z: 200")
def any_profile_will_do(patch: Patch) -> dict[str, Any]:
    patch.setattr(admission, "_check_profile", lambda _: None)
    return {}


@fault("MC-013", "400 at once and none was held back")
def nobody_is_held_back(patch: Patch) -> dict[str, Any]:
    patch.setattr(RateLimit, "spend", lambda *_, **__: None)
    return {}


@fault("MC-013", "Retry-After ['']")
def nobody_says_when_to_come_again(patch: Patch) -> dict[str, Any]:
    spend = RateLimit.spend

    def curt(self: RateLimit, *args: Any, **more: Any) -> None:
        try:
            spend(self, *args, **more)
        except Problem:
            raise Problem(ProblemCode.RATE_LIMITED) from None

    patch.setattr(RateLimit, "spend", curt)
    return {}


@fault("MC-015", "500 internal")
def broken_bodies_crash_it(_: Patch) -> dict[str, Any]:
    def wrap(service: Service) -> Service:
        async def serve(call: Call) -> Any:
            try:
                return await service(call)
            except Malformed as wrong:
                raise RuntimeError("a bug") from wrong

        return serve

    return serving(GROUP_INFO=wrap)


@fault("MC-016", "bad signature: code 3")
def signatures_are_not_checked(_: Patch) -> dict[str, Any]:
    def wrap(service: Service) -> Service:
        async def serve(call: Call) -> Any:
            request = decode_key_material_request(call.body)
            if isinstance(request, KeyMaterialRequest) and not verify_request(request):
                return KeyMaterialResponse(
                    status=KeyMaterialUserCode.NO_COMPATIBLE_MATERIAL,
                    user=call.about,
                ).encode()
            return await service(call)

        return serve

    return serving(KEY_MATERIAL=wrap)


@fault("MC-019", "the answers differ")
def who_exists_is_told(_: Patch) -> dict[str, Any]:
    def wrap(service: Service) -> Service:
        async def serve(call: Call) -> Any:
            if call.about == KNOWN:
                return await service(call)
            return KeyMaterialResponse(
                status=KeyMaterialUserCode.USER_UNKNOWN, user=call.about
            ).encode()

        return serve

    return serving(KEY_MATERIAL=wrap)


@fault("MC-032", "a Welcome: 200")
def any_handshake_is_well_formed(_: Patch) -> dict[str, Any]:
    return serving(UPDATE=always(b"\2\0"))


@fault("MC-059", "code 0")
def every_message_is_accepted(_: Patch) -> dict[str, Any]:
    return serving(SUBMIT_MESSAGE=always(b"\1\0" + bytes(8) + b"\0"))


@fault("MC-067", "a handshake as PrivateMessage: 201")
def any_fan_out_is_taken(_: Patch) -> dict[str, Any]:
    return serving(NOTIFY=always(b""))


@fault("MC-068", "a room of somebody-else.example: 201")
def anybody_is_a_hub(patch: Patch) -> dict[str, Any]:
    about = Federation._about

    def careless(
        self: Federation, endpoint: Endpoint, source: str, exchange: Exchange
    ) -> str:
        if endpoint is Endpoint.NOTIFY:
            return exchange.variables[endpoint.variable]
        return about(self, endpoint, source, exchange)

    patch.setattr(Federation, "_about", careless)
    return serving(NOTIFY=always(b""))


@fault("MC-075", "different refusals")
def bad_signatures_are_told_apart(_: Patch) -> dict[str, Any]:
    codes = iter([GroupInfoCode.NO_SUCH_ROOM] + [GroupInfoCode.NOT_AUTHORIZED] * 99)

    def wrap(_: Service) -> Service:
        async def serve(call: Call) -> bytes:
            return GroupInfoRefused(room=call.about, code=next(codes)).encode()

        return serve

    return serving(GROUP_INFO=wrap)


@fault("MC-080", "request: 404 not-found instead of 201")
def unknown_users_are_404(_: Patch) -> dict[str, Any]:
    def wrap(_: Service) -> Service:
        async def serve(_: Call) -> bytes:
            raise Problem(ProblemCode.NOT_FOUND)

        return serve

    return serving(REQUEST_CONSENT=wrap)


@fault("MC-081", "2 octets with 201")
def a_withdrawal_has_a_body(_: Patch) -> dict[str, Any]:
    return serving(REQUEST_CONSENT=always(Answer(status=201, body=b"{}")))


@fault("MC-084", "HANDLE: code 0")
def everybody_can_be_listed(_: Patch) -> dict[str, Any]:
    listed = IdentifierResponse(code=QueryCode.SUCCESS, users=(KNOWN,))
    return serving(IDENTIFIER_QUERY=always(listed.encode()))


@fault("MC-089", "201 instead of 403")
def anybody_may_report(_: Patch) -> dict[str, Any]:
    return serving(REPORT_ABUSE=always(b""))


@fault("MC-090", "an unknown host: 200")
def anything_is_fetched(_: Patch) -> dict[str, Any]:
    return serving(PROXY_DOWNLOAD=always(b"root:x:0:0"))


def test_many_faults_are_planted() -> None:
    assert len(FAULTS) >= 30
    assert len({each.number for each in FAULTS}) >= 25


@pytest.mark.parametrize("planted", FAULTS, ids=str)
async def test_a_fault_is_found_by_its_line(
    town: Town, monkeypatch: pytest.MonkeyPatch, planted: Fault
) -> None:
    site = await opened(town, **planted.plant(monkeypatch))
    only = {planted.number}
    if planted.number == "MC-011":
        only |= {"MC-075", "MC-012"}  # so that there are errors to look at
    found = await examine(visit(town, site), only)
    seen = [
        each.evidence
        for each in found
        if each.number == planted.number and each.verdict is Verdict.BROKEN
    ]
    assert any(planted.seen in each for each in seen), found


async def test_a_bare_peer_may_do_otherwise_where_only_our_profile_says_so(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    any_profile_will_do(monkeypatch)
    site = await opened(town)
    directory = site.provider.directory
    monkeypatch.setattr(
        site.provider, "directory", lambda: replace(directory(), profiles=())
    )
    found = await examine(visit(town, site), only={"MC-012", "MC-002"})
    assert [each.verdict for each in found] == [
        Verdict.KEPT,
        Verdict.KEPT,
        Verdict.DEVIATES,
    ]
    assert found[0].evidence.endswith("a bare peer")


async def test_a_provider_that_is_not_there(town: Town) -> None:
    site = await opened(town)
    away = visit(town, site, address=("127.0.0.1", 1))
    first, *others = await examine(away)
    assert first.verdict is Verdict.BROKEN
    assert "no answer" in first.evidence
    assert {each.verdict for each in others} == {Verdict.NOT_RUN}


# ---- the command


async def run(town: Town, site: Site, *more: str) -> None:
    b = town.authority.identity("b.example")
    await asyncio.to_thread(
        main,
        [
            "conformance",
            "https://a.example",
            f"--certificate={b.certificate}",
            f"--key={b.key}",
            f"--roots={town.authority.roots}",
            f"--connect={site.address.host}:{site.address.port}",
            *more,
        ],
    )


async def test_the_command_prints_a_table(
    town: Town, capsys: pytest.CaptureFixture[str]
) -> None:
    site = await opened(town)
    c = town.authority.identity("c.example")
    await run(
        town,
        site,
        "--only=MC-008",
        f"--stranger-certificate={c.certificate}",
        f"--stranger-key={c.key}",
    )
    shown = capsys.readouterr().out
    assert "MC-005   kept" in shown
    assert "MC-008   kept" in shown
    assert "403 unknown-peer" in shown
    assert "Not to be seen from outside: MC-003" in shown


async def test_the_command_fails_where_the_provider_does(
    town: Town, capsys: pytest.CaptureFixture[str]
) -> None:
    site = await opened(town, **an_endpoint_is_missing(pytest.MonkeyPatch()))
    with pytest.raises(SystemExit) as caught:
        await run(town, site, "--only=MC-005", "--json")
    assert caught.value.code == 3
    captured = capsys.readouterr()
    (line,) = (each for each in captured.out.splitlines() if each.startswith("[{"))
    (row,) = json.loads(line)
    assert (row["number"], row["verdict"]) == ("MC-005", "broken")
    assert row["evidence"] == "not offered: update"
    assert "1 of 1 checks: MC-005" in captured.err


@pytest.mark.parametrize(
    ("url", "more", "said"),
    [
        ("http://a.example", (), "is not like https://"),
        ("https://a.example/x", (), "is not like https://"),
        ("https://[::1", (), "is not like https://"),
        ("https://a.example", ("--connect=8443",), "is not like 127.0.0.1:8443"),
        ("https://a.example", ("--key=b.pem",), "do not fit together"),
        ("https://a.example", ("--certificate=no.pem",), "cannot be used"),
        ("https://a.example", ("--roots=no.pem",), "cannot be used"),
        (
            "https://a.example",
            ("--stranger-certificate=b.pem",),
            "needs --stranger-key",
        ),
    ],
)
def test_what_cannot_be_used_is_named(
    town_folder: Path,
    capsys: pytest.CaptureFixture[str],
    url: str,
    more: tuple[str, ...],
    said: str,
) -> None:
    given = {"--certificate": "b.pem", "--key": "b.key", "--roots": "ca.pem"}
    given |= {name: value for name, _, value in (each.partition("=") for each in more)}
    paths = {
        name: value if name == "--connect" else str(town_folder / value)
        for name, value in given.items()
    }
    with pytest.raises(SystemExit) as caught:
        main(["conformance", url, *(f"{name}={v}" for name, v in paths.items())])
    assert caught.value.code == 2
    assert said in " ".join(capsys.readouterr().err.split())


@pytest.fixture
def town_folder(tmp_path: Path) -> Path:
    authority = Authority(tmp_path)
    made = authority.identity("b.example")
    made.certificate.rename(tmp_path / "b.pem")
    made.key.rename(tmp_path / "b.key")
    (tmp_path / "no.pem").write_bytes(b"no")
    return tmp_path

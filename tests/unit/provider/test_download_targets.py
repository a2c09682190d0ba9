"""Where files may be fetched from (D-33)."""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sabir.clock import Instant
from sabir.mimi.directory import Directory, our_templates
from sabir.mimi.problems import Problem, ProblemCode
from sabir.provider import download_targets as module
from sabir.provider.config import Address, Federation, PeerSettings, ProviderConfig
from sabir.provider.download_targets import Targets, host_of_asset, is_public, resolve
from sabir.provider.peers import PeerFailed, Peers
from sabir.provider.tls import Identity
from sabir.storage.provider.records import PeerRecord
from sabir.storage.sqlite.provider.store import SqliteProviderStore
from sabir.testing.clock import VirtualClock

PUBLIC = "93.184.216.34"
URL = "https://assets.b.example/v1/x"


@pytest.mark.parametrize(
    "url",
    [
        "",
        "x",
        "http://assets.b.example/v1/x",
        "HTTPS://assets.b.example/v1/x",
        "ftp://assets.b.example/v1/x",
        "//assets.b.example/v1/x",
        "https:///v1/x",
        "https:/assets.b.example/v1/x",
        "https://assets.b.example",
        "https://assets.b.example?x",
        "https://assets.b.example:8443/v1/x",
        "https://assets.b.example:0/v1/x",
        "https://assets.b.example:/v1/x",
        "https://assets.b.example:443x/v1/x",
        "https://assets.b.example:99999/v1/x",
        "https://user@assets.b.example/v1/x",
        "https://user:secret@assets.b.example/v1/x",
        "https://evil.example\\@assets.b.example/v1/x",
        "https://assets.b.example/v1/x#fragment",
        "https://assets.b.example/v1/\nx",
        "https://assets.b.example/v1/ x",
        "https://assets.b.example\t/v1/x",
        "https://assets.b.example./v1/x",
        "https://ASSETS.b.example/v1/x",
        "https://assets_b.example/v1/x",
        "https://ässets.example/v1/x",
        "https://assets%2eb.example/v1/x",
        "https://127.0.0.1/v1/x",
        "https://127.1/v1/x",
        "https://2130706433/v1/x",
        "https://0x7f000001/v1/x",
        "https://0x7f.1/v1/x",
        "https://017700000001/v1/x",
        "https://1.2.3.0x4/v1/x",
        "https://[::1]/v1/x",
        "https://[::1/v1/x",
        "https://[::ffff:127.0.0.1]/v1/x",
        "https://assets.b.example/" + "x" * 2_048,
    ],
)
def test_mc_090_urls_that_are_not_those_of_files(url: str) -> None:
    with pytest.raises(Problem) as caught:
        host_of_asset(url)
    assert caught.value.problem is ProblemCode.ASSET_TARGET_NOT_ALLOWED


@pytest.mark.parametrize(
    "url",
    [
        URL,
        "https://assets.b.example:443/v1/x",
        "https://assets.b.example/v1/x?token=%2F",
        "https://assets.b.example/",
    ],
)
def test_urls_of_files(url: str) -> None:
    assert host_of_asset(url) == "assets.b.example"


@given(st.text(max_size=60))
def test_no_url_is_an_error_of_ours(text: str) -> None:
    for url in (text, "https://" + text, "https://assets.b.example" + text):
        try:
            host = host_of_asset(url)
        except Problem:
            continue
        assert url.startswith((f"https://{host}/", f"https://{host}:443/"))


@pytest.mark.parametrize(
    ("address", "public"),
    [
        (PUBLIC, True),
        ("2606:2800:220:1::1", True),
        ("8.8.8.8", True),
        ("127.0.0.1", False),
        ("127.255.255.254", False),
        ("0.0.0.0", False),
        ("10.1.2.3", False),
        ("172.16.0.1", False),
        ("192.168.1.1", False),
        ("169.254.169.254", False),
        ("100.64.0.1", False),
        ("192.0.2.1", False),
        ("198.18.0.1", False),
        ("224.0.0.1", False),
        ("255.255.255.255", False),
        ("240.0.0.1", False),
        ("::1", False),
        ("::", False),
        ("fe80::1", False),
        ("fe80::1%eth0", False),
        ("fec0::1", False),
        ("fc00::1", False),
        ("fd12:3456::1", False),
        ("ff02::1", False),
        ("2001:db8::1", False),
        ("::ffff:127.0.0.1", False),
        ("::ffff:10.0.0.1", False),
        (f"::ffff:{PUBLIC}", True),
        ("::127.0.0.1", False),
        ("64:ff9b::7f00:1", False),
        ("64:ff9b::a9fe:a9fe", False),
        ("64:ff9b::808:808", True),
        ("64:ff9b:1::a00:1", False),
        ("2002:7f00:1::", False),
        ("2002:0a00:1::", False),
        ("2001:0:4136:e378:8000:63bf:3fff:fdd2", False),
        ("::ffff:0:127.0.0.1", False),
        ("no address", False),
        ("", False),
    ],
)
def test_mc_090_which_addresses_are_public(address: str, public: bool) -> None:
    assert is_public(address) is public


class FewPeers(Peers):
    """Directories come from the test, never from a network."""

    asked: list[str]
    given: dict[str, Directory]

    async def directory(self, domain: str) -> Directory:
        self.asked.append(domain)
        if domain not in self.given:
            raise PeerFailed(domain, "away")
        return self.given[domain]


class Street:
    """Targets of a provider, and a DNS that says what a test wants."""

    def __init__(self, folder: Path, **more: Any) -> None:
        self.clock = VirtualClock()
        self.answers: dict[str, Sequence[str] | OSError] = {}
        self.asked: list[str] = []
        self.store = SqliteProviderStore.open(folder / "provider.db")
        self.config = ProviderConfig(
            domain="a.example",
            data_dir=folder,
            identity=Identity(certificate=folder / "c", key=folder / "k"),
            listen=Address(host="127.0.0.1", port=0),
            **{"peers": {"b.example": PeerSettings()}, **more},
        )
        self.peers = FewPeers(self.config, self.store, self.clock)
        self.peers.asked, self.peers.given = [], {}
        self.targets = Targets(
            self.config, self.peers, self.store, self.clock, self.resolve
        )

    async def resolve(self, host: str) -> Sequence[str]:
        self.asked.append(host)
        answer = self.answers.get(host, [PUBLIC])
        if isinstance(answer, OSError):
            raise answer
        return answer

    async def knows(self, domain: str, *hosts: str, at: int = 1) -> None:
        directory = Directory(
            templates=our_templates(f"https://{domain}"),
            profiles=("mimi06-a",),
            asset_domains=hosts,
        )
        await self.store.keep_peer(
            PeerRecord(
                domain=domain,
                directory=directory.encode(),
                fetched_at=Instant(at),
                expires_at=Instant(at),
            )
        )

    async def refuses(self, url: str) -> None:
        with pytest.raises(Problem) as caught:
            await self.targets.find(url)
        assert caught.value.problem is ProblemCode.ASSET_TARGET_NOT_ALLOWED


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Callable[..., Street]]:
    with ExitStack() as stack:

        def made(**more: Any) -> Street:
            street = Street(tmp_path, **more)
            stack.callback(street.store.close)
            return street

        yield made


@pytest.fixture
def street(make: Callable[..., Street]) -> Street:
    return make()


async def test_a_host_of_a_peers_directory_is_a_target(street: Street) -> None:
    await street.knows("b.example", "assets.b.example")
    street.answers["assets.b.example"] = [PUBLIC, "2606:2800:220:1::1"]
    target = await street.targets.find(URL)
    assert (target.url, target.host, target.pinned) == (URL, "assets.b.example", b"")
    assert target.addresses == [
        Address(host=PUBLIC, port=443),
        Address(host="2606:2800:220:1::1", port=443),
    ]
    assert street.asked == ["assets.b.example"]


async def test_mc_090_a_host_of_nobody_is_not_even_looked_up(street: Street) -> None:
    await street.knows("b.example", "assets.b.example")
    for host in ("evil.example", "b.example", "x.assets.b.example", "b.example.evil"):
        await street.refuses(f"https://{host}/v1/x")
    assert not street.asked


async def test_mc_090_a_peer_that_we_do_not_admit_has_no_hosts(
    street: Street,
) -> None:
    await street.knows("c.example", "assets.c.example")
    await street.refuses("https://assets.c.example/v1/x")


async def test_in_open_federation_every_known_peer_has_hosts(
    make: Callable[..., Street],
) -> None:
    street = make(federation=Federation.OPEN, blocked=frozenset({"c.example"}))
    for domain in ("c.example", "d.example"):
        await street.knows(domain, f"assets.{domain}")
    await street.refuses("https://assets.c.example/v1/x")
    assert (await street.targets.find("https://assets.d.example/x")).addresses


@pytest.mark.parametrize(
    "addresses", [["127.0.0.1"], [PUBLIC, "10.0.0.1"], ["::1", PUBLIC], []]
)
async def test_mc_090_a_name_that_leads_into_our_own_network(
    street: Street, addresses: list[str]
) -> None:
    await street.knows("b.example", "assets.b.example")
    street.answers["assets.b.example"] = addresses
    await street.refuses(URL)


async def test_mc_090_the_name_is_looked_up_once_and_never_again(
    street: Street,
) -> None:
    """What is connected to are the addresses that were judged."""
    await street.knows("b.example", "assets.b.example")
    target = await street.targets.find(URL)
    street.answers["assets.b.example"] = ["127.0.0.1"]
    assert [each.host for each in target.addresses] == [PUBLIC]
    assert len(street.asked) == 1


async def test_a_configured_address_may_be_any(make: Callable[..., Street]) -> None:
    where = Address(host="127.0.0.1", port=8443)
    street = make(peers={"b.example": PeerSettings(address=where, pinned=b"PEM")})
    await street.knows("b.example", "assets.b.example")
    target = await street.targets.find(URL)
    assert target.addresses == [where]
    assert target.pinned == b"PEM"
    assert not street.asked


async def test_hosts_that_the_operator_names(make: Callable[..., Street]) -> None:
    street = make(peers={"b.example": PeerSettings(asset_hosts=("files.example",))})
    assert (await street.targets.find("https://files.example/x")).host


async def test_a_host_that_two_peers_claim_is_whose_domain_it_is_below(
    make: Callable[..., Street],
) -> None:
    where = Address(host="127.0.0.1", port=8443)
    street = make(
        peers={"b.example": PeerSettings(address=where), "a0.example": PeerSettings()},
    )
    await street.knows("a0.example", "assets.b.example")
    await street.knows("b.example", "assets.b.example")
    assert (await street.targets.find(URL)).addresses == [where]


async def test_what_peers_say_is_looked_at_again(street: Street) -> None:
    await street.refuses(URL)
    await street.knows("b.example", "assets.b.example")
    await street.refuses(URL)
    await street.clock.advance(module.FRESH_MS)
    assert (await street.targets.find(URL)).host
    await street.knows("b.example", "other.b.example", at=2)
    await street.clock.advance(module.FRESH_MS)
    await street.refuses(URL)


async def test_a_directory_that_is_broken_names_no_hosts(street: Street) -> None:
    await street.knows("b.example", "assets.b.example")
    record = await street.store.peer("b.example")
    assert record is not None
    await street.store.keep_peer(replace(record, directory=b"[]"))
    await street.refuses(URL)


async def test_the_directory_of_a_listed_peer_is_fetched_for_its_own_hosts(
    street: Street,
) -> None:
    await street.refuses(URL)
    street.peers.given["b.example"] = Directory(
        templates={}, asset_domains=("assets.b.example",)
    )
    street.peers.asked.clear()
    await street.refuses("https://assets.c.example/v1/x")
    assert not street.peers.asked
    assert (await street.targets.find(URL)).host == "assets.b.example"
    assert street.peers.asked == ["b.example"]


async def test_a_dns_that_fails_is_not_the_askers_fault(
    street: Street, monkeypatch: pytest.MonkeyPatch
) -> None:
    await street.knows("b.example", "assets.b.example")
    street.answers["assets.b.example"] = OSError("no such name")
    with pytest.raises(PeerFailed) as caught:
        await street.targets.find(URL)
    assert caught.value.problem is ProblemCode.UPSTREAM_FAILED

    async def never(_: str) -> Sequence[str]:
        await asyncio.Event().wait()
        return []

    monkeypatch.setattr(module, "RESOLVE_S", 0.01)
    targets = Targets(street.config, street.peers, street.store, street.clock, never)
    with pytest.raises(PeerFailed) as caught:
        await targets.find(URL)
    assert caught.value.problem is ProblemCode.UPSTREAM_TIMEOUT


async def test_the_system_knows_itself() -> None:
    assert set(await resolve("localhost")) <= {"127.0.0.1", "::1"}

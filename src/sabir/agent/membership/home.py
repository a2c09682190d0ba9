"""Getting a device at a provider, and opening it again: `enrol`, `open_home`."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from sabir.agent.membership.desk import Desk
from sabir.agent.membership.device import (
    NO_TOKENS,
    DeviceKey,
    client_of_home,
    registered_home,
)
from sabir.agent.membership.env import AgentEnv
from sabir.agent.membership.ledger import Around, RoomsStorage
from sabir.agent.membership.membership import Membership
from sabir.agent.membership.provider_client import Place, ProviderClient, Reception
from sabir.agent.membership.tokens import TokenKeeper
from sabir.agent.membership.vault import Vault
from sabir.agent.membership.waiters import Waiters
from sabir.clock import Clock
from sabir.crypto.secrets import Secret
from sabir.crypto.suites import SUITES
from sabir.errors import PolicyRefused
from sabir.mimi.agent_api.forms import Octets
from sabir.mimi.agent_api.registration import DeviceRequest, sign_registration
from sabir.mimi.client_settings import SUITE
from sabir.networks.api import Rng
from sabir.storage.membership import Home, HomeRecord
from sabir.storage.records import RoomId


def place_of(home: HomeRecord) -> Place:
    """Return where our provider is."""
    return Place(domain=home.domain, address=home.address, roots=home.roots)


async def enrol(
    storage: Home,
    place: Place,
    account_token: Secret,
    *,
    name: str,
    key: Secret,
    clock: Clock,
    rng: Rng,
) -> HomeRecord:
    """Register this installation as a device of a user.

    If it dies in between, the same again leads to the same device.

    Args:
        storage: the agent's database.
        place: of the provider.
        account_token: of the user, from the provider's operator.
        name: of the device, for people.
        key: of the installation.
        clock: time.
        rng: dice.

    Raises:
        PolicyRefused: it is registered already.
        CredentialsRefused: the provider does not know the account token.
        Unavailable: it does not answer.
        PeerMisbehaved: MIMI-390, its answer is not right.
    """
    vault = Vault(key, rng)
    home = await storage.home()
    if home is not None and home.device:
        raise PolicyRefused(
            f"this installation is {home.device} already; one has one provider"
        )
    if home is None or home.domain != place.domain:
        signature = DeviceKey.generate(rng).sealed(vault)
    else:
        signature = home.signature
    home = HomeRecord(
        domain=place.domain,
        address=place.address,
        roots=place.roots,
        name=name,
        user="",
        device="",
        signature=signature,
        tokens=NO_TOKENS.sealed(vault),
        cursor=0,
    )
    await storage.set_home(home, now=clock.now())
    home = await _registered(home, place, account_token, vault)
    await storage.set_home(home, now=clock.now())
    return home


async def _registered(
    home: HomeRecord, place: Place, account_token: Secret, vault: Vault
) -> HomeRecord:
    device_key = DeviceKey.open(vault, home.signature)
    reception = Reception(place)
    try:
        found = await reception.challenge(account_token)
        signature = sign_registration(
            SUITES[SUITE], device_key.private.reveal(), found.challenge, found.user
        )
        answer = await reception.register(
            DeviceRequest(
                account_token=account_token.reveal_text(),
                device_name=home.name,
                suite=SUITE,
                signature_key=Octets(device_key.public),
                challenge=found.challenge,
                signature=Octets(signature),
            )
        )
    finally:
        await reception.close()
    return registered_home(home, device_key, answer, vault)


@asynccontextmanager
async def open_home(
    storage: RoomsStorage,
    *,
    name: str = "",
    key: Secret,
    clock: Clock,
    rng: Rng,
    on_entries: Callable[[RoomId], None],
) -> AsyncIterator[Desk]:
    """Open our device at its provider; its `membership` is to be run.

    Args:
        storage: the agent's database.
        name: what we want to be called; empty for nothing.
        key: of the installation.
        clock: time.
        rng: dice.
        on_entries: told of a room whose timeline has grown.

    Raises:
        PolicyRefused: there is none.
        KeyDoesNotFit, SealBroken: the database is of another installation.
    """
    home = await storage.home()
    if home is None:
        raise PolicyRefused("we are at no provider; run `sabir home join`")
    vault = Vault(key, rng)
    line = Reception(place_of(home))
    tokens = TokenKeeper(home, storage, vault, clock, line)
    around = Around(
        api=ProviderClient(line, tokens),
        storage=storage,
        vault=vault,
        client=client_of_home(home, vault),
        env=AgentEnv(clock, rng),
        clock=clock,
        rng=rng,
        waiters=Waiters(),
        on_entries=on_entries,
    )
    membership = Membership(around, device=home.device, cursor=home.cursor)
    try:
        yield Desk(membership, user=home.user, name=name)
    finally:
        await line.close()

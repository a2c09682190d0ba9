"""What all parts of one provider share."""

from collections.abc import Callable
from dataclasses import dataclass

from sabir.clock import Clock
from sabir.provider.admission import Admission
from sabir.provider.assets import Assets
from sabir.provider.config import ProviderConfig
from sabir.provider.download import Downloads
from sabir.provider.keys import KeyRing
from sabir.provider.outbox import Fanout
from sabir.provider.peers import Peers
from sabir.provider.rates import FederationRates
from sabir.provider.wakeups import Wakeups
from sabir.storage.provider.ports import ProviderStore
from sabir.storage.provider.records import Spread


@dataclass(frozen=True, slots=True, kw_only=True)
class Core:
    """The shared parts.

    Attributes:
        config: the operator's decisions.
        store: what must not be forgotten.
        clock: time.
        rng: random octets.
        rates: limits on what peers ask.
        admission: lets requests of peers in.
        peers: calls other providers.
        fanout: empties the queues of followers.
        keys: our own keys.
        wakeups: who waits for a device's stream.
        assets: files of our devices.
        downloads: files of others.
    """

    config: ProviderConfig
    store: ProviderStore
    clock: Clock
    rng: Callable[[int], bytes]
    rates: FederationRates
    admission: Admission
    peers: Peers
    fanout: Fanout
    keys: KeyRing
    wakeups: Wakeups
    assets: Assets
    downloads: Downloads

    def spread(self, spread: Spread) -> None:
        """Wake whoever has something new."""
        if spread.followers:
            self.fanout.wake()
        self.wakeups.wake(spread.devices)

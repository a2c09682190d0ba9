"""What the provider can do, and what it knows of others."""

from sabir.mimi.agent_api.forms import Form


class DeviationEntry(Form, frozen=True, kw_only=True):
    """Where a peer reads the drafts otherwise, and how often that was seen."""

    what: str
    count: int


class PeerAnswer(Form, frozen=True, kw_only=True):
    """`GET /peers/{domain}`.

    Attributes:
        domain: of the peer; ours, too.
        known: we talk to it.
        profiles: in its directory.
        endpoints: in its directory.
        asset_domains: hosts of its files.
        last_ok_ms: when it answered last, ms since 1970.
        deviations: seen so far.
    """

    domain: str
    known: bool
    profiles: tuple[str, ...] = ()
    endpoints: tuple[str, ...] = ()
    asset_domains: tuple[str, ...] = ()
    last_ok_ms: int | None = None
    deviations: tuple[DeviationEntry, ...] = ()


class Capabilities(Form, frozen=True, kw_only=True):
    """`GET /capabilities`.

    Attributes:
        domain: of the provider.
        profiles: best first.
        suites: of rooms.
        templates: for `POST /rooms`.
        features: parts of the agent API that not every provider has.
        limits: numbers by name, with the unit in it.
    """

    domain: str
    profiles: tuple[str, ...]
    suites: tuple[int, ...]
    templates: tuple[str, ...]
    features: tuple[str, ...]
    limits: dict[str, int]

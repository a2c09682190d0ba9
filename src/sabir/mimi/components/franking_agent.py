"""Component 0x0021, who vouches for accepted messages (protocol-06 section 7.4.4)."""

from dataclasses import dataclass

from sabir.mls.credentials import Credential, read_credential
from sabir.wire import tls
from sabir.wire.tls import Reader


@dataclass(frozen=True, slots=True)
class FrankingAgent:
    """The `FrankingAgentData`: the hub's key for franks, set once."""

    signature_key: bytes
    credential: Credential

    def encode(self) -> bytes:
        """Write the `FrankingAgentData`."""
        return tls.opaque(self.signature_key) + self.credential.raw


def read_franking_agent(reader: Reader) -> FrankingAgent:
    """Take a `FrankingAgentData`. Raises MlsUnsupported: an unknown credential."""
    return FrankingAgent(reader.opaque(), read_credential(reader))


def decode_franking_agent(data: bytes) -> FrankingAgent:
    """Read a whole `FrankingAgentData`."""
    return tls.read_whole(data, read_franking_agent)

"""The Authentication Service of rooms: who a credential is for (D-12).

A basic credential proves nothing by itself: here are checked its form, and which
leaves stand for one client. Whether the key is the user's is looked up elsewhere, and
until then the member is shown as unverified.
"""

from sabir.mimi.uris import Kind, parse_uri, user_of
from sabir.mls.credentials import BasicCredential, Credential, Verdict, Where
from sabir.mls.leaf_node import LeafNodeIn
from sabir.wire.errors import Malformed

_ACCEPTED = Verdict(accepted=True)


class RoomAuthentication:
    """Answers for credentials by their form alone."""

    __slots__ = ()

    def check(
        self, credential: Credential, signature_key: bytes, where: Where
    ) -> Verdict:
        """Accept a client URI of two segments, or a user URI; of a hub its domain."""
        del signature_key
        if not isinstance(credential, BasicCredential):
            return Verdict(accepted=False, reason="only basic credentials are known")
        try:
            if where is Where.EXTERNAL_SENDER:
                uri = parse_uri(credential.identity)
                if uri.kind is not None:
                    return Verdict(accepted=False, reason="no provider's identity")
            else:
                parse_uri(credential.identity, Kind.DEVICE, Kind.USER)
                user_of(credential.identity.decode("ascii"))
        except Malformed as wrong:
            return Verdict(accepted=False, reason=f"rule {wrong.rule}")
        return _ACCEPTED

    def same_client(self, one: LeafNodeIn, other: LeafNodeIn) -> bool:
        """Say whether two leaves stand for one client.

        A user URI names no client: then the key does.
        """
        if one.credential != other.credential:
            return False
        if _is_nameless(one.credential):
            return one.signature_key == other.signature_key
        return True

    def may_replace(self, old: LeafNodeIn, new: LeafNodeIn) -> bool:
        """Say yes to the same identity: a leaf never changes it."""
        return old.credential == new.credential


def _is_nameless(credential: Credential) -> bool:
    """Whether a credential names a user only; it may not be checked yet."""
    if not isinstance(credential, BasicCredential):
        return False
    try:
        return parse_uri(credential.identity).kind is Kind.USER
    except Malformed:
        return False

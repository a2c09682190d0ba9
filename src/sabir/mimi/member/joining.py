"""Coming in from outside: ask for the GroupInfo, join by a commit (7.5)."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from sabir.crypto import hpke
from sabir.crypto.secrets import Secret
from sabir.crypto.suites import SUITES
from sabir.mimi.client_settings import SUITE
from sabir.mimi.codepoints import Capability, ComponentId, GroupInfoCode
from sabir.mimi.components.participants import (
    BANNED,
    NO_ROLE,
    Participant,
    ParticipantListUpdate,
)
from sabir.mimi.member.checks import check_hub_sender, checked_room
from sabir.mimi.member.errors import RoomMisuse
from sabir.mimi.member.sending import NOTHING_TO_SAY
from sabir.mimi.policy.errors import PolicyDenied, Slug
from sabir.mimi.policy.kernel import name_of
from sabir.mimi.policy.view import Client, client_of, key_of
from sabir.mimi.room_state import RoomState
from sabir.mimi.structs.group_info import (
    GroupInfoAndTree,
    GroupInfoRefused,
    GroupInfoRequest,
    decode_group_info_response,
    open_group_info,
    sign_request,
)
from sabir.mimi.uris import user_of
from sabir.mls.client import MlsClient
from sabir.mls.credentials import BasicCredential
from sabir.mls.env import Env
from sabir.mls.framing import MlsMessageIn, PublicMessage
from sabir.mls.group.external import PendingExternalJoin, join_by_commit
from sabir.mls.proposals import AppDataUpdate, Proposal, SelfRemove
from sabir.mls.public_group import PublicGroup


@dataclass(frozen=True, slots=True, kw_only=True)
class JoinRequest:
    """A question for the GroupInfo of a room; kept in memory until it is answered.

    Attributes:
        room: URI.
        octets: the `GroupInfoRequest`.
        private_key: to which the answer is sealed.
    """

    room: str
    octets: bytes = field(repr=False)
    private_key: Secret = field(repr=False)


def request_group_info(
    env: Env, client: MlsClient, room: str, join_code: bytes = b""
) -> JoinRequest:
    """Ask to see the group of a room.

    Args:
        env: dice.
        client: ours.
        room: URI.
        join_code: that we were given; empty for none.
    """
    suite = SUITES[SUITE]
    identity = client.identity(suite)
    private, public = hpke.derive_key_pair(suite, env.random(suite.kem.private_octets))
    request = GroupInfoRequest(
        suite=suite.number,
        signature_key=identity.public,
        credential=identity.credential,
        public_key=public,
        join_code=join_code,
    )
    signed = sign_request(request, suite, identity.private.reveal())
    return JoinRequest(room=room, octets=signed.encode(), private_key=Secret(private))


def _refused(code: int) -> PolicyDenied:
    if code == GroupInfoCode.NO_SUCH_ROOM:
        return PolicyDenied(Slug.ROOM_UNKNOWN)
    if code == GroupInfoCode.NOT_AUTHORIZED:
        return PolicyDenied(
            Slug.POLICY_DENIED, "no invitation, or one that is spent or expired"
        )
    return PolicyDenied(Slug.POLICY_DENIED, f"groupInfo code {code}")


def shown_group(request: JoinRequest, response: bytes) -> GroupInfoAndTree:
    """Open the answer of a hub.

    Raises:
        PolicyDenied: `policy.denied`, the hub does not let us see the group;
            `room.unknown`, it says that there is none.
        Malformed: as `open_group_info`; MIMI-300 the answer is not from the group's
            hub; as `checked_room`.
    """
    found = decode_group_info_response(response)
    if isinstance(found, GroupInfoRefused):
        raise _refused(found.code)
    shown = open_group_info(
        found,
        room=request.room,
        suite=SUITES[SUITE],
        private_key=request.private_key.reveal(),
    )
    state = checked_room(shown.group_info.group_context, request.room)
    check_hub_sender(found.hub_sender, state)
    return shown


def commit_to_join(
    env: Env, client: MlsClient, shown: GroupInfoAndTree, role: int | None
) -> PendingExternalJoin:
    """Make the commit by which we join.

    It covers the SelfRemoves that wait, removes a former leaf of this client, and
    lists us if we are not.

    Args:
        env: clock and dice.
        client: ours.
        shown: by the hub.
        role: that our join code is for; None: the first that anybody may take.

    Raises:
        PolicyDenied: `sender.removed` we are banned; `policy.denied` the room does not
            let anybody in like that.
        Malformed, MlsInvalid, MlsMissing, MlsUnsupported: as `join_by_commit`.
    """
    tree = shown.tree.tree
    public = PublicGroup.from_group_info(client.services, shown.group_info, tree)
    state = RoomState.of(public.context)
    own = own_client(client)
    leaving = _self_removes(each.message for each in shown.pending)
    stale = [
        index
        for index, leaf in public.members
        if key_of(client_of(leaf)) == key_of(own) and index not in leaving
    ]
    return join_by_commit(
        env,
        client,
        shown.group_info,
        tree=tree,
        member_of=(),  # a room is joined anew when we are in it: our leaf is replaced
        resync=stale[0] if stale else None,
        self_removes=leaving.values(),
        proposals=_self_add(state, own.user, role),
        aad=NOTHING_TO_SAY,
    )


def own_client(client: MlsClient) -> Client:
    """Return whose client this is.

    Raises:
        RoomMisuse: its credential is not a client URI.
    """
    identity = client.identity(SUITES[SUITE])
    credential = identity.credential
    if not isinstance(credential, BasicCredential):
        raise RoomMisuse("a client of rooms has a basic credential, its client URI")
    uri = credential.identity.decode("ascii")
    return Client(uri, user_of(uri), identity.public)


def _self_removes(messages: Iterable[MlsMessageIn]) -> dict[int, bytes]:
    """Return the SelfRemoves that wait, by the leaf that goes."""
    found: dict[int, bytes] = {}
    for message in messages:
        body = message.body
        if isinstance(body, PublicMessage):
            content = body.message.content
            if isinstance(content.content, SelfRemove):
                found[content.sender.index] = message.raw
    return found


def _self_add(state: RoomState, user: str, role: int | None) -> list[Proposal]:
    listed = state.participants.role_of(user)
    if listed == BANNED and state.roles.can_ban:
        raise PolicyDenied(Slug.SENDER_REMOVED)
    if listed != NO_ROLE:
        return []
    outside = state.roles.role(NO_ROLE)
    if role is None:
        targets = outside.targets(NO_ROLE)
        if not outside.may(Capability.CAN_OPEN_JOIN) or not targets:
            lacks = name_of(Capability.CAN_OPEN_JOIN)
            raise PolicyDenied(Slug.POLICY_DENIED, lacks)
        role = targets[0]
    update = ParticipantListUpdate(added=(Participant(user, role),))
    return [AppDataUpdate(ComponentId.PARTICIPANT_LIST, update.encode())]

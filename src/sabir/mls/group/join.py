"""Joining by a Welcome (RFC 9420 section 12.4.3.1)."""

from collections.abc import Container, Iterable
from dataclasses import dataclass
from typing import Final

from sabir.crypto.errors import OpenFailed
from sabir.crypto.labels import decrypt_with_label
from sabir.crypto.secrets import Secret
from sabir.crypto.suites import CipherSuite
from sabir.mls.client import KeyPackageSecrets, MlsClient
from sabir.mls.errors import MlsInvalid, MlsMisuse
from sabir.mls.framing import MlsMessageIn
from sabir.mls.group.epoch import Epoch, GroupPsks, GroupState
from sabir.mls.group.resumption import check_continuation
from sabir.mls.group_info import GroupInfo, GroupInfoIn, read_group_info
from sabir.mls.key_schedule import new_epoch, welcome_key_and_nonce, welcome_secret
from sabir.mls.opening import open_group_info
from sabir.mls.psk import PskStore, find_psks, psk_secret
from sabir.mls.public_group import PublicGroup, decoded
from sabir.mls.treekem import join_keys
from sabir.mls.validation.proposals import check_psk_nonce, check_psks_distinct
from sabir.mls.validation.rules import Rule
from sabir.mls.validation.welcome import (
    check_extensions_known,
    check_group_suite,
    check_group_tag,
    check_not_member,
    check_welcome_suite,
    entry_for,
    find_own_leaf,
    linking_psk,
)
from sabir.mls.welcome import (
    EncryptedGroupSecrets,
    GroupSecrets,
    Welcome,
    read_group_secrets,
)
from sabir.wire.tls import read_whole

_LABEL: Final = b"Welcome"


@dataclass(frozen=True, slots=True, eq=False)
class StagedWelcome:
    """A Welcome that was checked; nothing is joined before the caller accepts.

    Attributes:
        group_info: of the member that made it.
        sender: leaf index of that member.
        key_package: ours, that it names; to be deleted unless of last resort.
        state: that the group will have.
    """

    group_info: GroupInfo
    sender: int
    key_package: KeyPackageSecrets
    state: GroupState


def open_welcome(
    client: MlsClient,
    message: bytes | MlsMessageIn | Welcome,
    key_packages: Iterable[KeyPackageSecrets],
    *,
    member_of: Container[bytes],
    tree: bytes | None = None,
    psks: PskStore | None = None,
    resume: GroupState | None = None,
) -> StagedWelcome:
    """Check a Welcome.

    Args:
        client: ours.
        message: an MLSMessage, or a bare Welcome that was read.
        key_packages: ours, one of which it may name.
        member_of: the ids of all groups that we are a member of, those that a ReInit
            ended, too: whatever answers `group_id in member_of`, e.g. a set or the
            store. A group that we were removed from is to be deleted first.
        tree: the ratchet tree, where it comes beside the Welcome.
        psks: where keys are found, in place of the client's.
        resume: our state of the group that this one continues, by ReInit or branch.

    Raises:
        Malformed, MlsInvalid: a rule of W, T, L or E.
        MlsMissing: a PSK, the tree, or the group that this one continues.
        MlsUnsupported: a version or suite that we do not have.
        MlsMisuse: the message is no Welcome.
    """
    services = client.services
    welcome = _welcome_of(client, message)
    suite = services.suite(welcome.cipher_suite)
    ours, entry = _find_entry(welcome, suite, key_packages)
    secrets = _open_secrets(client, suite, welcome, ours, entry)
    check_psks_distinct(secrets.psks)
    for psk_id in secrets.psks:
        check_psk_nonce(suite, psk_id)
    linking_psk(secrets.psks)
    psk = psk_secret(suite, find_psks(_store(client, psks, resume), secrets.psks))
    group_info = _open_group_info(client, suite, welcome, secrets.joiner_secret, psk)
    context = group_info.group_context
    check_not_member(context, member_of)
    check_group_suite(context, suite, ours.key_package.version)
    leaf = ours.key_package.leaf_node
    check_extensions_known(context.extensions, leaf.capabilities)
    opened = open_group_info(services, group_info, tree)
    public = opened.epoch
    index = find_own_leaf(public.tree, leaf)
    keys = join_keys(
        public.tree,
        index,
        ours.encryption_key,
        group_info.signer,
        secrets.path_secret,
    )
    new = new_epoch(suite, secrets.joiner_secret, psk, context.raw)
    check_group_tag(suite, new.kept.confirmation, context, group_info.confirmation_tag)
    check_continuation(services, public, secrets.psks, resume)
    epoch = Epoch.of(public, keys, new, ours.signature_key, services.limits)
    return StagedWelcome(
        opened.group_info,
        group_info.signer,
        ours,
        GroupState.begin(PublicGroup(services, public), epoch),
    )


def _welcome_of(client: MlsClient, message: bytes | MlsMessageIn | Welcome) -> Welcome:
    if isinstance(message, Welcome):
        return message
    body = decoded(message, client.services).body
    if not isinstance(body, Welcome):
        raise MlsMisuse("this message is no Welcome")
    return body


def _find_entry(
    welcome: Welcome, suite: CipherSuite, key_packages: Iterable[KeyPackageSecrets]
) -> tuple[KeyPackageSecrets, EncryptedGroupSecrets]:
    """W01 and W02: find the entry that names one of our key packages."""
    wrong = MlsInvalid(Rule.W01, "we have no key package")
    for ours in key_packages:
        try:
            entry = entry_for(welcome, ours.key_package.reference(suite))
        except MlsInvalid as other:
            wrong = other
            continue
        check_welcome_suite(welcome, ours.key_package.cipher_suite)
        return ours, entry
    raise wrong


def _open_secrets(
    client: MlsClient,
    suite: CipherSuite,
    welcome: Welcome,
    ours: KeyPackageSecrets,
    entry: EncryptedGroupSecrets,
) -> GroupSecrets:
    """W03: open what was sealed to us."""
    sealed = entry.encrypted_group_secrets
    try:
        octets = decrypt_with_label(
            suite,
            ours.init_key.reveal(),
            _LABEL,
            welcome.encrypted_group_info,
            sealed.kem_output,
            sealed.ciphertext,
        )
    except OpenFailed as wrong:
        raise MlsInvalid(Rule.W03, str(wrong)) from None
    limits = client.services.limits
    return read_whole(octets, lambda reader: read_group_secrets(reader, limits))


def _store(
    client: MlsClient, psks: PskStore | None, resume: GroupState | None
) -> PskStore:
    """Return where PSKs are found: the group that is continued knows its own."""
    store = client.psks if psks is None else psks
    if resume is None:
        return store
    group_id = resume.public.context.group_id
    return GroupPsks(store, group_id, resume.resumption)


def _open_group_info(
    client: MlsClient, suite: CipherSuite, welcome: Welcome, joiner: Secret, psk: Secret
) -> GroupInfoIn:
    """W03, for the GroupInfo: open it under the welcome secret."""
    key, nonce = welcome_key_and_nonce(suite, welcome_secret(suite, joiner, psk))
    try:
        octets = suite.aead_open(key, nonce, welcome.encrypted_group_info, b"")
    except OpenFailed as wrong:
        raise MlsInvalid(Rule.W03, f"the GroupInfo: {wrong}") from None
    limits = client.services.limits
    return read_whole(octets, lambda reader: read_group_info(reader, limits))

"""A group from the store: the reverse of `state`, and the migrations before it."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import MappingProxyType
from typing import Final

from sabir.crypto.secrets import Secret
from sabir.crypto.suites import CipherSuite
from sabir.mls.client import MlsClient
from sabir.mls.effects import Added, Effects, Removed, Updated
from sabir.mls.errors import MlsInvalid, MlsMisuse
from sabir.mls.exporter import ExporterTree, read_exporter_tree
from sabir.mls.framing import Sender, read_sender
from sabir.mls.group.epoch import Epoch, GroupState, OwnUpdate, PastEpoch, Status
from sabir.mls.group.pending import PendingCommit
from sabir.mls.group.sent import SentLog
from sabir.mls.group.state import (
    CONTEXT,
    EXPORTER,
    FORMAT_VERSION,
    HEADER,
    JOIN,
    KEYS,
    MAGIC,
    PAST_EPOCH,
    PENDING_COMMIT,
    PROPOSAL,
    RESUMPTION,
    SECRET_TREE,
    SECRETS,
    SENT,
    TRANSCRIPT,
    TREE,
    Rows,
    row_key,
)
from sabir.mls.group_context import read_group_context
from sabir.mls.key_packages import KeyPackage
from sabir.mls.key_schedule import read_epoch_secrets
from sabir.mls.leaf_node import LeafNode, read_leaf_node
from sabir.mls.proposal_list import ProposalList, Proposed
from sabir.mls.public_epoch import PublicEpoch
from sabir.mls.public_group import PublicGroup
from sabir.mls.public_store import (
    bare_proposal,
    checked_before,
    stored_epoch,
    stored_proposal,
    stored_re_init,
    stored_tree,
)
from sabir.mls.ratchet_tree import RatchetTree
from sabir.mls.secret_tree import SecretTree, read_secret_tree
from sabir.mls.services import Services
from sabir.mls.treekem import PrivateKeys
from sabir.mls.validation.proof import PROOF
from sabir.mls.welcome import Welcome, read_welcome
from sabir.wire.errors import Malformed
from sabir.wire.tls import Reader, read_whole, uint16

Migration = Callable[[Mapping[bytes, bytes]], Rows]
"""From the rows of one format version to those of the next."""


def _with_digests(rows: Mapping[bytes, bytes]) -> Rows:
    """Bring format 1 to format 2: of what we sent before, nothing is known."""
    header = rows[row_key(HEADER)]
    return {**rows, row_key(HEADER): MAGIC + uint16(2) + header[len(MAGIC) + 2 :]}


MIGRATIONS: Final[Mapping[int, Migration]] = MappingProxyType({1: _with_digests})
"""By the version that they begin at. Version 1 is the first."""


def migrated(
    rows: Mapping[bytes, bytes], migrations: Mapping[int, Migration] = MIGRATIONS
) -> Mapping[bytes, bytes]:
    """Bring rows to the current format.

    Raises:
        MlsMisuse: they are of a version that we cannot read.
    """
    version = _version_of(rows)
    while version in migrations:
        rows = migrations[version](rows)
        version = _version_of(rows)
    if version != FORMAT_VERSION:
        raise MlsMisuse(f"stored in format {version}, this reads {FORMAT_VERSION}")
    return rows


def _version_of(rows: Mapping[bytes, bytes]) -> int:
    header = rows.get(row_key(HEADER), b"")
    if not header.startswith(MAGIC):
        raise MlsMisuse("the stored group has no header")
    return int.from_bytes(header[len(MAGIC) : len(MAGIC) + 2], "big")


class Loaded:
    """A group that was read from rows.

    Args:
        client: ours.
        rows: in the current format.
    """

    def __init__(self, client: MlsClient, rows: Mapping[bytes, bytes]) -> None:
        self._client = client
        self._services = client.services
        self._rows = dict(rows)
        self.counter = 0
        self._suite: CipherSuite
        self.state, self.pending = self._read()
        if self._rows:
            raise MlsMisuse(f"{len(self._rows)} stored rows are of no known section")

    def _read(self) -> tuple[GroupState, PendingCommit | None]:
        header = Reader(self._take(HEADER))
        header.fixed(len(MAGIC) + 2)
        self._suite = self._services.suite(header.uint16())
        group_id, number = header.opaque(), header.uint64()
        self.counter = header.uint64()
        status = _read_status(header)
        ended = header.optional(Reader.opaque)
        header.finish()
        public = stored_epoch(
            self._suite,
            read_whole(self._take(CONTEXT), read_group_context),
            read_whole(self._take(TREE), self._tree),
            self._take(TRANSCRIPT),
        )
        if (group_id, number) != (public.context.group_id, public.context.epoch):
            raise MlsMisuse("the stored header is of another group or epoch")
        trees, logs = self._secret_trees(), self._sent_logs()
        epoch = None
        if status is not Status.REMOVED:
            epoch = self._epoch(
                public,
                self._take(KEYS),
                self._take(SECRETS),
                _taken(trees, public.context.epoch),
                read_whole(self._take(EXPORTER), self._exporter),
                self._taken_log(logs, public.context.epoch),
            )
        past = self._past(public.tree.leaves, trees, logs)
        resumption = tuple(
            (int.from_bytes(key, "big"), Secret(read_whole(value, Reader.opaque)))
            for key, value in reversed(self._section(RESUMPTION))
        )
        waiting, own_updates = self._proposals()
        re_init = None if ended is None else stored_re_init(self._services, ended)
        state = GroupState(
            PublicGroup(self._services, public, waiting, re_init),
            epoch,
            status,
            past,
            resumption,
            own_updates,
        )
        return state, self._pending_commit(epoch)

    # ---- rows

    def _take(self, section: int) -> bytes:
        """Take the only row of a section."""
        value = self._rows.pop(row_key(section), None)
        if value is None:
            raise MlsMisuse(f"section {section} of the stored group is missing")
        return value

    def _section(self, section: int) -> list[tuple[bytes, bytes]]:
        """Take the rows of a section, sorted, without the section in their keys."""
        prefix = row_key(section)
        keys = sorted(key for key in self._rows if key.startswith(prefix))
        return [(key[len(prefix) :], self._rows.pop(key)) for key in keys]

    # ---- sections

    def _tree(self, reader: Reader) -> RatchetTree:
        return stored_tree(self._services, self._suite, reader)

    def _exporter(self, reader: Reader) -> ExporterTree:
        return read_exporter_tree(reader, self._suite)

    def _epoch(
        self,
        public: PublicEpoch,
        keys: bytes,
        secrets: bytes,
        secret_tree: SecretTree,
        exporter_tree: ExporterTree,
        sent: SentLog,
    ) -> Epoch:
        private, signature_key = read_whole(keys, _read_private_keys)
        kept = read_whole(secrets, read_epoch_secrets)
        return Epoch(
            public, private, kept, secret_tree, exporter_tree, signature_key, sent
        )

    def _secret_trees(self) -> dict[int, SecretTree]:
        trees = {}
        for number, rows in self._by_epoch(SECRET_TREE).items():
            leaf_count = read_whole(rows.pop(b"", b""), Reader.uint32)
            trees[number] = SecretTree.from_rows(
                self._suite, leaf_count, rows.items(), self._services.limits
            )
        return trees

    def _sent_logs(self) -> dict[int, SentLog]:
        limits = self._services.limits
        return {
            number: SentLog.from_rows(self._suite, rows.items(), limits)
            for number, rows in self._by_epoch(SENT).items()
        }

    def _by_epoch(self, section: int) -> dict[int, dict[bytes, bytes]]:
        """Take the rows of a section, by the epoch with which their keys begin."""
        found: dict[int, dict[bytes, bytes]] = {}
        for key, value in self._section(section):
            number = read_whole(key[:8], Reader.uint64)
            found.setdefault(number, {})[key[8:]] = value
        return found

    def _taken_log(self, logs: dict[int, SentLog], epoch: int) -> SentLog:
        """Take the log of an epoch; where we sent nothing there is none."""
        found = logs.pop(epoch, None)
        return self._new_log() if found is None else found

    def _new_log(self) -> SentLog:
        return SentLog(self._suite, self._services.limits)

    def _past(
        self,
        newer: Sequence[LeafNode | None],
        trees: dict[int, SecretTree],
        logs: dict[int, SentLog],
    ) -> tuple[PastEpoch, ...]:
        past = []
        for key, value in reversed(self._section(PAST_EPOCH)):
            reader = Reader(value)
            context = read_whole(reader.opaque(), read_group_context)
            sender_data = Secret(reader.opaque())
            own_leaf = reader.uint32()
            ended = reader.uint64()
            leaf_count = reader.uint32()
            if leaf_count >= 2 * self._services.limits.members_max:
                raise MlsMisuse(f"a stored past epoch of {leaf_count} leaves")
            leaves = [*newer[:leaf_count], *[None] * (leaf_count - len(newer))]
            for index, leaf in reader.vector(_read_changed_leaf):
                if index >= leaf_count:
                    raise MlsMisuse(f"a stored leaf {index} of {leaf_count}")
                leaves[index] = leaf
            reader.finish()
            number = int.from_bytes(key, "big")
            past.append(
                PastEpoch(
                    self._suite,
                    context,
                    leaves,
                    sender_data,
                    _taken(trees, number),
                    own_leaf,
                    ended,
                    self._taken_log(logs, number),
                )
            )
            newer = leaves
        if trees or logs:
            raise MlsMisuse(
                f"{len(trees)} stored secret trees and {len(logs)} lists of what we"
                " sent are of no epoch"
            )
        return tuple(past)

    def _proposals(self) -> tuple[dict[bytes, Proposed], dict[bytes, OwnUpdate]]:
        found: list[tuple[int, bytes, Proposed]] = []
        own_updates = {}
        for reference, value in self._section(PROPOSAL):
            reader = Reader(value)
            place = reader.uint32()
            item = stored_proposal(self._services, reference, reader.opaque())
            own = reader.optional(_read_own_update)
            reader.finish()
            found.append((place, reference, item))
            if own is not None:
                own_updates[reference] = own
        found.sort(key=lambda each: each[0])
        return {reference: item for _, reference, item in found}, own_updates

    def _pending_commit(self, before: Epoch | None) -> PendingCommit | None:
        octets = self._rows.pop(row_key(PENDING_COMMIT), None)
        if octets is None:
            return None
        if before is None:
            raise MlsMisuse("a stored commit of a group that we are not in")
        reader = Reader(octets)
        commit = reader.opaque()
        welcome: Welcome | None = reader.optional(
            lambda inner: read_whole(inner.opaque(), read_welcome)
        )
        has_path = reader.presence()
        proposals = read_listed(reader, self._services)
        places = reader.vector(Reader.uint32)
        context = read_whole(reader.opaque(), read_group_context)
        tree = self._tree(reader)
        epoch = self._epoch(
            stored_epoch(self._suite, context, tree, reader.opaque()),
            reader.opaque(),
            reader.opaque(),
            read_secret_tree(reader, self._suite, self._services.limits),
            read_exporter_tree(reader, self._suite),
            self._new_log(),
        )
        reader.finish()
        effects = _effects(before, epoch, proposals, places, has_path=has_path)
        return PendingCommit(commit, effects, epoch, welcome)


def read_listed(reader: Reader, services: Services) -> ProposalList:
    """Take the proposals of a commit of ours."""

    def read(inner: Reader) -> Proposed:
        proposal = bare_proposal(services, inner.opaque())
        sender = read_sender(inner)
        return checked_before(proposal, sender, inner.optional(Reader.opaque))

    return ProposalList(reader.vector(read))


def _effects(
    before: Epoch,
    after: Epoch,
    proposals: ProposalList,
    places: Sequence[int],
    *,
    has_path: bool,
) -> Effects:
    """Say again what a commit of ours does."""
    old, new = before.public.tree, after.public.tree
    packages = [
        item.checked for item in proposals if isinstance(item.checked, KeyPackage)
    ]
    changed = [leaf for leaf, _ in proposals.updates]
    if has_path:
        changed.append(before.own_leaf)
    return Effects(
        epoch=after.context.epoch,
        committer=Sender.member(before.own_leaf),
        committer_leaf=before.own_leaf,
        proposals=proposals,
        added=tuple(map(Added, places, packages)),
        removed=tuple(
            Removed(index, leaf)
            for index in proposals.gone
            if (leaf := old.leaf(index)) is not None
        ),
        updated=tuple(
            Updated(index, was, now)
            for index in changed
            if (was := old.leaf(index)) is not None
            and (now := new.leaf(index)) is not None
        ),
        joiner=None,
        old_extensions=before.context.extensions,
        new_extensions=after.context.extensions,
        psks=tuple(proposal.psk for proposal in proposals.psks),
        re_init=proposals.re_init,
    )


def _taken(trees: dict[int, SecretTree], epoch: int) -> SecretTree:
    found = trees.pop(epoch, None)
    if found is None:
        raise MlsMisuse(f"the secret tree of epoch {epoch} is missing")
    return found


def _read_status(reader: Reader) -> Status:
    number = reader.uint8()
    try:
        return Status(number)
    except ValueError:
        raise MlsMisuse(f"stored status {number}") from None


def _read_private_keys(reader: Reader) -> tuple[PrivateKeys, Secret]:
    leaf_index = reader.uint32()
    keys = PrivateKeys(leaf_index, dict(reader.vector(_read_private_key)))
    return keys, Secret(reader.opaque())


def _read_private_key(reader: Reader) -> tuple[int, Secret]:
    return reader.uint32(), Secret(reader.opaque())


def _read_own_update(reader: Reader) -> OwnUpdate:
    return OwnUpdate(Secret(reader.opaque()), Secret(reader.opaque()))


def _read_changed_leaf(reader: Reader) -> tuple[int, LeafNode | None]:
    index = reader.uint32()
    leaf = reader.optional(read_leaf_node)
    return index, None if leaf is None else LeafNode(leaf, PROOF)


def read_removed(reader: Reader) -> Removed:
    """Take a leaf that a commit of ours removes."""
    index = reader.uint32()
    return Removed(index, LeafNode(read_leaf_node(reader), PROOF))


def load_rows(client: MlsClient, rows: Mapping[bytes, bytes]) -> Loaded:
    """Read a group.

    Raises:
        MlsMisuse: the rows are damaged, of a version that we cannot read, or of a join
            that waits.
        MlsUnsupported: the client lacks a suite or a proposal type.
    """
    if row_key(JOIN) in rows:
        raise MlsMisuse(
            "these rows are a join that waits for an answer: PendingExternalJoin.load()"
        )
    with damage_named():
        return Loaded(client, migrated(rows))


@contextmanager
def damage_named() -> Iterator[None]:
    """Say that it was we who wrote what cannot be read."""
    try:
        yield
    except (Malformed, MlsInvalid) as wrong:
        raise MlsMisuse(f"the stored group is damaged: {wrong}") from None

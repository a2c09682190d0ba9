"""What an epoch shows to others: GroupInfo, and exported secrets."""

from sabir.crypto.secrets import Secret
from sabir.mls.exporter import export
from sabir.mls.extensions import EXTERNAL_PUB, RATCHET_TREE, Extension, Extensions
from sabir.mls.framing import MESSAGE_HEAD_OCTETS
from sabir.mls.group.epoch import Epoch
from sabir.mls.group_info import GroupInfoIn, read_group_info, sign_group_info
from sabir.mls.key_schedule import external_public
from sabir.mls.own_limits import check_octets, check_readable
from sabir.mls.tree_options import PartialGroupInfo, TreePresence
from sabir.wire.tls import opaque


def external_pub_extension(epoch: Epoch) -> Extension:
    """Make the extension to which who joins by themselves speaks (12.4.3.2)."""
    key = external_public(epoch.public.suite, epoch.secrets.external)
    return Extension(EXTERNAL_PUB, opaque(key))


def group_info_of(
    epoch: Epoch,
    *,
    with_tree: bool,
    with_external: bool = True,
    extensions: Extensions = (),
) -> GroupInfoIn:
    """Show an epoch to who may join (section 12.4.3).

    Args:
        epoch: of which we are a member.
        with_tree: put the ratchet tree in, as the last extension.
        with_external: let those who get it join by themselves.
        extensions: others, of the application; they come first.

    Raises:
        MlsMisuse: it would be larger, or have more extensions, than our limits say.
    """
    public = epoch.public
    shown = extensions
    if with_external:
        shown = (*shown, external_pub_extension(epoch))
    if with_tree:
        shown = (*shown, Extension(RATCHET_TREE, public.tree.encode()))
    unsigned = GroupInfoIn(
        public.context,
        shown,
        public.confirmation_tag,
        epoch.own_leaf,
        b"",
    )
    key, limits = epoch.signature_key.reveal(), epoch.limits
    made = sign_group_info(public.suite, key, unsigned)
    check_readable(
        "this GroupInfo", made.raw, lambda reader: read_group_info(reader, limits)
    )
    octets = MESSAGE_HEAD_OCTETS + len(made.raw)
    check_octets("a GroupInfo", octets, limits.tree_octets_max)
    return made


def partial_group_info_of(
    epoch: Epoch, presence: TreePresence, extensions: Extensions = ()
) -> PartialGroupInfo:
    """Show an epoch to a hub that knows all but this.

    Args:
        epoch: of which we are a member.
        presence: whether GroupInfos have the tree, before and now.
        extensions: of the application.
    """
    whole = group_info_of(epoch, with_tree=presence.now, extensions=extensions)
    shown = tuple(
        extension for extension in whole.extensions if extension.kind != RATCHET_TREE
    )
    return PartialGroupInfo(presence, shown, whole.signature)


def exported(epoch: Epoch, label: bytes, context: bytes, length: int) -> Secret:
    """MLS-Exporter (section 8.5)."""
    return export(epoch.public.suite, epoch.secrets.exporter, label, context, length)

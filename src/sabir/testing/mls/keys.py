"""Keys of messages, taken without a message."""

from sabir.mls.ratchet import MessageKey
from sabir.mls.secret_tree import RatchetKind, SecretTree


def next_key(tree: SecretTree, leaf: int, kind: RatchetKind) -> MessageKey:
    """Use up the next generation of our own leaf, as sending does."""
    peeked = tree.peek_next(leaf, kind)
    key = peeked.message_key
    tree.consume(peeked)
    return key

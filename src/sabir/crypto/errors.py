"""What the primitives of MLS raise: two plain facts, without blame.

`sabir.mls` knows who sent what was being opened, and turns these into its own
errors; neither leaves it.
"""


class OpenFailed(Exception):
    """A ciphertext, or the `enc` in front of it, does not open with this key."""


class BadKey(Exception):
    """Octets are not a key of this suite, or one that no secret can be shared with."""

"""A member's group: a `PublicGroup` and the secrets of its epochs."""

"""More Instant Messaging Interoperability: rooms that span providers.

The structs and state machines of the profile `mimi06-a` (docs/reference/mimi.md),
without I/O: a clock and dice come in as arguments, octets go out.
"""

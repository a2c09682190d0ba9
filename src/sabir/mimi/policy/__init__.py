"""Who may do what in a room: effects, the rule kernel, counts and invariants."""

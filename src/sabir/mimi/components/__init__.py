"""What a room keeps in its GroupContext: one component a file, and what it accepts."""

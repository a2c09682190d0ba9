"""Matrix: as an application service with ghosts, or as one plain account."""

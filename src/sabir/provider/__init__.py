"""The server of rooms: it orders and passes on what it cannot read."""

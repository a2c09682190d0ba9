"""The agent's side of a provider: our device there, and the rooms it is in.

`Membership` (in `membership`) is the whole; `RoomSession` one room; `Home` our device.
"""

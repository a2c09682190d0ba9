"""The agent's half of a room: a member's client, without I/O.

`RoomMember` (in `room`) makes what is to be submitted to the room's hub and reads what
the hub fans out. What it returns are values: octets to send, and events to show. Its
rows are stored in the transaction in which octets are queued or events are shown.
"""

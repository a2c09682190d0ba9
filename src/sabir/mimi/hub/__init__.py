"""The hub of a room: it puts everything in one order, and lets in what is allowed.

A `HubRoom` is asked and changes nothing by that; what it would change is a `RoomChange`
that its provider writes down first.
"""

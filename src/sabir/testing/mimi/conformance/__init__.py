"""A provider checked from outside, by a peer that is in no room there."""

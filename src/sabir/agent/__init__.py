"""The end-to-end client's runtime: inbox, timeline, portals, delivery, supervisor."""

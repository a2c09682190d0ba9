"""Shipped test tools: in-memory network, virtual clock, crash points, contract kit, real servers."""

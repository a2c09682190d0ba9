"""Shipped test tools: networks in memory, real servers, the contract kit, the demo."""

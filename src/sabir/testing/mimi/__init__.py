"""Rooms in tests: people with real groups, and a real hub between them."""

"""Providers and people, each a process of its own, on free loopback ports."""

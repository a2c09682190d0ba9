"""Checks of what peers send, by family of rules (`rules.py`)."""

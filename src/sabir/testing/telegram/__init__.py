"""Telegram's side in tests: a Bot API of our own, and one in front of crabline."""

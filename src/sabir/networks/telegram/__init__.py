"""Telegram by its Bot API: a bot that people talk to and add to groups."""

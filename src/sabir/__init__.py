"""Sabir: messengers that understand each other."""

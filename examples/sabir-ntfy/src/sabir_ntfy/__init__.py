"""ntfy for Sabir: topics of a publish/subscribe server as chats."""

"""XMPP: a server's component with ghosts, or one plain account."""

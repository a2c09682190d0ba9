"""Real servers on loopback for tests and the demo: Synapse, Prosody and ejabberd."""

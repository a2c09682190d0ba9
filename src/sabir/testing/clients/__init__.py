"""Independent clients for tests and the demo; they share no code with connectors."""

"""The contract kit of connectors: `rules`, the `world` they need, their `host`."""

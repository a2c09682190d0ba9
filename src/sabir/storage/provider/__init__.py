"""What a provider must not forget: ports and records. No SQL here."""

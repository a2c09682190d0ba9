"""What a connector is, and one package per foreign network."""

"""What agents and their provider say to each other in JSON (section 8)."""

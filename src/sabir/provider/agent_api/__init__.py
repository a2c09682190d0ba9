"""What our own users' agents ask of their provider (section 8)."""

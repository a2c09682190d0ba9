"""iMessage, through the BlueBubbles server on the owner's own Mac."""

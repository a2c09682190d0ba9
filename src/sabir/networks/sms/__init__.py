"""SMS over SMPP 3.4: a carrier takes it, and everybody on the way can read it."""

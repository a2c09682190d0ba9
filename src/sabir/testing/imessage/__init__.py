"""A BlueBubbles server without a Mac, in our own transcription of its documents.

It has the routes, the shapes of answers and the faults of BlueBubbles 1.9.9 that a
connector must survive. It contains none of its code and talks to nobody: it proves
nothing about Apple's delivery, encryption, or the helper inside Messages.
"""

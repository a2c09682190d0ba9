"""WhatsApp's third-party chats (DMA article 7): consent and a port, no wire protocol.

Nothing here has ever spoken to WhatsApp. The protocol is Meta's and is given out
under an agreement; without one no leg can be switched on, and no network is
registered for it.
"""

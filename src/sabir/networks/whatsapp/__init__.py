"""WhatsApp: a business number over Meta's Cloud API; the DMA interface prepared."""

"""Payment providers behind one protocol. To add one, read ``docs/payment-providers.md``."""

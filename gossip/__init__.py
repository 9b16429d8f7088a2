"""The protocol: membership, dissemination, anti-entropy. Knows no entity, no SQL and no HTTP."""

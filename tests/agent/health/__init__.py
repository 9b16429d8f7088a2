"""The health of targets."""

"""What ``python -m simulations`` offers, a module for each subject."""

INTERRUPTED = 130
"""The exit code of what Ctrl-C ended, as shells have it."""

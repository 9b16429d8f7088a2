"""Plugins: what one is, which there are, which run for a request, and how they are run."""

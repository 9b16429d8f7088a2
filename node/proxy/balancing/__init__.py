"""Upstreams and their targets: which address a request goes to, and whether it can."""

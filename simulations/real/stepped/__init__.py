"""Imported by other processes, by its folder (``sitecustomize``)."""

"""The data plane beside other proxies: ``python -m benchmarks.proxy``."""

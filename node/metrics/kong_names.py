"""What workers count for Kong's metrics: names, and bounds of histograms."""

REQUESTS = "kong_http_requests_total"
BANDWIDTH = "kong_bandwidth_bytes"
KONG_LATENCY = "kong_kong_latency_ms"
UPSTREAM_LATENCY = "kong_upstream_latency_ms"
TARGET_HEALTH = "kong_upstream_target_health"
"""Counted by a worker when a configuration asks for it; the agent then tells it."""
REQUEST_LATENCY = "kong_request_latency_ms"

OWN_BOUNDS = (1, 2, 5, 7, 10, 15, 20, 30, 50, 75, 100, 200, 500, 750, 1000, 3000, 6000)
UPSTREAM_BOUNDS = (25, 50, 80, 100, 250, 400, 700, 1000, 2000, 5000, 10000, 30000, 60000)
"""Milliseconds."""

WORKSPACE = "default"
"""The one that there is."""

"""What a node tells of itself in numbers: measured, declared once, and written for Prometheus."""

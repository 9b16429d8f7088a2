"""The data plane: what runs in a worker process. Bytes in, route and rewritten head out."""

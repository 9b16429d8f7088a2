"""How a change travels in a large cluster: our core beside models of other designs."""

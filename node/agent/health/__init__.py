"""The health of targets as the node knows it: probes, other nodes' words, and what was set by
hand."""

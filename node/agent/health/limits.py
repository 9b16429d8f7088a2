"""Bounds of probing and of what nodes tell each other of it. Times in seconds."""

from gossip.limits import OBSERVATION_BYTES_MAX

PROBERS = 2
"""How many of the nodes probe an address. Of two, one may be wrong, or gone."""
WORDS_SECONDS = 5.0
"""How often probers say again how what they probe stands."""
WORDS_MISSED_MAX = 3
"""After so many words that didn't come, or so many intervals between probes where those are
longer, a node probes by itself."""
DIFFERENCE_SECONDS = 1.0
"""How long a node lets others' words differ from its own state, or from each other, before it
probes by itself: probers find the same thing one after the other."""
JITTER = 0.1
"""Share of an interval by which probes are earlier or later, so that they don't come in step."""
CONFIRM_SECONDS = 0.1
"""Between the probes of a node that confirms what another has found."""
CONFIRM_WITHIN_SECONDS = 0.05
"""How soon the first of these comes, at random."""
CONFIRM_PROBES_MAX = 10
DOUBT_SECONDS = 30.0
"""For so long one failed request suffices where another node has found an address unhealthy."""
ADDRESSES_MAX = 4_096
"""Addresses that are probed or watched, over all upstreams."""
PROBES_MAX = 256
"""Under way at once, over all upstreams."""
PROBE_CONTEXTS_MAX = 256
"""TLS contexts of probes that are kept: one for each client certificate, verifying or not."""
STATUS_LINE_BYTES_MAX = 1_024
MEMBERS_SECONDS = 0.1
"""How soon it is looked who lives when a member has changed: many may at once."""
LOOK_SECONDS = 1.0
"""How often it is looked who lives, and whether what is held is still the replica's."""
WORDS_PER_OBSERVATION_MAX = 10
TAKEN_AT_ONCE = 256
"""Of one changeset; one with more is taken as if the whole state had been replaced."""
LOADED_AT_ONCE = 64
"""Upstreams and targets of a whole state that are read before others get their turn."""
MANUAL_MAX = 512
"""Targets set by hand whose setting is kept: half of all registers."""
MANUAL_HEALTHY_SECONDS = 60.0
"""How long it is told that a target was set healthy: new nodes take it for that anyway."""
REPORT_RESOLVE_SECONDS = 2.0
"""How long the Admin API waits for a name."""

_WORD_BYTES_MAX = 3 * (2 + 16) + 1 + 3 + 1
"""Three binaries, an array, a port and a boolean, as msgpack writes them."""
assert WORDS_PER_OBSERVATION_MAX * _WORD_BYTES_MAX + 8 <= OBSERVATION_BYTES_MAX

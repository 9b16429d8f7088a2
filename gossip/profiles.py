"""Timing for three kinds of network. Each parameter is documented with its formula.

Where nothing else is said, values down to ``stream_timeout`` are those of hashicorp/memberlist's
Local, LAN and WAN configurations, which years of production have tuned.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """Protocol parameters. Times are in seconds."""

    name: str
    probe_interval: float = 1.0
    """One member is probed per interval; in every ``health score + 1``-th only when the score
    isn't 0."""
    probe_timeout: float = 0.5
    """Wait for a direct ack before helpers and TCP are tried. Stretched to ``probe_timeout *
    (health score + 1)`` (Lifeguard, arXiv 1707.00788, IV-A: "both the interval and the timeout";
    memberlist stretches the interval alone). Above the network's 99th percentile round trip."""
    probe_window: float = 0.9
    """From a ping to the verdict; stretched like ``probe_timeout``. Below the interval, so that it
    stays below the time between two turns however far both are stretched."""
    cross_zone_every: int = 4
    """Every so many rounds probes go across zones (``gossip.schedule``)."""
    knock_after: float = 0.2
    """Without a direct ack after this, or after four smoothed round trips if that is more, the
    member is knocked at: a closed port says so at once (``gossip.refusal``)."""
    doubt_max: float = 10.0
    """Ten intervals: how long accusations are withheld by a node that hears nobody at all
    (``gossip.doubt``)."""
    indirect_checks: int = 3
    """Helpers asked after a direct probe failed; SWIM's k."""
    nack_share: float = 0.8
    """A helper that has no ack after this share of ``probe_window - probe_timeout`` says so, which
    tells the prober that at least the helper is reachable (Lifeguard, LHA-Probe)."""
    health_score_max: int = 7
    """Bound of the local health score: intervals stretch to eight times at most."""
    accusations_first: int = 1
    """So many of the claims against a suspect, of which one is held at a time, lead the packets to
    it: it hears before anything else what it has to refute (Lifeguard's Buddy System). With 0 it
    hears like everybody, by piggyback when its turn comes (SWIM)."""
    suspicion_mult: int = 5
    """Shortest suspicion = ``suspicion_mult * max(1, log10 n) * probe_interval``. 5 is Lifeguard's
    alpha (memberlist: 4), with which a process that is stopped for 5 s survives: accused 0.9 s
    after the stop at the earliest, it has until 5.9 s, and refutes when it reads that at 5 s. With
    4 it would be failed at 4.9 s. Killed processes are found otherwise (``gossip.refusal``), so
    the longer wait costs only where a whole host falls silent."""
    suspicion_max_mult: int = 6
    """Longest suspicion = ``suspicion_max_mult`` times the shortest."""
    retransmit_mult: int = 4
    """A claim is piggybacked ``retransmit_mult * ceil(log10(n + 1))`` times."""
    push_pull_interval: float = 30.0
    """Whole member tables are exchanged with a random member at this interval for n <= 32, and
    ``(ceil(log2 n - 5) + 1)`` times as seldom above, so that the cluster's load stays flat."""
    stream_timeout: float = 10.0
    """A stream's connect and exchange, altogether. 1 s is plenty on one machine."""
    slice_timeout: float = 10.0
    """One slice of a snapshot, from the question to its last byte: 512 KiB in 10 s is 50 kB/s. The
    whole has no deadline of its own."""
    eager_fanout: int = 4
    """In a cluster too large for the first who knows to tell all, everyone who hears a claim passes
    it on to so many at once: 98 % hear it that way (x = e^(-4(1-x))), the rest by piggyback."""

    reconnect_interval: float = 5.0
    """One failed member and one silent seed are tried again this often, times U(0.5, 1.5), for as
    long as they are listed: a partition of any length heals. memberlist never does this; five
    products bolted it on (hashicorp/memberlist#222)."""
    call_timeout: float = 5.0
    """A table exchange with an address where perhaps nobody is, connect and all. No longer than
    ``reconnect_interval``, or a host that comes back waits for a connect that TCP repeats ever more
    seldom."""
    reconnect_age: float = 300.0
    """Who has been gone for longer is tried with the probability ``reconnect_age / age`` each time:
    after an hour every minute, after a day every half hour, by each node."""
    isolation_alarm: float = 30.0
    """A node that should have peers and has heard of none for so long says so."""
    join_retry_min: float = 0.2
    """While no peer is known the seeds are tried again after this, doubled up to
    reconnect_interval."""
    resolve_interval: float = 60.0
    """The seeds' names are resolved again this often: containers move."""
    failed_ttl: float = 3600.0
    """A failed member leaves the listing after this (``cluster_ttl_on_failure``)."""
    left_ttl: float = 60.0
    """A member that left leaves the listing after this."""
    leaving_timeout: float = 30.0
    """A member that said it is leaving and then fell silent counts as left after this."""
    leave_delay: float = 0.2
    """From ``leaving`` to ``left``, and from ``left`` to the end of the process' part: two spreads,
    so that the loss of one packet isn't taken for a failure."""
    tombstone_ttl: float = 86_400.0
    """How long the last claim about a member that left the listing is kept: far beyond every queue,
    or an old alive claim still under way would raise it from the dead."""

    announce_delay: float = 0.002
    """After something new came and nothing more has for so long, a few others are told of it."""
    announce_fanout: int = 6
    """So many, drawn by lot. Each member hears from about as many: of 1,000 at 1 % of packets lost,
    99.995 % have a change before any probe (the model of GOSSIP 4.2; 3: 99.94 %)."""

    repair_patience: float = 0.001
    """Wait before a gap is asked for. Jitter makes early arrivals common in bursts."""
    repair_timeout: float = 0.02
    """Wait for the answer to a gap request, or four round trips to that peer if they are known and
    shorter; doubled with each attempt."""
    repair_give_up: float = 2.0
    """Time without progress after which the authority is needed: a dozen round trips at least, and
    long enough for TCP to repair a lost segment or two."""
    repair_rest: float = 1.0
    """Pause after that before peers are asked again."""


LOCAL = Profile(
    name="local",
    probe_timeout=0.2,
    knock_after=0.1,
    indirect_checks=1,
    suspicion_mult=3,
    retransmit_mult=2,
    push_pull_interval=15.0,
    stream_timeout=1.0,
    slice_timeout=5.0,
    leave_delay=0.05,
)
"""One machine."""

LAN = Profile(name="lan")
"""One data centre or region."""

WAN = Profile(
    name="wan",
    probe_interval=5.0,
    probe_timeout=3.0,
    probe_window=4.5,
    knock_after=1.0,
    doubt_max=50.0,
    suspicion_mult=6,
    push_pull_interval=60.0,
    stream_timeout=30.0,
    slice_timeout=60.0,
    leave_delay=1.0,
    announce_delay=0.02,
    repair_patience=0.005,
    repair_timeout=1.0,
    repair_give_up=20.0,
)
"""Across the world."""

PROFILES = {profile.name: profile for profile in (LOCAL, LAN, WAN)}
"""By the value of ``cluster_profile``."""

for _profile in PROFILES.values():
    assert _profile.knock_after < _profile.probe_timeout
    assert _profile.probe_timeout < _profile.probe_window < _profile.probe_interval
    assert _profile.cross_zone_every > 0
    assert _profile.suspicion_mult > 2
    assert _profile.call_timeout <= _profile.reconnect_interval
    assert _profile.tombstone_ttl > 2 * _profile.push_pull_interval

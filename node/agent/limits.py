"""Every bound of the agent, in one place. Times in seconds, sizes in bytes."""

from node.channel import FRAME_BYTES_MAX

SNAPSHOT_SLICE_CHANGES = 128
"""Entities in one snapshot frame: a few milliseconds of a worker's time to take in."""
SNAPSHOT_SLICE_BYTES = 128 * 1024

LOAD_SLICE_ENTITIES = 256
"""Entities of a whole state that are taken in before other things get their turn."""
LOAD_SLICE_BYTES = 128 * 1024
"""Of changesets that followed it."""

SLICE_SECONDS = 10.0
"""How long a worker may take for a slice before it is taken for stuck."""

LARGE_SECONDS = 60.0
"""How long it may take to serve a large changeset once it has all of it."""

CHANNEL_BACKLOG_BYTES_MAX = 256 * 1024 * 1024
"""Unsent bytes to one worker beyond which it is taken for stuck, killed and replaced."""

WORKER_START_SECONDS = 30.0
"""From spawn to ``ready``; a slower worker is killed and replaced."""
WORKER_RESTART_BACKOFF_SECONDS = (0.0, 0.1, 0.5, 1.0, 2.0, 5.0)
"""Pause before the n-th restart in a row of a worker that died within WORKER_SETTLED_SECONDS."""
WORKER_SETTLED_SECONDS = 10.0

COMMIT_WORKERS_SECONDS = 0.1
"""How long an unfenced write waits for this node's own workers (DESIGN 4, point 8)."""

FENCE_GUARD_SECONDS = 1.0
"""How much later than its end a fence is given up that nothing is heard of: gossip was closed."""

AUTHORITY_PATIENCE_SECONDS = 1.0
"""How much longer than ``pg_timeout`` an attempt to open the authority may take: its own reason for
failing is better than ours."""
AUTHORITY_FIRST_SECONDS = 1.0
"""How long the first packet waits for the authority, which names the generation. One that answers
does so in a fraction of that."""
AUTHORITY_RETRY_SECONDS = 0.5
"""Before the authority is tried again that was lost while it was read; jittered by up to half."""
PEERS_PATIENCE_SECONDS = 60.0
"""How long peers are asked for their state before the authority's is read."""
CANT_FOLLOW_SECONDS = 30.0
"""Before an authority is read again whose changes can't be applied here; jittered by up to half."""
REACHED_ELSEWHERE_SECONDS = 1.0
"""So long ago at most another member has read an authority that counts as back."""
LISTENERS = 3
"""How many of the live nodes listen for commits at the authority (DESIGN 4, point 6)."""
LISTENERS_LOOK_SECONDS = 1.0
"""How often a node looks whether it is one of them."""
LISTEN_PATIENCE_SECONDS = 0.1
"""How long a commit that was heard of at the authority may take to come by gossip."""
ALONE_LOOKUP_SECONDS = 1.0
"""How often a node without a peer reads the other nodes' rows."""
EARLY_PATIENCE_SECONDS = 0.1
"""How long a commit of this node's own waits for another node's before it to come by gossip, until
that is read at the authority: a push that is lost and asked for again takes less, so nodes which
write side by side hardly ever read what the others wrote."""
LOG_READ_CHANGESETS = 1_000
LOG_TURN_CHANGESETS = 64
"""So many of them are applied before other things get their turn: a few milliseconds."""
PEERS_PAUSE_SECONDS = 0.05
PEERS_PAUSE_CHANGESETS = 100
"""Peers that bring fewer in that time have paused: the log is read on. Busy clusters write less."""
HISTORY_SETTLE_SECONDS = 10.0
"""How long a read or a write waits for the verdict on a history that lacks what was confirmed: two
seconds of asking others, and the raise."""
HISTORY_QUESTIONS_MAX = 256
"""Questions of members about the authority that wait to be answered."""
EPOCH_KNOWN_HEADS = 10_000
"""Heads of the former history among which a raise looks for the fork point."""
ABANDONED_FILES_MAX = 16
"""Files of what raised epochs have left behind; the newest stay."""
EPOCH_SPREAD_SECONDS = 0.02
"""What each member adds to the time over which all read a new epoch at the authority."""

BIND_RETRY_SECONDS = 6.0
"""A port may still be held by the process that this one replaces."""
BIND_RETRY_PAUSE_SECONDS = 0.1

SIGNAL_ONCE_SECONDS = 1.0
"""Signals this close to the first count as one: a terminal and a parent often both send it."""

EVENT_QUEUE_MAX = 1_024
"""Events waiting for one slow subscriber; beyond it the oldest are dropped, counted and told."""

GOSSIP_RETRY_SECONDS = 1.0
"""Between attempts to start gossip while a name doesn't resolve or the key isn't known."""

HANDSHAKE_SECONDS = 0.005
"""How long connections that have begun may take to complete before the listeners close: some round
trips in one data centre. What begins in this time comes again a second later."""

LEAVE_SECONDS = 2.0
"""How long telling the others and the authority may take before the node drains anyway."""

SWEEP_SECONDS = 300.0
"""How often one node of the cluster deletes what has expired. Readers ignore it at once."""
SWEEP_PAUSE_SECONDS = 0.05
"""Between two pages of a sweep."""

AUDIT_SECONDS = 600.0
"""In which all that this node holds is looked at once, in memory and in its workers (DESIGN 5)."""
AUDIT_IDLE_SECONDS = 1.0
"""How often it is asked whether there is something to look at."""
AUDIT_SLICE_CHANGES = 32
"""Entities that a worker looks at between two requests: about a millisecond."""
AUDIT_SLICE_BYTES = 32 * 1024
AUDIT_STEPS_MAX = 100
"""Changesets that one audit of the database writes at most."""
AUDIT_YIELD_ENTITIES = 64
"""After so many look-ups in the replica others get their turn."""

DOCUMENT_KEEPSAKE_BYTES_MAX = 1_024

REVISION_EVENT_CHANGES_MAX = 20
"""Changes that one ``revision`` event names; the rest are counted."""
REVISIONS_PENDING_MAX = 4_096
"""Changesets applied but not yet live in the workers; older ones are no longer reported."""

KEY_UNKNOWN_LOG_SECONDS = 60.0
"""Between two lines of the log about keys that only one side has."""
KEYRING_ATTEMPTS_MAX = 5
"""How often a change of keys is made anew when another node's came first."""
KEYRING_STORERS = 3
"""So many live nodes see to it that a keyring which came by gossip is in the authority, too."""
NAMES_SHOWN_MAX = 10
"""Members that an error names; the rest are counted."""

REPLICA_FINISH_SECONDS = 2.0
"""How long the replica may take to be written when the node stops; what is missing it gets from the
authority or from peers at the next start."""
REPLICA_SERVE_FIRST_SECONDS = 10.0
"""How long a node that starts may take to serve before its replica is written all the same."""
REPLICA_SERVE_LOOK_SECONDS = 0.05
SILENCE_SECONDS = 5.0
"""How long all seeds and known peers must be silent, with the authority away, before a node serves
what its disk holds (DESIGN 5, start rule)."""
SILENCE_LOOK_SECONDS = 0.1

REGISTERS_FILE_BYTES_MAX = 8 * 1024 * 1024
PEEK_SECONDS = 1.0
"""How long workers may take to tell what they have cached; what they haven't told isn't shown."""

IDENTITY_BYTES_MAX = 4_096
KEEPSAKE_BYTES_MAX = 1024 * 1024
PEERS_KEPT_MAX = 1_024
"""Addresses kept for a start with the authority away; the most recently seen come first."""
PEERS_KEPT_SECONDS = 7 * 86_400.0
"""How long an address is kept after somebody ran there last."""
PEERS_KEPT_MIN = 16
"""So many are kept whatever their age: the clock may be wrong, and an outage longer than a week."""
PEERS_FRESH_SECONDS = 3_600.0
"""How often it is noted who runs, while nothing changes."""

REMOVALS_PENDING_MAX = 1_024
"""Members forced out that the authority hasn't been told of yet."""
REMOVALS_TOLD_MAX = 256
"""Of those that the authority remembers, so many of the latest are told to gossip: there they take
the room of other tombstones, and old ones only meet what has long been forgotten."""
GONE_PENDING_MAX = 1_024
"""Members that left the listing and whose rows are still to be deleted."""
NOTICES_MAX = 16
"""What an operator should know of this node's identity, in ``GET /cluster``; the latest stay."""

assert SNAPSHOT_SLICE_BYTES * 2 < FRAME_BYTES_MAX

LABELLED_MAX = 20_000
"""Metrics of different labels kept of workers that have ended."""

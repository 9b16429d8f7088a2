"""What must happen to whole nodes now and then, beside what ``simulations.sometimes`` lists.

A batch of seeds in which one of these never occurs tests less than it claims, and fails.
"""

from simulations.sometimes import MEANINGS as ALSO

MEANINGS = {
    "worker_fed": "a worker served its first whole state",
    "worker_fed_anew": "a worker that served was given another whole state",
    "worker_staged": "a worker swapped in a large changeset that came in slices",
    "worker_killed": "a worker died, and another took its place",
    "cold_overlay": "a look-up was answered by the changes that the file lacks",
    "cold_cached": "a look-up was answered by the cache",
    "cold_file": "a look-up was answered by the replica file",
    "cold_told": "a look-up was answered by the agent",
    "cold_ahead": "a look-up waited for a version that the file has already",
    "cold_found": "a credential or consumer was found",
    "cold_not_found": "a key was shown that is nobody's, or nobody's any more",
    "replica_unwritten": "the replica file couldn't be written on a full disk",
    "replica_set_aside": "a damaged replica file was set aside at a start",
    "snapshot_installed": "a peer's state filled a node",
    "write_refused": "a write was refused",
    "commit_unknown": "a connection was lost in COMMIT",
    "killed_after_commit": "a process died between its commit and the push",
    "authority_slow": "a commit was answered late",
    "commits_lost": "a failover lost commits",
    "restored": "the database was put back to an old image",
    "log_trimmed": "the authority's log was trimmed",
    "epoch_raised": "an epoch was raised",
    "database_split": "two databases took writes at once",
    "split_known": "a node knew of two databases, and refused writes",
    "forged_refused": "what an attacker sent was refused",
    "gap_repaired": "a peer sent what was missing",
    "pulled": "what was missing came by a stream",
    "reconciled": "what differed from a peer was made good",
    "key_fetched": "a key that was unknown was fetched",
    "news_of_use": "somebody told of something new that was missing elsewhere",
    "sketch_decoded": "a sketch showed what differs from a peer's state",
    "sketch_overflowed": "more differed than a sketch could show: ranges were compared instead",
    "queue_full": "a queue or table of a core was full, and something was left out",
}
"""Name -> what it is."""

GOSSIP_6_7 = {
    "suspect refuted in time": "refuted_in_time",
    "refuted too late (dead then alive again)": "refuted_too_late",
    "stale alive refused and answered": "stale_answered",
    "tombstone blocked a zombie": "zombie_blocked",
    "indirect ack saved a node": "saved_indirectly",
    "TCP ping saved a node": "saved_by_stream",
    "health score reached max": "health_worst",
    "suspicion timeout hit min by confirmations": "suspicion_shortest",
    "and hit max without": "suspicion_longest",
    "IHAVE repair used": "news_of_use",
    "gap repair used": "gap_repaired",
    "level-1 sketch decoded": "sketch_decoded",
    "and overflowed to level 2": "sketch_overflowed",
    "snapshot reload used": "snapshot_installed",
    "name conflict resolved": "renamed",
    "epoch conflict resolved": "epoch_raised",
    "key unknown then refetched": "key_fetched",
    "queue bound hit": "queue_full",
    "Postgres outage ridden out": "outage",
    "split healed after both sides purged": "both_sides_buried",
}
"""GOSSIP 6.7, word for word -> the name here, or in the other list."""

REQUIRED = {**MEANINGS, **{name: ALSO[name] for name in GOSSIP_6_7.values() if name in ALSO}}
"""What a batch must show."""

COUNTED = {
    "repairs_answered": "gap_repaired",
    "pulls_answered": "pulled",
    "reconciles_installed": "reconciled",
    "keyrings_adopted": "key_fetched",
    "news_missing": "news_of_use",
    "changesets_early_dropped": "queue_full",
    "fences_refused": "queue_full",
    "fence_questions_dropped": "queue_full",
    "probes_skipped": "queue_full",
    "streams_refused": "queue_full",
    "knocks_dropped": "queue_full",
    "refusal_cases_dropped": "queue_full",
    "claims_refused": "queue_full",
    "registers_dropped": "queue_full",
}
"""A counter of the core -> what it shows."""

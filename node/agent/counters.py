"""What the agent counts besides gossip and the authority, by name; metrics show zeros, too."""

from node.agent.health.targets import COUNTERS as TARGET_HEALTH

MEANINGS = {
    "replica_file_writes": "times that the replica file was brought up to date",
    "replica_file_failures": "times that the replica file could not be written",
    "replica_file_overflows": "times that too much waited for the disk",
    "replica_file_set_aside": "replica files set aside: damaged, or of another authority",
    "worker_restarts": "workers that ended without being told to",
    "reloads": "reloads of the configuration",
    "replica_audits": "times that all that the replica holds was hashed anew",
    "replica_audits_failed": "times that this showed that the replica is damaged",
    "replica_verifications": "times that the database was read to compare what is held with it",
    "worker_audits": "times that the workers were told all that they should hold",
    "worker_audits_failed": "times that a worker held something else",
    "cluster_audits": "times that this node has compared the database with what the nodes hold",
    "cluster_audits_inconclusive": "times that the two could not be compared",
    "cluster_audits_failed": "times that the database held something else",
    "cluster_audit_rows_spread": "rows changed past the Admin API that audits brought to all nodes",
    "cluster_audit_rows_refused": "rows that were not brought, as they don't validate",
    **TARGET_HEALTH,
    "events_dropped": "events that slow readers of the event stream lost",
}

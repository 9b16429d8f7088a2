"""What is counted, by name. Every name is declared here, so that metrics show zeros too."""

MEANINGS = {
    "datagrams_in": "UDP packets received",
    "datagrams_out": "UDP packets handed to the transport",
    "datagram_bytes_in": "bytes of UDP packets received",
    "datagram_bytes_out": "bytes of UDP packets sent",
    "frames_in": "stream frames received",
    "frames_out": "stream frames sent",
    "streams_opened": "streams opened",
    "streams_accepted": "streams accepted",
    "streams_failed": "opened streams that ended without an answer",
    "streams_refused": "streams not opened because too many are open",
    "dropped_oversized": "packets or frames above their size limit",
    "dropped_garbage": "packets or frames that are not of this protocol",
    "dropped_version": "packets or frames of a protocol version without overlap with ours",
    "dropped_cluster": "packets or frames of another cluster name",
    "dropped_receiver": "packets or frames meant for another node id",
    "dropped_own": "packets or frames that this node sent itself: an address that leads back",
    "dropped_clear": "packets or frames in clear although a key is set",
    "dropped_sealed": "sealed packets or frames although no key is set",
    "dropped_unknown_key": "sealed packets or frames under another cluster key",
    "dropped_forged": "sealed packets or frames that don't authenticate",
    "dropped_replayed": "sealed packets or frames seen before, or too old to tell",
    "dropped_stranger": "messages that only members may send, from a sender that is none",
    "dropped_stream": "frames on a stream that is not open",
    "dropped_finished": "packets or frames that arrived after this node had left",
    "messages_malformed": "messages with missing or wrong fields",
    "messages_unknown": "messages of a kind that this version doesn't know",
    "amplification_prevented": "answers not sent because they would outweigh an unproven question",
    "probes": "probes begun",
    "probes_failed": "probes without any answer",
    "probes_saved_indirectly": "probes answered through a helper only",
    "probes_saved_by_stream": "probes answered over TCP only: UDP is lost on the way",
    "acks_unexpected": "acks and nacks that answer no probe of ours",
    "relays": "indirect probes run for others",
    "relays_refused": "indirect probes not run: unknown target, or too many at once",
    "stalls": "times this process was stopped or slow, so that no timer was judged",
    "suspicions": "members put under suspicion by this node",
    "failures": "members declared failed by this node",
    "refutations": "accusations against this node that it refuted",
    "claims_changed": "claims about members that changed the table",
    "claims_stale": "claims about members that are older than what is held",
    "claims_answered": "stale claims answered with what is held",
    "claims_unknown": "verdicts about members that are not listed",
    "claims_refused": "claims not admitted because the member table is full",
    "identity_conflicts": "claims of another process with a node id or name in use",
    "push_pulls": "member table exchanges begun",
    "push_pulls_answered": "member table exchanges answered",
    "pushes": "changesets pushed, counted once for all receivers",
    "announcements": "heads announced because a changeset is too large to push",
    "changesets_applied": "changesets from peers that were applied",
    "changesets_known": "changesets from peers that were held already",
    "changesets_early": "changesets that arrived before their predecessor",
    "changesets_early_dropped": "early changesets for which there was no room",
    "changesets_corrupt": "changesets whose digest doesn't fit",
    "changesets_forked": "changesets of another history",
    "heads_forked": "heads of another history at our version",
    "repairs_requested": "gap requests sent",
    "repairs_answered": "gap requests answered",
    "repairs_missing": "gap requests and pulls that the log here doesn't reach",
    "pulls": "pulls by stream begun",
    "pulls_answered": "pulls by stream answered",
    "behind": "times that peers couldn't repair this replica",
}


class Counters(dict[str, int]):
    """Name -> count since the start."""

    def __init__(self) -> None:
        super().__init__(dict.fromkeys(MEANINGS, 0))

    def add(self, name: str, amount: int = 1) -> None:
        """Count. Raises KeyError for a name that isn't declared above."""
        self[name] += amount

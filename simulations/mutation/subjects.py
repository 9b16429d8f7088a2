"""What is mutated, and what must notice."""

from typing import NamedTuple


class Subject(NamedTuple):
    """Modules that decide something together."""

    modules: tuple[str, ...]
    tests: tuple[str, ...]
    """Files or folders whose tests must notice; of these only those that come by a line are run."""
    runs: tuple[tuple[str, ...], ...]
    """Simulations that must notice: scenario and options."""


SUBJECTS: dict[str, Subject] = {
    "membership": Subject(
        (
            "gossip/members.py", "gossip/claims.py", "gossip/member.py", "gossip/suspicion.py",
            "gossip/health.py", "gossip/doubt.py", "gossip/departure.py", "gossip/own_record.py",
            "gossip/detection.py", "gossip/probe.py", "gossip/watch.py", "gossip/contest.py",
        ),
        (
            "tests/gossip/test_members.py", "tests/gossip/test_claims.py",
            "tests/gossip/test_suspicion.py", "tests/gossip/test_probe.py",
            "tests/gossip/test_doubt.py", "tests/gossip/test_watch.py",
            "tests/gossip/test_contest.py", "tests/gossip/test_leaving.py",
            "tests/gossip/test_force_leave.py", "tests/gossip/test_pains.py",
            "tests/gossip/test_pushpull.py", "tests/gossip/test_schedule.py",
            "tests/gossip/test_refusal.py", "tests/gossip/test_observations.py",
        ),
        (("swarm", "--seeds=15"),),
    ),
    "apply": Subject(
        (
            "store/replica.py", "store/changelog.py", "store/contents.py", "store/preparation.py",
            "store/installation.py", "gossip/early.py", "gossip/dissemination.py",
            "gossip/repair.py",
        ),
        (
            "tests/store/test_replica.py", "tests/store/test_preparation.py",
            "tests/store/test_replica_snapshot.py", "tests/store/test_reconcile.py",
            "tests/store/test_postings.py", "tests/store/test_state_hash.py",
            "tests/gossip/test_dissemination.py", "tests/gossip/test_repair.py",
            "tests/gossip/test_large_changesets.py", "tests/gossip/test_announcements.py",
            "tests/gossip/test_snapshot.py", "tests/gossip/test_spreading.py",
        ),
        (("swarm", "--seeds=8"), ("repairs", "--nodes=4", "--seeds=2")),
    ),
    "history": Subject(
        (
            "store/history.py", "store/lineage.py", "store/verdict.py", "gossip/history.py",
            "gossip/allegiance.py", "gossip/confirmation.py",
        ),
        (
            "tests/store/test_verdict.py", "tests/store/test_lineage.py",
            "tests/store/test_history.py", "tests/store/test_replica.py",
            "tests/gossip/test_history.py", "tests/gossip/test_allegiance.py",
            "tests/gossip/test_dissemination.py", "tests/simulations/test_histories.py",
        ),
        (
            ("failover", "--nodes=5"), ("split_database", "--nodes=4"),
            ("histories", "--nodes=5", "--seeds=4"),
        ),
    ),
}  # fmt: skip


def subject_of(module: str) -> Subject:
    """That of a module, by its path. Raises KeyError for one that no subject has."""
    for subject in SUBJECTS.values():
        if module in subject.modules:
            return subject
    raise KeyError(module)

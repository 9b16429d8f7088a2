"""A message of every kind that nodes send each other."""

from gossip.invalidation import By
from gossip.keyring import configured
from gossip.member import Status
from gossip.messages import Message
from gossip.messages.changes import Distant, Fetch, Pull
from gossip.messages.fence import FenceAnswer, FenceQuestion, Standing
from gossip.messages.history import Answer, Question, Stance
from gossip.messages.keys import Keys, KeysWanted
from gossip.messages.membership import Nack, PingRequest, PushPull, TableDigest
from gossip.messages.observations import Observation
from gossip.messages.purges import Purge, PurgeMark, PurgesWanted, Source
from gossip.messages.registers import Register
from gossip.messages.repair import Compare, Confirmed, Reconcile, Reconciled, Unreconciled
from gossip.messages.spreading import Holds, Relay, Relayed, Run
from tests.gossip.drive import node_id, verdict, wire
from tests.gossip.test_fuzz import HEAD, MESSAGES

SOURCE = Source(node_id(2), 1, 7, "purged")
STANCE = Stance("server", 1, HEAD, HEAD, True)

EVERY: list[Message] = [
    *MESSAGES,
    PingRequest(1, node_id(3)),
    Nack(1),
    verdict(2, Status.LEFT),
    PushPull(False),
    TableDigest(bytes(16), False),
    Pull(HEAD),
    Distant(HEAD),
    Fetch(1, HEAD, b"mark"),
    FenceQuestion(node_id(2), 2, 2, (1, 1, 8), 2.0),
    FenceAnswer(1, 1, Standing.REACHED),
    Question(1, STANCE),
    Answer(1, STANCE),
    Answer(2, None),
    Keys(configured(b"k" * 32)),
    KeysWanted(),
    Observation(b"seen"),
    Purge(SOURCE, 1, By.KEY, "key", (1, 1, 7)),
    PurgeMark(SOURCE, 3),
    PurgesWanted(SOURCE, (1, 2)),
    Register("name", 1, node_id(2), 2, "value", 4.035),
    Register("name", 2, node_id(2), 2, None, None),
    Compare(HEAD, b"s" * 32, True, Confirmed((1, 1, 6), b"")),
    Reconcile(HEAD, b"question"),
    Reconciled(HEAD, b"s" * 32, b"answer"),
    Unreconciled(),
    Relay((wire(2), wire(3))),
    Relayed(wire(3), 0.5),
    Holds((1, 1, 7), (Run(1, 1, 9, 12),)),
]

"""Runs that are looked at from beginning to end: one that was arranged, and one drawn by lot."""

from collections.abc import Sequence

from gossip.profiles import LAN
from simulations import swarm
from simulations.operations import Fence, Operation, Purge, SetRegister, Write
from simulations.pictures import bands, captions, page
from simulations.pictures import tour as tours
from simulations.pictures.page import Key
from simulations.pictures.recording import Recording
from simulations.pictures.wanted import Wanted
from simulations.runner import Request
from simulations.world import World

_QUIET = (Write, Purge, SetRegister, Fence)
"""Operations that are no faults."""
_READABLE = range(6, 26)
"""So many faults can be looked at."""
_READABLE_NODES = 5
_HELD = (
    Key("held-alive", "held for alive"),
    Key("held-suspect", "suspected"),
    Key("held-failed", "declared failed"),
    Key("held-left", "said to have left"),
    Key("apart", "cut off"),
    Key("away", "the authority is away"),
)
_TRUTH = (
    Key("truth-runs", "really runs"),
    Key("truth-still", "stands still"),
    Key("truth-down", "process dead"),
    Key("truth-off", "without power"),
    Key("truth-leaves", "leaves"),
)
_LAGS = [Key(f"lag-{place}", name) for place, (_, name) in enumerate(bands.LAGS)]


def tour(wanted: Wanted) -> str:
    """The one that was arranged."""
    world = World(tours.NODES, wanted.seed, LAN, skewed=True)
    world.checks.begin_audits()
    world.poll_in_turn()
    recording = Recording(world)
    tours.live(world)
    done = tours.done(tours.NODES)
    drawing = bands.draw("A cluster in trouble", recording, done, _names(world))
    listed = page.numbered(f"{one.at:g} s: {one.what}" for one in done)
    lead = captions.TOUR.format(nodes=tours.NODES)
    return f"<p>{lead}</p>" + page.figure([drawing], captions.BANDS, _legends(), listed)


def drawn(wanted: Wanted) -> str:
    """The swarm run of the first seed that can be read: enough nodes, and not too many faults."""
    seed = next(seed for seed in range(wanted.seed, wanted.seed + 1_000) if _is_readable(seed))
    plan = swarm.draw(seed)
    world = swarm.build(plan, seed)
    recording = Recording(world)
    swarm.run(world, plan)
    done = [bands.Done(at, repr(operation)) for at, operation in faults(plan)]
    healed = max(plan.seconds, *(at for at, _ in plan.operations))
    done.append(bands.Done(healed, "all faults end, and the core heals"))
    drawing = bands.draw("A swarm run", recording, done, _names(world))
    lead = captions.DRAWN.format(
        seed=seed,
        nodes=plan.nodes,
        faults=len(done) - 1,
        sealed="sealed with a key" if plan.keyring else "in clear",
        core=", ".join(f"node {index}" for index in plan.core),
    )
    listed = page.numbered(f"{one.at:.1f} s: {one.what}" for one in done)
    more = page.folded(f"The {len(done)} things that were done", listed)
    more += page.command(Request("swarm", 0, seed).line())
    return f"<p>{lead}</p>" + page.figure([drawing], captions.DRAWN_BANDS, _legends(), more)


def faults(plan: swarm.Plan) -> Sequence[tuple[float, Operation]]:
    """What is done to a cluster in a plan, beside what its clients do."""
    return [(at, one) for at, one in plan.operations if not isinstance(one, _QUIET)]


def _is_readable(seed: int) -> bool:
    plan = swarm.draw(seed)
    return plan.nodes >= _READABLE_NODES and len(faults(plan)) in _READABLE


def _names(world: World) -> list[str]:
    return [f"node {node.index}" for node in world.nodes]


def _legends() -> str:
    return (
        page.swatches(_HELD, name="Others say")
        + page.swatches(_TRUTH, name="The truth")
        + page.swatches(_LAGS, name="Changes behind")
    )

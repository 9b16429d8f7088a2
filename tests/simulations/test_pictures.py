"""The page of pictures: it is whole, says what it shows, and is the same for the same seed."""

import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest
from click.testing import CliRunner

from gossip.profiles import LAN
from simulations import swarm
from simulations.__main__ import main
from simulations.operations import Crash, Join, Partition, Pause, Silence, Wait, Write, perform
from simulations.pictures import bands
from simulations.pictures.batch import Batch
from simulations.pictures.contents import Page, make
from simulations.pictures.curves import Curve, curves
from simulations.pictures.recording import Recording
from simulations.pictures.scales import Scale
from simulations.pictures.svg import Drawing, number
from simulations.pictures.trouble import faults
from simulations.pictures.wanted import Wanted
from simulations.runner import Request, run
from simulations.world import World

SMALL = Wanted(seed=3, seeds=4, nodes=10, changesets=1, alarms=2)
SIZE_MAX = 2_000_000


@pytest.fixture(scope="module")
def text() -> str:
    return make(SMALL).text


def parsed(text: str) -> ElementTree.Element:
    doctype, _, document = text.partition("\n")
    assert doctype == "<!DOCTYPE html>"
    return ElementTree.fromstring(document)


def told(root: ElementTree.Element, kind: str) -> list[str]:
    """What the elements of a class say."""
    return [
        one.findtext("title", "") for one in root.iter() if kind in one.get("class", "").split()
    ]


def test_it_is_well_formed_and_needs_nothing_else(text: str) -> None:
    root = parsed(text)
    assert len(text.encode()) < SIZE_MAX
    for element in root.iter():
        assert element.tag not in ("script", "link", "img", "iframe", "object")
        for name in ("src", "href"):
            assert element.get(name, "#").startswith("#")
    assert "@import" not in text
    assert "url(" not in text.replace("url(#hatch)", "")
    ids = [element.get("id") for element in root.iter() if element.get("id")]
    assert len(set(ids)) == len(ids)
    assert {link.get("href") for link in root.iter("a")} <= {f"#{one}" for one in ids}


def test_every_picture_has_a_caption_and_every_colour_is_in_the_style(text: str) -> None:
    root = parsed(text)
    figures = [*root.iter("figure")]
    assert len(figures) >= 9
    assert all(figure.find("figcaption") is not None for figure in figures)
    style = root.findtext("head/style") or ""
    drawn = {kind for svg in root.iter("svg") for one in svg.iter()
             for kind in one.get("class", "").split()}  # fmt: skip
    assert {kind for kind in drawn if f".{kind}" not in style} <= {"label"}
    assert "prefers-color-scheme: dark" in style


def test_it_tells_what_is_in_it(text: str) -> None:
    root = parsed(text)
    for curve in ("grapevine", "gossip on a 200 ms tick", "full mesh", "Plumtree"):
        assert any(curve == title for title in told(root, "curve")), curve
    seeds = [one.split(":")[0] for one in told(root, "ok")]
    assert [one for one in seeds if one] == [f"seed {seed}" for seed in range(3, 7)]
    assert any("declared failed" in one for one in root.itertext())
    assert any("hold it for failed" in one for one in told(root, "held-failed"))
    assert "cut off from most" in told(root, "apart")
    assert "the authority is away" in told(root, "away")
    # Axes with their units, a legend, and what makes it again.
    words = "\n".join(root.itertext())
    again = "python -m simulations report --seed 3 --seeds 4 --nodes 10"
    axes = ("milliseconds since the commit", "seconds", "percent of the bound", "share of nodes")
    for word in (*axes, "Others say", again):
        assert word in words


@pytest.mark.long
def test_one_seed_makes_one_page(text: str) -> None:
    assert make(SMALL).text == text


def test_the_command_writes_it_and_fails_if_a_run_did(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    out = tmp_path / "page.html"
    monkeypatch.setattr(
        "simulations.commands.page.make", lambda wanted, told: Page(text, ["run x"])
    )
    options = ("--seeds=2", "--nodes=10", "--changesets=1", f"--out={out}")
    outcome = CliRunner().invoke(main, ["report", *options])
    assert outcome.exit_code == 1, outcome.output
    assert outcome.output.startswith(str(out))
    assert "FAILED  run x" in outcome.output
    assert parsed(out.read_text()).findtext("head/title") == "Grapevine in simulation"


def test_a_run_that_fails_is_on_the_page_and_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    lived = swarm.run

    def fail(world: World, plan: swarm.Plan) -> None:
        if world.seed == 4:
            raise AssertionError("node 1 <went> back")
        lived(world, plan)

    monkeypatch.setattr(swarm, "run", fail)
    batch = Batch(SMALL, lambda done: None)
    assert batch.failures() == ["python -m simulations run swarm --nodes 0 --seed 4"]
    root = ElementTree.fromstring(f"<p>{batch.lead()}{batch.section(SMALL)}</p>")
    assert any("node 1 <went> back" in one for one in told(root, "bad"))
    assert "1 failed" in [*root.itertext()]


@pytest.mark.long
def test_looking_changes_nothing() -> None:
    for seed in (2, 5):
        plan = swarm.draw(seed)
        world = swarm.build(plan, seed)
        recording = Recording(world)
        swarm.run(world, plan)
        unseen = run(Request("swarm", 0, seed))
        assert world.trace_hash == unseen["trace_hash"]
        assert len(recording.moments) > 4 * plan.seconds


@pytest.fixture
def recorded() -> Recording:
    """Four nodes: one dies, one falls silent, one stands still; then all the rest is cut in two."""
    world = World(4, 1, LAN)
    recording = Recording(world)
    for operation in (Join(range(4)), Wait(3.0), Write(0), Wait(1.0), Crash(3), Wait(1.0),
                      Pause(2), Wait(1.0), Silence(2), Wait(1.0), Partition([[0], [1]]),
                      Wait(10.0)):  # fmt: skip
        perform(operation, world)
    return recording


def test_a_recording_tells_the_truth_and_what_the_others_hold(recorded: Recording) -> None:
    moments = {moment.at: moment.nodes for moment in recorded.moments}
    assert moments[0.0][0].condition == "not begun"
    assert moments[3.5][1] == ("runs", (3, 0, 0, 0), 3, 0, False)
    assert moments[4.5][3].condition == "is down"
    assert moments[4.5][3].held == (0, 0, 3, 0)
    assert moments[4.5][3].behind is None
    assert moments[5.5][2].condition == "stands still"
    assert moments[6.5][2].condition == "has no power"
    assert [seen.apart for seen in moments[10.0]] == [False, True, False, False]


def test_bands_show_each_status_as_high_as_its_share(recorded: Recording) -> None:
    names = [f"node {index}" for index in range(4)]
    drawing = bands.draw("x", recorded, [bands.Done(4.0, "it <dies>")], names)
    root = ElementTree.fromstring(str(drawing))
    failed = [one for one in root if one.get("class") == "held-failed"]
    alive = [one for one in root if one.get("class") == "held-alive"]
    assert failed[0].get("height") == alive[0].get("height") == "20"
    assert "3 hold it for failed" in failed[0].findtext("title", "")
    assert told(root, "marker") == ["4.0 s: it <dies>"]


def test_a_curve_that_some_never_reach_stops_below_the_top() -> None:
    curve = Curve("half", "ours", [1.0, 2.0], 4)
    assert curve.percentile(0.5) == 2.0
    assert curve.percentile(0.75) is None
    drawing = ElementTree.fromstring(
        str(curves("x", "s", "nodes", [curve], 0.0, 4.0, logarithmic=False))
    )
    (path,) = (one for one in drawing if "curve" in one.get("class", ""))
    assert float(path.get("d", "").rpartition("V")[2]) == pytest.approx((30 + 256) / 2)


@pytest.mark.parametrize(
    ("scale", "ticks"),
    [
        (Scale(0.0, 10.0, 0.0, 1.0), [0, 2, 4, 6, 8, 10]),
        (Scale(0.0, 165.0, 0.0, 1.0), [0, 50, 100, 150]),
        (Scale(0.1, 2_000.0, 0.0, 1.0, logarithmic=True), [0.1, 1, 10, 100, 1_000]),
    ],
)
def test_ticks_are_round_numbers(scale: Scale, ticks: list[float]) -> None:
    assert list(scale.ticks(5)) == pytest.approx(ticks)


def test_places_lie_between_the_ends() -> None:
    scale = Scale(0.1, 1_000.0, 50.0, 450.0, logarithmic=True)
    assert [scale(value) for value in (0.0, 0.1, 10.0, 1e9)] == pytest.approx([50, 50, 250, 450])


def test_numbers_and_texts_are_written_as_svg_has_them() -> None:
    assert [number(value) for value in (3.0, 2.5, 1 / 3, -0.004)] == ["3", "2.5", "0.33", "-0"]
    drawing = Drawing(10, 10, 'a "b" <c>')
    drawing.text(1, 2, "x < y & z")
    assert ElementTree.fromstring(str(drawing)).findtext("text") == "x < y & z"


def test_what_clients_do_is_no_fault() -> None:
    plan = swarm.draw(4)
    assert faults(plan)
    assert not any(isinstance(one, Write) for _, one in faults(plan))

"""The shipped network on the shipped log says what the committed reference says.

`make reference` makes the reference anew, with new weights on purpose.
"""

from pathlib import Path

from deploy.log.diff import LogDifference, compare_logs
from deploy.log.reader import LogReader
from deploy.loop.clock import LockstepClock
from deploy.loop.engine import shipped_model
from deploy.loop.playback import Part
from deploy.loop.replay import replay

ROOT = Path(__file__).resolve().parents[3]
REFERENCE = ROOT / "tests" / "refs" / "hw2.mcap"
LOG = ROOT / "deploy" / "samples" / "hw2.mcap"
PART = Part(end_s=0.35)
# Another processor rounds otherwise. Metres, shares of cells, and fractions; whatever a score just
# above or below its threshold makes appear or vanish is not within any of these.
TOLERANCES = {
    "/perception/objects *.position.*": 0.05,
    "/perception/objects *.size.*": 0.05,
    "/perception/objects *.metadata.score": 0.01,
    "/perception/objects *.metadata.sigma_m": 0.05,
    "/perception/objects *.metadata.velocity_m_s": float("inf"),
    "/perception/drivable *": 0.01,
}
# Outlines of areas have as many corners as they have; the grid compares the areas.
IGNORED = ("*/annotations *", "/perception/objects *.texts*")


def compared(run: Path) -> LogDifference:
    return compare_logs(LogReader(REFERENCE), LogReader(run), TOLERANCES, IGNORED)


def run(out: Path, part: Part) -> Path:
    replay(
        LOG,
        shipped_model(),
        out,
        clock=LockstepClock(),
        mosaic=False,
        images=False,
        engine="onnxruntime",
        part=part,
    )
    return out / "perception.mcap"


def test_the_shipped_log_says_what_it_said(tmp_path: Path) -> None:
    found = compared(run(tmp_path, PART))
    assert found.equal, found.beyond[:3]
    assert found.matched["/perception/objects"] == found.matched["/perception/drivable"] == 4


def test_a_camera_less_is_noticed(tmp_path: Path) -> None:
    """The comparison can fail: without one camera the map differs far beyond the tolerances."""
    others = tuple(name for name in LogReader(LOG).rig.names if name != "main")
    found = compared(run(tmp_path, Part(end_s=0.05, cameras=others)))
    assert {field.topic for field in found.beyond} >= {
        "/perception/objects",
        "/perception/drivable",
    }


def test_the_reference_is_small() -> None:
    assert REFERENCE.stat().st_size < 300_000
    assert not LogReader(REFERENCE).image_topics

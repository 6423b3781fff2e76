"""The picture of a scale test is SVG, whole whatever it shows."""

from __future__ import annotations

from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import pytest
from msgspec import structs

from pushdesk.scaletest.picture import WIDTH, draw
from pushdesk.scaletest.plan import Variant
from tests.scaletest.reports import report_of, run_of

if TYPE_CHECKING:
    from pushdesk.scaletest.measures import Run

SVG = "{http://www.w3.org/2000/svg}"
NOTHING = structs.replace(run_of(), arrived=0, wall_s=0.0, per_second=(), turns_per_s=0.0, complete=False)


@pytest.mark.parametrize(
    "runs",
    [
        (run_of(),),
        (run_of(wall_s=0.04, per_second=(750.0,), interval_s=0.1),),
        (run_of(wall_s=1.0, per_second=(30.0,), interval_s=1.0),),
        (NOTHING,),
        (run_of(), structs.replace(run_of(wall_s=90.0), variant=Variant.REREADING), NOTHING),
    ],
)
def test_all_is_drawn_within_the_picture(runs: tuple[Run, ...]) -> None:
    drawn = ET.fromstring(draw(report_of(*runs)))  # noqa: S314 (our own)
    height = float(drawn.attrib["height"])
    lines = [line for line in drawn.iter(f"{SVG}polyline") if line.get("class") == "run"]
    assert len(lines) == sum(bool(run.per_second) for run in runs)
    for line in lines:
        points = [tuple(map(float, point.split(","))) for point in line.attrib["points"].split()]
        # Also one interval is a line, over the time that it lasted.
        assert points[-1][0] > points[0][0]
        assert all(0 <= x <= WIDTH and 0 <= y <= height for x, y in points)
    for shape in drawn.iter(f"{SVG}rect"):
        x, width = float(shape.get("x", 0)), float(shape.attrib["width"])
        assert x >= 0
        assert x + width <= WIDTH + 0.2
    texts = [text for text in drawn.iter(f"{SVG}text") if text.text]
    assert all(0 <= float(text.attrib["y"]) <= height for text in texts)
    legend = [text.text or "" for text in texts if text.get("class") == "legend"]
    for run in runs:
        assert any(run.variant.words in line and "p50" in line and "p99" in line for line in legend)
    assert {"accept", "encrypt", "a new part"} <= set(legend)


def test_a_last_interval_that_was_cut_short_is_left_out() -> None:
    drawn = ET.fromstring(draw(report_of(run_of(wall_s=30.1, per_second=(900.0, 1000.0, 2671.0)))))  # noqa: S314 (our own)
    (line,) = (line for line in drawn.iter(f"{SVG}polyline") if line.get("class") == "run")
    assert len(line.attrib["points"].split()) == 2 * 2
    marks = [text.text for text in drawn.iter(f"{SVG}text") if text.get("text-anchor") == "end"]
    assert marks[-1] == "1000"


def test_what_is_written_in_it_is_text() -> None:
    drawn = ET.fromstring(draw(report_of(run_of())))  # noqa: S314 (our own)
    assert any("A <fast> one & more" in (text.text or "") for text in drawn.iter(f"{SVG}text"))

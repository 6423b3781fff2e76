"""The document of what becomes of what was accepted says of each fault what the tests know."""

from __future__ import annotations

from tests.faults.reliability_report import DOCUMENT, faults_table
from tests.figures import read_figures


def test_the_document_tells_of_every_fault_what_is_done_about_it() -> None:
    assert read_figures(DOCUMENT, "faults") == faults_table()

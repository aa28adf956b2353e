"""The documents: what they say of results/, and where their links lead."""

import re

import pytest
from benchmarks import report, summary
from support import ROOT

from meta4.errors import InputError

DOCUMENTS = (report.README, ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md")))
LINK = re.compile(r"\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)


def names():
    return sorted(path.stem for path in report.RESULTS.glob("*.json"))


@pytest.mark.parametrize("name", names())
def test_every_bar_stands_in_a_document(name):
    bars, _ = report.read_results(name)
    texts = [document.read_text(encoding="utf-8") for document in DOCUMENTS]
    for line in report.bars_table(bars).splitlines()[2:]:
        assert any(line in text for text in texts), line


def test_readme_shows_what_was_measured():
    text = report.README.read_text(encoding="utf-8")
    table = summary.table(summary.settings())
    assert f"<!-- summary -->\n{table}\n<!-- /summary -->" in text
    assert len(table.splitlines()) <= 2 + 8


def test_the_lesser_is_bold_unless_both_are_level():
    assert summary.Pair(1.0, 2.0).text(1) == "**1.0** / 2.0"
    assert summary.Pair(1234.0, 100.0).text(0) == "1,234 / **100**"
    assert summary.Pair(10.0, 10.4).text(1) == "10.0 / 10.4"


def test_the_plot_is_drawn(tmp_path):
    summary.draw(summary.settings(), tmp_path / "recall.png")
    assert (tmp_path / "recall.png").read_bytes().startswith(b"\x89PNG")


def test_a_section_is_replaced_and_nothing_else(tmp_path):
    document = tmp_path / "a.md"
    document.write_text("before\n<!-- a -->\nold\n<!-- /a -->\nafter\n")
    report.put_into(document, "a", "new")
    assert document.read_text() == "before\n<!-- a -->\nnew\n<!-- /a -->\nafter\n"
    with pytest.raises(InputError, match="expected the marks <!-- b -->"):
        report.put_into(document, "b", "new")


def anchors(text):
    """What headings are linked by."""
    found = (re.sub(r"[^\w -]", "", heading.lower()) for heading in HEADING.findall(text))
    return {heading.replace(" ", "-") for heading in found}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_link_leads_somewhere(document):
    for link in LINK.findall(document.read_text(encoding="utf-8")):
        if "://" not in link:
            path, _, anchor = link.partition("#")
            target = document.parent / path if path else document
            assert target.exists(), link
            assert not anchor or anchor in anchors(target.read_text(encoding="utf-8")), link

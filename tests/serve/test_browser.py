"""The page in a real Chromium: each page, each control, by keyboard, for a screen reader.

Without `chromium` on the path, or without axe-core within reach of npm, these are left out.
"""

import json
import shutil
from urllib.parse import urlencode

import pytest
from playwright.sync_api import sync_playwright
from support.foreign import of_npm
from support.servers import on_one_engine
from support.words import FIELD

from meta4 import Document

pytestmark = [pytest.mark.server, pytest.mark.timeout(600), on_one_engine]
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
AXE = "axe-core@4.14.1"
PAGES = ("", "search/{}", "analogies/{}", "index/{}", "map/{}")
HOSTILE = "<script>document.title = 'run'</script>"


@pytest.fixture(scope="module")
def chromium():
    if CHROMIUM is None:
        pytest.skip("chromium is not installed; what it would have shown was left out")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def axe():
    return (of_npm(AXE) / "node_modules/axe-core/axe.min.js").read_text(encoding="utf-8")


class Tab:
    """A page of the browser that keeps what it complained of, and whom it asked."""

    def __init__(self, context, gateway):
        self.page = context.new_page()
        self.gateway = gateway
        self.complaints, self.asked = [], []
        self.page.on("console", self.complain)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", lambda request: self.asked.append(request.url))

    def complain(self, said):
        if said.type in ("error", "warning"):
            self.complaints.append(said.text)

    def open(self, path, **params):
        query = f"?{urlencode(params)}" if params else ""
        self.page.goto(f"{self.gateway}/_meta4/{path}{query}")
        self.page.wait_for_load_state("networkidle")
        return self.page

    def check(self):
        assert self.complaints == []
        outside = [url for url in self.asked if not url.startswith((self.gateway, "data:"))]
        assert outside == []


@pytest.fixture(params=["light", "dark"])
def scheme(request):
    return request.param


@pytest.fixture
def context(chromium, scheme):
    with chromium.new_context(color_scheme=scheme, bypass_csp=False) as made:
        yield made


@pytest.fixture
def tab(context, gateway):
    tab = Tab(context, gateway)
    yield tab
    tab.check()


only_light = pytest.mark.parametrize("scheme", ["light"], indirect=True)


@pytest.mark.parametrize("path", PAGES)
@pytest.mark.parametrize("asked", [False, True], ids=["bare", "asked"])
def test_each_page_can_be_read_by_everybody(
    chromium, scheme, gateway, words, axe, path, asked, tmp_path
):
    params = {"id": "berlin", "a": "berlin", "b": "germany", "c": "paris"} if asked else {}
    with chromium.new_context(color_scheme=scheme, bypass_csp=True) as context:  # for axe alone
        tab = Tab(context, gateway)
        page = tab.open(path.format(words.index), **params)
        page.evaluate(axe)
        found = page.evaluate("axe.run()")["violations"]
        grave = [one for one in found if one["impact"] in ("serious", "critical")]
        told = [(one["id"], [node["html"][:200] for node in one["nodes"]]) for one in grave]
        assert told == [], json.dumps(told, indent=1)
        name = f"{path.partition('/')[0] or 'all'}-{scheme}-{'asked' if asked else 'bare'}.png"
        page.screenshot(path=tmp_path / name, full_page=True)
        tab.check()


def test_plots_are_drawn(tab, words):
    page = tab.open(f"index/{words.index}")
    assert page.locator("[data-plot] canvas").count() == 2
    page = tab.open(f"map/{words.index}", id="berlin")
    canvas = page.locator("[data-plot] canvas")
    assert canvas.count() == 1
    colours = page.evaluate(
        """() => { const canvas = document.querySelector("canvas");
        const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
        const found = new Set();
        for (let i = 0; i < data.length; i += 4) found.add(data.slice(i, i + 4).join());
        return found.size; }"""
    )
    assert colours > 10


@only_light
def test_a_search_by_keyboard_alone(tab, words):
    page = tab.open(f"search/{words.index}")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.get_by_label("Like the document, by its id").focus()
    page.keyboard.type("berlin")
    with page.expect_navigation():
        page.keyboard.press("Enter")
    assert page.get_by_role("heading", name="Found").is_visible()
    assert page.get_by_role("table").count() == 2
    with page.expect_navigation():
        page.get_by_role("table").first.get_by_role("link").nth(1).press("Enter")
    assert "berlin" not in page.get_by_label("Like the document, by its id").input_value()


@only_light
def test_ids_are_offered_while_one_types(tab, words):
    page = tab.open(f"search/{words.index}")
    with page.expect_response(lambda answer: "/_meta4/complete/" in answer.url):
        page.get_by_label("Like the document, by its id").press_sequentially("berlin")
    option = page.locator("datalist#id-choices option").first
    option.wait_for(state="attached")
    assert option.get_attribute("value") == "berlin"


@only_light
def test_the_slider_says_where_it_is(tab, words):
    page = tab.open(f"search/{words.index}")
    page.get_by_label("Recall").focus()
    page.keyboard.press("ArrowRight")
    assert page.locator("output").inner_text() == "0.955"
    page.keyboard.press("End")
    assert page.locator("output").inner_text() == "1"


def test_what_was_sent_can_be_copied(chromium, gateway, words):
    with chromium.new_context(permissions=["clipboard-read", "clipboard-write"]) as context:
        tab = Tab(context, gateway)
        page = tab.open(f"search/{words.index}", id="berlin")
        page.get_by_text("As curl").click()
        page.locator("details[open] [data-copy]").click()
        page.locator("details[open]").get_by_text("Copied", exact=True).wait_for()
        assert page.evaluate("navigator.clipboard.readText()").startswith("curl -gs 'http")
        tab.check()


@only_light
def test_the_doctor(tab, words):
    page = tab.open(f"index/{words.index}")
    page.get_by_role("button", name="Examine").click()
    page.get_by_role("table", name="Findings").wait_for()
    assert page.get_by_role("rowheader", name="promise").is_visible()


@only_light
def test_a_cell_says_what_is_typical_of_it(tab, words):
    page = tab.open(f"map/{words.index}")
    page.locator("[data-cell]").first.press("Enter")
    page.locator("#cell h3").wait_for()
    assert page.locator("#cell li").count() == 5
    with page.expect_navigation():
        page.locator("#cell a").first.click()
    assert "/_meta4/search/" in page.url


@only_light
def test_a_cell_under_the_pointer_is_told_of(tab, words):
    page = tab.open(f"map/{words.index}")
    box = page.locator("canvas").bounding_box()
    for step in range(2, 40):  # until the pointer lies on a cell
        page.mouse.move(box["x"] + box["width"] * step / 40, box["y"] + box["height"] / 2)
        page.wait_for_timeout(260)
        if page.locator("#cell h3").count():
            return
    pytest.fail("no cell was under the pointer")


@only_light
def test_the_map_zooms(tab, words):
    page = tab.open(f"map/{words.index}")
    look = "document.querySelector('canvas').toDataURL()"
    before = page.evaluate(look)
    page.locator("canvas").hover()
    page.mouse.wheel(0, -400)
    page.wait_for_timeout(300)
    assert page.evaluate(look) != before


@only_light
def test_nothing_that_a_document_says_is_run(tab, make_index, models, vectors, index_name):
    documents = [
        Document(f"{HOSTILE}{i}", {FIELD: vectors[i].tolist(), "said": HOSTILE}) for i in range(20)
    ]
    make_index(models["cells"], docs=documents, hashing="client")
    for path in ("search", "map", "analogies"):
        ids = {name: f"{HOSTILE}{i}" for i, name in enumerate(("a", "b", "c"))}
        page = tab.open(f"{path}/{index_name}", id=f"{HOSTILE}1", **ids)
        assert page.title() != "run"
        assert page.get_by_text(HOSTILE).count()
    page.locator("[data-complete]").first.fill(f"{HOSTILE}3")
    page.wait_for_timeout(600)
    assert page.title() != "run"


def test_without_script_it_can_be_used(chromium, gateway, words):
    with chromium.new_context(java_script_enabled=False) as context:
        tab = Tab(context, gateway)
        page = tab.open(f"search/{words.index}")
        page.get_by_label("Like the document, by its id").fill("berlin")
        page.get_by_role("button", name="Search", exact=True).click()
        assert page.get_by_role("table").count() == 2
        tab.check()


def test_an_index_that_is_not_there_is_a_page(chromium, gateway):
    with chromium.new_context() as context:
        page = context.new_page()
        answer = page.goto(f"{gateway}/_meta4/search/nothing-here")
        assert answer.status == 404
        assert page.get_by_role("alert").is_visible()

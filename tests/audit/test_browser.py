"""The page of an audit as it is seen and clicked in a browser."""

import shutil

import pytest

from infotheory_dl import audit
from infotheory_dl.audit import read_decisions
from tests.audit.made import HOSTILE, made_audit, made_regression

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
CONTRAST = """() => {
  const light = (colour) => colour.match(/[\\d.]+/g).slice(0, 3).map((part) => part / 255)
    .map((part) => part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4)
    .reduce((sum, part, i) => sum + part * [0.2126, 0.7152, 0.0722][i], 0);
  const paper = light(getComputedStyle(document.body).backgroundColor);
  const ratio = (a, b) => (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
  const shown = [...document.querySelectorAll("h1, p, .lead, li, th, td, a, summary, .name, .number, figcaption")];
  const words = shown.map((one) => light(getComputedStyle(one).color));
  const drawn = [...document.querySelectorAll("svg text")].map((one) => light(getComputedStyle(one).fill));
  return { paper, least: Math.min(...[...words, ...drawn].map((one) => ratio(one, paper))) };
}"""
SMALLEST_WORDS = """() => Math.min(...[...document.querySelectorAll("svg.chart text")].map((one) => {
  const chart = one.ownerSVGElement;
  return parseFloat(getComputedStyle(one).fontSize) * chart.getBoundingClientRect().width / chart.viewBox.baseVal.width;
}))"""


@pytest.fixture(scope="module")
def browser():
    driver = pytest.importorskip("playwright.sync_api", reason="what drives a browser, playwright, is not installed")
    program = next(filter(None, map(shutil.which, BROWSERS)), None)
    if program is None:
        pytest.skip(f"there is no browser here: none of {', '.join(BROWSERS)}")
    with driver.sync_playwright() as running:
        opened = running.chromium.launch(executable_path=program, args=["--no-sandbox", "--disable-gpu"])
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """Of pictures, and of a table with more suspects than a page shows."""
    folder = tmp_path_factory.mktemp("pages")
    pictures, table = (made_audit(300, suspects=60, pictures=True), made_audit(12_000, suspects=10_500, pictures=False))
    return {
        "pictures": audit.write_report(pictures, folder / "pictures", title=HOSTILE, command="infotheory-dl audit"),
        "table": audit.write_report(table, folder / "table", title="table"),
        "numbers": audit.write_regression_report(made_regression(80, outlying=5), folder / "numbers", title="numbers"),
    }


@pytest.fixture
def opened(browser, pages):
    """Opens a page, and at the end asks whether anything went wrong in it."""
    contexts, wrong, asked = [], [], []

    def open_page(name, **settings):
        contexts.append(browser.new_context(**settings))
        page = contexts[-1].new_page()
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("request", lambda request: asked.append(request.url))
        page.goto(pages[name].as_uri())
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert wrong == []
    assert [url for url in asked if not url.startswith(("file:", "data:"))] == []


def cards(page):
    return page.locator("#review .card")


@pytest.mark.parametrize("name", ["pictures", "table", "numbers"])
@pytest.mark.parametrize(("width", "scheme"), [(400, "light"), (800, "light"), (1400, "light"), (1400, "dark")])
def test_the_page_fits_any_width_and_can_be_read_in_the_light_and_in_the_dark(opened, name, width, scheme):
    page = opened(name, viewport={"width": width, "height": 900}, color_scheme=scheme)
    page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    seen = page.evaluate(CONTRAST)
    assert seen["least"] >= 4.5
    assert (seen["paper"] < 0.1) == (scheme == "dark")
    assert page.evaluate(SMALLEST_WORDS) > 9
    assert page.evaluate("window.hacked") is None


def test_decisions_are_made_by_clicks_and_keys_and_exported_as_they_are_read_back(opened, tmp_path):
    page = opened("pictures")
    assert cards(page).count() == 24
    assert cards(page).nth(0).locator("img").count() == 3
    assert cards(page).nth(0).locator(".name").inner_text() == f"0 {HOSTILE}"
    cards(page).nth(0).get_by_role("button", name="keep").click()
    cards(page).nth(1).get_by_role("button", name="relabel").click()
    cards(page).nth(2).locator("select").select_option("1")
    cards(page).nth(3).focus()
    for key in "druk":  # drop; the next card is in focus: relabel; the next: nothing to take back, keep
        page.keyboard.press(key)
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("u")
    page.get_by_role("button", name="keep").nth(0).click()
    page.get_by_role("button", name="keep").nth(0).click()
    assert "5 of 60 decided" in page.locator("#review").inner_text()
    page.reload()
    assert cards(page).nth(3).get_attribute("data-decision") == "drop"
    page.locator("[data-of=show]").select_option("done")
    assert cards(page).count() == 5
    with page.expect_download() as download:
        page.get_by_role("button", name="export").click()
    assert download.value.suggested_filename == "decisions.csv"
    download.value.save_as(tmp_path / "decisions.csv")
    found = read_decisions(tmp_path / "decisions.csv")
    assert dict(zip(found.examples.tolist(), found.kinds, strict=True)) == {
        0: "keep",
        1: "relabel",
        2: "relabel",
        3: "drop",
        4: "relabel",
    }
    assert found.labels == ("cat", "dog, wet", HOSTILE, "cat", "dog, wet")
    assert found.new_labels == ("cat", HOSTILE, "dog, wet", "cat", HOSTILE)


def test_numbers_are_given_anew_or_dropped_and_exported_as_they_are_read_back(opened, tmp_path):
    page = opened("numbers")
    page.locator("[data-of=show]").select_option(label="out of line")
    assert cards(page).count() == 5
    page.get_by_role("button", name="drop all that are out of line").click()
    cards(page).nth(1).get_by_role("button", name="keep").click()
    cards(page).nth(2).locator("input").fill("-1.25")
    cards(page).nth(2).get_by_role("button", name="relabel").click()
    with page.expect_download() as download:
        page.get_by_role("button", name="export").click()
    download.value.save_as(tmp_path / "decisions.csv")
    found = read_decisions(tmp_path / "decisions.csv")
    assert found.kinds == ("drop", "keep", "relabel", "drop", "drop")
    assert found.new_labels[2] == "-1.25"
    targets = made_regression(80, outlying=5).targets
    assert [float(label) for label in found.labels] == targets[:5].tolist()


def test_all_repairs_are_taken_at_once_and_forgotten_again(opened):
    page = opened("pictures")
    page.get_by_role("button", name="relabel all").click()
    assert "60 of 60 decided" in page.locator("#review").inner_text()
    page.on("dialog", lambda dialog: dialog.accept())
    page.get_by_role("button", name="forget all").click()
    assert "0 of 60 decided" in page.locator("#review").inner_text()
    assert page.get_by_role("button", name="export").is_disabled()


def test_ten_thousand_suspects_are_sorted_filtered_and_turned_over(opened):
    page = opened("table")
    where = page.locator("#review [role=status]").first
    assert where.inner_text() == "1 to 24 of 10000"
    assert "The 10,000 most suspect of 10,500 are shown." in page.locator("main").inner_text()
    page.get_by_role("button", name="next").click()
    assert where.inner_text() == "25 to 48 of 10000"
    assert cards(page).nth(0).locator(".name").inner_text().startswith("24 ")
    page.locator("[data-of=label]").select_option(label="dog, wet")
    assert where.inner_text() == "1 to 24 of 3333"
    page.locator("[data-of=show]").select_option("doubt")
    page.locator("[data-of=sort]").select_option("wrong")
    assert cards(page).nth(0).locator(".labels").inner_text() == f"dog, wet → {HOSTILE}"
    assert cards(page).nth(0).locator("tbody tr").count() == 6
    assert "<f" in cards(page).nth(0).locator("tbody").inner_text()


def test_without_a_script_everything_is_readable(opened):
    page = opened("pictures", java_script_enabled=False)
    text = page.locator("main").inner_text()
    assert "To be repaired (" in text
    assert page.locator("#review img").count() >= 24
    assert page.locator("#review button").count() == 0
    assert "Margins and classes" in text
    page.locator("summary", has_text="What is computed how").click()
    assert "Versions" in page.locator("main").inner_text() or "jax" in page.locator("main").inner_text()


def test_the_list_of_sections_leads_to_them_and_opens_what_is_closed(opened):
    page = opened("pictures", viewport={"width": 1400, "height": 700})
    page.locator(".contents a", has_text="What is computed how").click()
    page.wait_for_function("document.querySelector('#what-is-computed-how').getBoundingClientRect().height > 100")
    place = page.evaluate("document.querySelector('#what-is-computed-how').getBoundingClientRect().top")
    assert 0 <= place < 700

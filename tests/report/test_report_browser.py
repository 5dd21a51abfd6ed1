"""The report in a real headless Chromium: what people do with it, by mouse, finger and keyboard."""

from __future__ import annotations

import csv
import io
import shutil
import time

import geopandas as gpd
import numpy as np
import pytest
import shapely
from rasters import ORIGIN, write_plots, write_raster
from report.survey import HOSTILE

from cropseg_geo.pipeline import make_report

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright drives the browser; not installed")
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")

ROWS = "#plot-rows tr"


@pytest.fixture(scope="module")
def browser():
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def page_file(field, tmp_path_factory):
    inputs = {key: field[key] for key in ("raster", "prob", "plots", "series")}
    return make_report(field["mask"], tmp_path_factory.mktemp("page") / "report.html", **inputs)


@pytest.fixture
def visit(browser, page_file):
    """Opens the report; when the test ends, nothing may have been logged, thrown or requested."""
    contexts, trouble = [], []

    def open_page(path=page_file, *, width=1440, height=900, **options):
        context = browser.new_context(
            viewport={"width": width, "height": height}, reduced_motion="reduce", **options
        )
        contexts.append(context)
        page = context.new_page()
        url = path.as_uri()
        page.on("console", lambda message: trouble.append(f"console: {message.text}"))
        page.on("pageerror", lambda error: trouble.append(f"thrown: {error}"))
        page.on("request", lambda r: trouble.append(f"request: {r.url[:99]}") if is_outside(r.url) else None)

        def is_outside(target):
            return target != url and not target.startswith(("data:", "blob:"))

        page.goto(url)
        page.wait_for_selector("#plot-count:not(:empty)")
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert trouble == []


def names(page):
    """Plots of the table's rows, as shown."""
    return page.locator(f"{ROWS} td:first-child > span:nth-of-type(1)").all_inner_texts()


def row_of(page, plot):
    """The row of a plot, counted from 0 in the order of the file."""
    return page.locator(f'{ROWS}[data-plot="{plot}"]')


def until(page, expression):
    """Waits for a condition. Playwright's own way needs eval, which the page's policy forbids."""
    end = time.monotonic() + 60
    while not page.evaluate(expression):
        assert time.monotonic() < end, expression
        page.wait_for_timeout(30)


def cells(page, heading):
    """A column of the table as shown."""
    headings = [text.split("\n")[0] for text in page.locator("#plot-heads th").all_inner_texts()]
    return page.locator(f"{ROWS} td:nth-child({headings.index(heading) + 1})").all_inner_texts()


def place_of(page, plot):
    """Where the centre of a plot is drawn, in pixels of the window."""
    box = page.locator("#map").bounding_box()
    centre = page.evaluate(f"(({{x, y}}) => [x, y])(MapView.centreOf({plot}))")
    return box["x"] + centre[0], box["y"] + centre[1]


def hover(page, plot):
    """Move the mouse onto a plot: Leaflet's canvas is deaf for 32 ms after each move that it heard."""
    page.evaluate("new Promise(resolve => setTimeout(resolve, 40))")
    page.mouse.move(*place_of(page, plot))


def test_it_opens_without_an_error_and_without_a_request(visit):
    page = visit()
    assert page.title() == "trial_2026-05-31 – field report"
    assert page.locator("#photo").evaluate("image => image.naturalWidth") == 400
    assert page.locator("#mask").evaluate("image => image.naturalWidth") == 400


def test_text_of_users_never_runs(visit):
    page = visit()
    assert HOSTILE in names(page)
    row_of(page, 10).click()
    hover(page, 10)
    assert page.locator("#plot-name").inner_text() == f"Plot {HOSTILE}"
    assert page.evaluate("window.hacked") is None


def test_hovering_a_plot_shows_its_value(visit):
    page = visit()
    hover(page, 0)
    tip = page.locator(".plot-tip")
    tip.wait_for()
    assert tip.inner_text().split("\n") == ["P1", "Coverage 93.0\u00a0%"]
    hover(page, 11)
    tip.filter(has_text="low valid area").wait_for()


def test_tapping_a_plot_selects_its_row_and_tells_its_values(visit):
    page = visit(width=360, height=740, has_touch=True, is_mobile=True)
    page.locator("#map").scroll_into_view_if_needed()
    page.touchscreen.tap(*place_of(page, 2))
    page.wait_for_selector(f'{ROWS}[aria-selected="true"]')
    assert page.locator("#plot-name").inner_text() == "Plot P3"
    assert page.locator(f'{ROWS}[aria-selected="true"] td:first-child').inner_text() == "P3"
    assert "Coverage 77.0\u00a0%" in page.locator("#announce").inner_text()


def test_clicking_a_row_marks_its_plot_and_brings_it_into_view(visit):
    page = visit()
    page.evaluate("MapView.map.setView([-20, 20], 3, {animate: false})")
    inside = "MapView.map.getBounds().contains(MapView.map.containerPointToLatLng(MapView.centreOf(9)))"
    assert page.evaluate(inside) is False
    row_of(page, 9).click()
    until(page, inside)
    assert page.evaluate("MapView.drawnStyle(9).weight") == 3
    assert page.evaluate("MapView.drawnStyle(8).weight") == 1


def test_clicking_a_plot_turns_the_table_to_its_row(visit):
    page = visit()
    page.mouse.click(*place_of(page, 6))
    row = page.locator(f'{ROWS}[aria-selected="true"]')
    assert row.locator("td").first.inner_text() == "P7"
    top, table = row.bounding_box()["y"], page.locator("#table-scroll").bounding_box()
    assert table["y"] <= top <= table["y"] + table["height"]


def test_the_keyboard_reaches_plots_and_hears_their_values(visit):
    page = visit()
    row_of(page, 8).focus()
    page.keyboard.press("ArrowDown")
    assert page.evaluate("document.activeElement.dataset.plot") == "9"
    assert page.evaluate("MapView.drawnStyle(9).weight") == 3
    assert page.locator("#announce").inner_text().startswith("Plot P10, Coverage 21.0")
    page.keyboard.press("Enter")
    assert page.locator(f'{ROWS}[aria-selected="true"] td').first.inner_text() == "P10"
    page.get_by_role("button", name="Previous plot").press("Enter")
    assert page.locator("#plot-name").inner_text() == "Plot P9"


def test_headings_sort_and_missing_values_come_last_either_way(visit):
    page = visit()
    heading = page.get_by_role("columnheader", name="Coverage")
    for state, order in (("descending", -1), ("ascending", 1)):
        heading.get_by_role("button").click()
        assert heading.get_attribute("aria-sort") == state
        shown = cells(page, "Coverage")
        assert shown[-1] == "–"
        numbers = [float(text) for text in shown[:-1]]
        assert numbers == sorted(numbers, key=lambda v: order * v)


def test_filters_narrow_the_table_and_dim_the_map(visit):
    page = visit()
    page.get_by_label("Search").fill("late")
    until(page, "App.state.shown.length === 6")
    assert len(names(page)) == 6
    assert page.locator("#plot-count").inner_text() == "6 of 12 plots"
    assert page.evaluate("MapView.drawnStyle(0).fillOpacity < MapView.drawnStyle(7).fillOpacity")
    page.get_by_label("At least").fill("10")
    page.get_by_label("At most").fill("30")
    until(page, "App.state.shown.length < 6")
    assert all(10 <= float(text) <= 30 for text in cells(page, "Coverage"))
    page.get_by_role("button", name="Reset filter").click()
    page.get_by_label("Flagged only").check()
    until(page, "App.state.shown.length === 2")
    assert names(page) == ["last", "P6"]


def test_the_slider_sets_the_opacity_of_the_mask(visit):
    page = visit()
    slider = page.get_by_label("Mask")
    for value in ("25", "80"):
        slider.fill(value)
        assert page.locator("#mask").evaluate("node => node.style.opacity") == str(int(value) / 100)
        assert page.locator("#mask-opacity-value").inner_text() == f"{value} %"


def test_the_choice_of_statistic_recolours_map_and_legend(visit):
    page = visit()
    before = page.evaluate("MapView.drawnStyle(0).fillColor")
    page.get_by_label("Colour plots by").select_option("yield_kg")
    assert page.evaluate("MapView.drawnStyle(0).fillColor") != before
    assert page.locator("#legend-ends").inner_text().endswith("kg")
    assert page.locator("#histogram-title").inner_text() == "Distribution: Yield"
    assert page.get_by_role("img", name="Plots ranked by Yield").is_visible()


def test_the_downloaded_csv_equals_the_table(visit, field):
    page = visit()
    page.get_by_role("columnheader", name="Coverage").get_by_role("button").click()
    with page.expect_download() as download:
        page.get_by_role("button", name="Download CSV").click()
    text = download.value.path().read_bytes().decode("utf-8-sig")
    rows = list(csv.DictReader(io.StringIO(text, newline="")))
    assert [row["plot_id"] for row in rows] == names(page)
    shown = cells(page, "Coverage")
    assert [f"{100 * float(r['coverage']):.1f}" if r["coverage"] else "–" for r in rows] == shown
    source = gpd.read_file(field["plots"]).set_index("plot_id")
    assert set(rows[0]) == {"plot_id", *source.columns} - {"geometry"}
    for row in rows:
        assert row["treatment"] == source.loc[row["plot_id"], "treatment"]
        assert float(row["yield_kg"]) == source.loc[row["plot_id"], "yield_kg"]


def test_growth_curves_follow_the_selected_plot(visit):
    page = visit()
    row_of(page, 0).click()
    said = page.locator("#growth").get_attribute("aria-label")
    assert "Coverage over 3 dates" in said
    assert "2026-04-20" in said
    assert "plot P1 93.0" in said
    assert page.locator("#growth canvas").count() == 1


def paper(page):
    return page.evaluate("getComputedStyle(document.body).backgroundColor")


def test_dark_follows_the_system_and_the_button_wins(visit):
    light, dark = paper(visit(color_scheme="light")), paper(visit(color_scheme="dark"))
    assert light != dark
    page = visit(color_scheme="dark")
    page.locator("#theme").click()
    assert paper(page) == light
    page.reload()
    assert paper(page) == light


@pytest.mark.parametrize("width", [360, 768])
def test_a_narrow_screen_needs_no_sideways_scrolling(visit, width):
    page = visit(width=width, height=740)
    row_of(page, 10).click()
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    right = "[...document.querySelectorAll('main > *, .card')].map(n => n.getBoundingClientRect().right)"
    assert max(page.evaluate(right)) <= width


_FAINT_TEXT = """() => {
  const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const channels = (colour) => {
    canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data];
  };
  const light = ([r, g, b]) => [r, g, b].map((c) => c / 255)
    .map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4))
    .reduce((sum, c, k) => sum + c * [0.2126, 0.7152, 0.0722][k], 0);
  const ground = (node) => {
    for (let n = node; n; n = n.parentElement) {
      const colour = channels(getComputedStyle(n).backgroundColor);
      if (colour[3] > 200) return colour;
    }
    return [255, 255, 255];
  };
  const faint = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  let checked = 0;
  while (walker.nextNode()) {
    const node = walker.currentNode.parentElement;
    const skipped = node.closest("script,style,button:disabled");
    if (!walker.currentNode.data.trim() || !node.checkVisibility() || skipped) continue;
    const [a, b] = [light(channels(getComputedStyle(node).color)), light(ground(node))];
    const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    checked += 1;
    if (contrast < 4.5) faint.push([walker.currentNode.data.trim().slice(0, 30), contrast]);
  }
  return { checked, faint };
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_all_text_has_a_contrast_of_at_least_4_5(visit, scheme):
    page = visit(color_scheme=scheme)
    row_of(page, 11).click()
    found = page.evaluate(_FAINT_TEXT)
    assert found["checked"] > 100
    assert found["faint"] == []


def test_every_control_has_a_name_and_ids_are_unique(visit):
    page = visit()
    unnamed = """[...document.querySelectorAll("button, input, select, [role=img], [role=region]")]
      .filter((n) => !(n.getAttribute("aria-label") || n.getAttribute("aria-labelledby")
        || n.textContent.trim() || n.labels?.length || n.type === "hidden")).map((n) => n.outerHTML)"""
    assert page.evaluate(unnamed) == []
    ids = page.evaluate("[...document.querySelectorAll('[id]')].map((n) => n.id)")
    assert len(ids) == len(set(ids))
    assert page.evaluate("[...document.images].every((image) => image.alt)")


def test_a_mask_alone_makes_a_page_with_a_map(browser, field, tmp_path):
    path = make_report(field["mask"], tmp_path / "bare.html")
    page = browser.new_page()
    errors = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(path.as_uri())
    page.get_by_label("Mask").fill("30")
    assert page.locator("#mask").evaluate("node => node.style.opacity") == "0.3"
    assert page.locator("#plots-title").count() == 0
    page.close()
    assert errors == []


def test_plots_without_statistics_are_listed_found_and_stepped_through(visit, field, tmp_path):
    boxes = [(2, 2, 5, 5), (6, 2, 9, 5), (10, 2, 13, 5)]
    bare = write_plots(tmp_path / "bare.gpkg", boxes, plot_id=["a", "b", "c"], treatment=["x", "y", "y"])
    page = visit(make_report(field["mask"], tmp_path / "r.html", plots=bare))
    assert names(page) == ["a", "b", "c"]
    hover(page, 0)
    assert page.locator(".plot-tip strong").inner_text() == "a"
    page.get_by_label("Search").fill("y")
    until(page, "App.state.shown.length === 2")
    assert names(page) == ["b", "c"]
    page.get_by_role("button", name="Next plot").click()
    assert page.locator("#plot-name").inner_text() == "Plot b"
    page.get_by_role("button", name="Reset filter").click()
    assert page.locator("#plot-count").inner_text() == "3 of 3 plots"


def test_of_five_thousand_plots_a_page_of_rows_is_drawn_and_any_plot_is_found(visit, tmp_path):
    side, n = 50, 5000
    rows, cols = np.divmod(np.arange(n), 100)
    x, y = ORIGIN[0] + cols * 2.0, ORIGIN[1] - rows * 4.0
    frame = gpd.GeoDataFrame(
        {"plot_id": [f"p{k}" for k in range(n)], "coverage": np.linspace(0, 1, n)},
        geometry=shapely.box(x + 0.2, y - 3.8, x + 1.8, y - 0.2),
        crs="EPSG:32632",
    )
    mask = write_raster(tmp_path / "m.tif", np.ones((1, 4 * side, 4 * side), np.uint8), gsd=1.0, nodata=255)
    path = make_report(mask, tmp_path / "large.html", plots=frame)
    assert path.stat().st_size < 3_000_000
    page = visit(path)
    assert page.locator(ROWS).count() == 25
    page.get_by_label("Search").fill("p4321")
    until(page, "App.state.shown.length === 1")
    row_of(page, 4321).click()
    assert page.locator("#plot-name").inner_text() == "Plot p4321"

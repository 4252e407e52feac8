"""A page as large as the demo's, in a real browser: weight, seconds, print, accessibility.

``GIBLET_DEMO_REPORT`` names the page, for instance ``results/demo/report.html``. The limits are of
a machine with nothing else to do, so this is for release checks, not for every run of the tests.
"""

import base64
import os
import re
import time
from importlib.util import find_spec
from pathlib import Path

import pytest
from chromium import PATH, Chromium

PAGE = os.environ.get("GIBLET_DEMO_REPORT", "")
PAPERS = {"A4": (8.27, 11.69), "letter": (8.5, 11)}  # inches
MOST_BYTES, MOST_READY, MOST_CLICK, MOST_PAGES = 12e6, 2.0, 0.3, 12

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(PATH is None, reason="there is no Chromium"),
    pytest.mark.skipif(not PAGE, reason="GIBLET_DEMO_REPORT names no page"),
]
HEARD = """new Promise(done => { const strip = document.querySelector(".strip");
    const box = strip.getBoundingClientRect(), begun = performance.now();
    document.querySelector(".ladder").dispatchEvent(new PointerEvent("pointerenter"));
    strip.click();
    const look = () => parseFloat(document.querySelector(".needle").style.left) > 0
        ? done((performance.now() - begun) / 1000) : setTimeout(look, 5);
    look(); })"""


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    browser = Chromium(tmp_path_factory.mktemp("demo") / "profile")
    size = {"width": 1280, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    browser.ask("Emulation.setDeviceMetricsOverride", **size)
    browser.open(Path(PAGE).resolve().as_uri())  # the first load of a browser takes longer
    yield browser
    browser.close()


def test_the_demos_page_is_light_quick_and_sound(browser):
    assert Path(PAGE).stat().st_size < MOST_BYTES
    begun = time.monotonic()
    browser.open(browser.run("location.href"))
    ready = time.monotonic() - begun
    time.sleep(1)  # of a reader, before the first click
    first_click = browser.run(HEARD)
    browser.run("document.querySelector('.strip').click()")
    print(f"ready {ready:.2f} s, first click {first_click:.3f} s")
    assert ready < MOST_READY
    assert first_click < MOST_CLICK
    assert not browser.errors


@pytest.mark.parametrize("headed", [False, True], ids=["alone", "header and footer"])
@pytest.mark.parametrize("paper", PAPERS)
def test_it_prints_on_few_pages(browser, paper, headed):
    wide, high = PAPERS[paper]
    how = {"paperWidth": wide, "paperHeight": high, "preferCSSPageSize": True}
    printed = browser.ask("Page.printToPDF", displayHeaderFooter=headed, **how)["data"]
    n_pages = max(int(n) for n in re.findall(rb"/Count (\d+)", base64.b64decode(printed)))
    print(f"{n_pages} pages")
    assert 3 < n_pages <= MOST_PAGES


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_of_any_impact(browser, scheme):
    found = find_spec("axe_core_python")
    newest = os.environ.get("AXE_CORE")
    if not (newest or found):
        pytest.skip("no axe_core_python, and AXE_CORE names no file")
    file = Path(newest) if newest else Path(found.origin).with_name("axe.min.js")
    feature = {"name": "prefers-color-scheme", "value": scheme}
    browser.ask("Emulation.setEmulatedMedia", features=[feature])
    browser.run(file.read_text() + "; 0")
    wrong = browser.run("""axe.run(document, {iframes: false}).then(found => found.violations
        .map(v => [v.impact, v.id, v.nodes[0].html.slice(0, 80)]))""")
    assert wrong == []

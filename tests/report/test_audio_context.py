"""When the browser lets the page's sound run: a click starts it, the system may stop it."""

import numpy as np
import pandas as pd
import pytest
from chromium import PATH, Chromium
from test_in_browser import RATE, is_past, wait_until

from giblet.report.page import render_page

pytestmark = pytest.mark.skipif(PATH is None, reason="there is no Chromium")

SHOWN = {
    ".play": "document.querySelector('.play').textContent === 'Pause'",
    ".strip": "document.querySelector('.strip').getAttribute('aria-pressed') === 'true'",
}
HEARD = "allPlayers.filter(one => one.isHeard).length === {}"
FALLEN_BACK = """[document.querySelector(".moment .console").hidden,
    document.querySelector(".moment audio").controls,
    !document.querySelector(".ladder audio").hidden]"""
either_player = pytest.mark.parametrize("button", SHOWN)


def tones():
    """A page with one tone for each column, 8 s of them, and no figures."""
    times = np.arange(8 * RATE) / RATE
    pitches = {"original": 440, "codec": 550, "stimulus": 660}
    sounds = {c: np.sin(2 * np.pi * hz * times).astype(np.float32) for c, hz in pitches.items()}
    names = ["path", "column", "metric", "value", "low", "high", "n", "n_failed"]
    rows = [("encodec", c, "stoi", 0.8, 0.7, 0.9, 3, 0) for c in pitches if c != "original"]
    facts = {"dataset": "d", "film": "f", "codec": "c", "bandwidth_kbps": 6.0, "t_r": 1.5}
    facts |= {"simulated": False, "has_bold": True, "warnings": [], "config": ""}
    facts |= {"git_commit": 40 * "a"}
    return render_page(pd.DataFrame(rows, columns=names), {"encodec": sounds}, RATE, {}, facts)


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    folder = tmp_path_factory.mktemp("page")
    (folder / "report.html").write_text(tones())
    browser = Chromium(folder / "profile")
    browser.home = (folder / "report.html").as_uri()
    yield browser
    browser.close()


@pytest.fixture
def page(browser):
    """Loaded, and not touched yet."""
    browser.open(browser.home)
    return browser


REPLACED = """(() => {{ const {{ resume }} = AudioContext.prototype;
    AudioContext.prototype.resume = function () {{ {} }}; }})()"""  # resume: the browser's own


@pytest.mark.parametrize("button", [*SHOWN, ".moment .choose", ".moment .view"])
def test_a_click_resumes_the_context_at_once(page, button):
    """Before the first await: in WebKit a later resume() never settles.

    After a click Chromium runs a new context without resume(): here its state is WebKit's.
    """
    spy = REPLACED.format("window.asked = true; return resume.call(this);")
    spy += "; Object.defineProperty(AudioContext.prototype, 'state', { get: () => 'suspended' })"
    click = f"document.querySelector('{button}').click()"
    assert page.run(f"{spy}; {click}; window.asked")


@either_player
def test_a_player_pauses_where_the_system_stops_the_context(page, button):
    """The next click plays on from there."""
    page.click(button)
    place = "Math.max(...allPlayers.map(one => one.place()))"
    assert wait_until(page, f"{place} > 0.1")
    page.run("context.suspend()")
    assert wait_until(page, HEARD.format(0))
    assert not page.run(SHOWN[button])
    paused = page.run(place)
    page.click(button)
    assert wait_until(page, f"{place} > {paused}")
    assert page.run(SHOWN[button])
    page.click(button)
    assert not page.run(SHOWN[button])
    assert not page.errors


def test_a_click_during_decoding_pauses_too(page):
    page.run("""OfflineAudioContext.prototype.decodeAudioData = () => new Promise(() => {})""")
    page.click(".play")
    assert wait_until(page, "context.state === 'running'")
    assert page.run(SHOWN[".play"])
    page.run("context.suspend()")
    assert wait_until(page, f"!({SHOWN['.play']})")


def test_a_change_of_state_does_not_cancel_a_click_that_waits_for_the_context(page):
    """At the end of a phone call WebKit goes from "interrupted" to "suspended", then it runs."""
    page.run("window.allowed = new Promise(done => { window.allow = done; }); 0")
    page.run(REPLACED.format("return allowed.then(() => resume.call(this));"))
    page.run("document.querySelector('.play').click(); context.suspend()")
    assert wait_until(page, f"context.state === 'suspended' && !({SHOWN['.play']})")
    page.run("document.querySelector('.play').click()")
    page.run("context.dispatchEvent(new Event('statechange'))")
    assert page.run(f"context.state === 'suspended' && {SHOWN['.play']}")
    page.run("allow()")
    assert wait_until(page, is_past(0, 0.1))


@either_player
def test_a_refused_resume_pauses_and_the_next_click_plays(page, button):
    page.run("document.querySelector('.play').click(); context.suspend()")
    assert wait_until(page, f"context.state === 'suspended' && {HEARD.format(0)}")
    page.run("allPlayers.forEach(one => one.stop())")
    refuse = """if (window.allowed) return resume.call(this);
        window.refused = true; return Promise.reject(new DOMException("", "InvalidStateError"));"""
    page.run(REPLACED.format(refuse))
    page.click(button)
    assert wait_until(page, "window.refused && allPlayers.every(one => !one.on)")
    assert not page.run(SHOWN[button])
    assert page.run(FALLEN_BACK) == [False, False, False]
    page.run("window.allowed = true")
    page.click(button)
    assert wait_until(page, HEARD.format(1))
    assert page.run(SHOWN[button])
    assert not page.errors


@pytest.mark.parametrize(
    "broken",
    [
        "window.AudioContext = class { constructor() { throw Error('no device'); } }",
        "OfflineAudioContext.prototype.decodeAudioData = () => Promise.reject(Error('no sound'))",
    ],
)
def test_without_a_context_or_a_decoder_each_sound_has_its_own_player(page, broken):
    page.run(f"{broken}; allPlayers.forEach(one => one.release())")
    for button, expected in ((".play", "true,true,false"), (".strip", "true,true,true")):
        page.click(button)
        assert wait_until(page, f"`${{{FALLEN_BACK}}}` === '{expected}'")
    assert not page.errors

"""The page in a real browser: it plays, it switches, nothing is wrong with it."""

import base64
import json
import os
import re
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from chromium import PATH, Chromium
from test_anchored_prior import table as prior_table
from test_calibration import calibration_table
from test_ladder import shades
from test_level_figure import level_table
from test_searchlight import searchlight_table

from giblet.evaluation.permuted_clips import null_rows, null_table
from giblet.evaluation.quality import summary_table
from giblet.report.extras import Extras
from giblet.report.page import page_of, render_page
from giblet.report.scan_quality import BrainResults

RATE = 24000
HOSTILE = "</script><script>window.harmed = 1</script><img src=x onerror='window.harmed = 1'>"
PLAYERS = [(".strip", ".ladder audio", 3), (".moment .choose", ".moment audio", 3)]
SEGMENTS = {"stoi": np.array([0.7, 0.9, 0.8])}  # worst, best, median

pytestmark = pytest.mark.skipif(PATH is None, reason="there is no Chromium")


def html():
    """24 s of tones on both paths; every name that a person can choose is hostile."""
    times, pitches = np.arange(24 * RATE) / RATE, (440, 550, 660, 770, 880)
    tones = [0.3 * np.sin(2 * np.pi * hz * times).astype(np.float32) for hz in pitches]
    columns = dict(zip(("original", "codec", "stimulus"), tones[:3], strict=True))
    on_mel = dict(zip(("original", "codec", "stimulus"), tones[:1] + tones[3:], strict=True))
    names = ["path", "column", "metric", "value", "low", "high", "n", "n_failed"]
    rows = [("encodec", c, m, 0.8, 0.7, 0.9, 3, 0) for c in columns for m in ("stoi", "pesq_wb")]
    history = pd.DataFrame({"epoch": [0, 1], "train/audio": [1.0, 0.8]})
    facts = {"dataset": "d", "film": HOSTILE, "codec": "c", "bandwidth_kbps": 6.0, "t_r": 1.5}
    facts |= {"simulated": False, "has_bold": True, "warnings": [HOSTILE], "config": HOSTILE}
    facts |= {"git_commit": 40 * "a"}
    extras = Extras(
        segments={("encodec", "stimulus"): SEGMENTS},
        levels=level_table(),
        calibration=calibration_table(),
        searchlight=searchlight_table(),
        prior=prior_table((0.5, 0.4, 0.3), (0, 0.1, 0.35), (0.001, 0.001, 0.001)),
        permutations=null_table("encodec", nulls()),
    )
    scores = pd.DataFrame(rows[2:], columns=names)
    sounds, curves = {"encodec": columns, "mel": on_mel}, {"mel": history}
    return render_page(scores, sounds, RATE, curves, facts, brain_results(), extras)


def nulls():
    """Of identification, by 99 permutations."""
    key = "brain", "identification_sound_10way"
    return list(null_rows({key: np.array([[0.4]])}, {key: np.linspace(0, 0.3, 99)}))


def brain_results():
    """ISC that rises from voxel to voxel of a small block, and an r that falls."""
    affine = [30.0, 0, 0, -60, 0, 30, 0, -75, 0, 0, 30, -45, 0, 0, 0, 1]
    mask = np.zeros((5, 6, 5), dtype=bool)
    mask[1:4, 1:5, 1:4] = True  # 36 voxels
    isc = (("subject", "voxel"), np.arange(36)[None] / 100)
    falling = (("subject", "voxel"), 0.4 - np.arange(36)[None] / 100)
    maps = {"isc": isc, "r_mel": falling}
    quality = xr.Dataset(maps, {"subject": ["sub-01"]}, {"warnings": "[]"})
    space = xr.Dataset({"mask": (("i", "j", "k"), mask)}, attrs={"affine": affine})
    return BrainResults(quality, summary_table(quality), space)


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    folder = tmp_path_factory.mktemp("page")
    (folder / "report.html").write_text(html())
    browser = Chromium(folder / "profile")
    size = {"width": 1280, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    browser.ask("Emulation.setDeviceMetricsOverride", **size)
    browser.open((folder / "report.html").as_uri())
    yield browser
    browser.close()


def playing(browser):
    """Label → place in seconds, of what is heard in a moment."""
    found = """[...document.querySelectorAll(".moment")]
        .filter(m => m.querySelector(".play").textContent === "Pause")
        .map(m => [m.querySelector(".choose[aria-pressed=true]").getAttribute("aria-label"),
            parseFloat(m.querySelector(".head").style.left) * m.querySelector(".place").max / 100])
    """
    return {name.removeprefix("Hear this: "): at for name, at in browser.run(found)}


def is_past(moment, seconds):
    """The condition that the playhead of a moment is past so many seconds."""
    box = f"document.querySelectorAll('.moment')[{moment}]"
    return f"Number({box}.querySelector('.place').value) > {seconds}"


def wait_until(browser, condition):
    """Whether it comes true within some seconds, in the browser's own time."""
    return browser.run(f"""new Promise(done => {{ let n = 0; const look = () => {{
        if ({condition}) done(true); else if (++n > 400) done(false);
        else setTimeout(look, 25); }}; look(); }})""")


@pytest.mark.slow
def test_nothing_goes_wrong_and_every_picture_is_there(browser):
    assert browser.run("[...document.images].every(i => i.complete && i.naturalWidth > 0)")
    assert browser.run("document.images.length") > 12
    assert browser.run("window.harmed") is None
    assert HOSTILE in browser.run("document.querySelector('h1').textContent")
    assert not browser.errors


def test_the_median_segment_comes_first_then_the_best_and_the_worst(browser):
    titles = browser.run("[...document.querySelectorAll('.moment h3')].map(h => h.textContent)")
    assert titles == [
        "Median segment: 16.0 to 24.0 s of held-out sound",
        "Best segment: 8.0 to 16.0 s of held-out sound",
        "Worst segment: 0.0 to 8.0 s of held-out sound",
        "Beginning: 0.0 to 24.0 s of held-out sound",
    ]


def test_a_click_on_a_picture_plays(browser):
    browser.run("document.querySelectorAll('.moment')[3].querySelector('.view').click()")
    assert wait_until(browser, is_past(3, 0.1))
    assert list(playing(browser)) == ["Original, beginning"]
    browser.run("document.querySelectorAll('.moment')[3].querySelector('.choose').click()")
    assert playing(browser) == {}
    browser.run("document.querySelectorAll('.moment')[3].querySelector('.choose').click()")
    assert list(playing(browser)) == ["Original, beginning"]
    browser.run("document.querySelectorAll('.play')[3].click()")


def test_it_plays_and_switches_without_losing_its_place(browser):
    browser.run("document.querySelector('.play').click()")
    assert wait_until(browser, is_past(0, 0.3))
    for nr, heard in (
        (0, "Original"),
        (2, "Through the model"),
        (4, "Through the model, mel"),
    ):  # the other path, too
        ((_, place),) = playing(browser).items()
        browser.run(f"document.querySelectorAll('.choose')[{nr}].click()") if nr else None
        ((label, now),) = playing(browser).items()
        assert label == f"{heard}, median segment"
        assert place <= now < place + 2
        assert wait_until(browser, is_past(0, now))
    pressed = "[...document.querySelectorAll('.moment')[0].querySelectorAll('[aria-pressed=true]')]"
    assert browser.run(f"{pressed}.map(b => b.getAttribute('aria-label'))") == [
        f"Hear this: {label}"
    ]

    browser.run("document.querySelectorAll('.play')[1].click()")  # another moment: this one stops
    assert wait_until(browser, is_past(1, 0.1))
    assert list(playing(browser)) == ["Original, best segment"]
    browser.run("document.querySelectorAll('.play')[1].click()")
    assert playing(browser) == {}


def ladder(browser):
    """Names of pressed strips, and the place of the needle in percent."""
    return browser.run("""[[...document.querySelectorAll(".strip[aria-pressed=true]")]
        .map(s => s.getAttribute("aria-label")),
        parseFloat(document.querySelector(".needle").style.left) || 0]""")


def test_a_click_on_a_strip_plays_and_keys_switch_without_a_stop(browser):
    browser.run("document.querySelector('.strip').click()")
    moving = "parseFloat(document.querySelector('.needle').style.left) > {}"
    assert wait_until(browser, moving.format(1))
    (name,), place = ladder(browser)
    assert name.startswith("Play: Original")
    browser.press("3", 51)
    (name,), later = ladder(browser)
    assert name.startswith("Play: Through the model")
    assert later >= place  # it went on
    assert wait_until(browser, moving.format(later))
    browser.run("document.querySelectorAll('.strip')[2].click()")
    names, place = ladder(browser)
    assert names == []  # paused where it was
    browser.run("document.querySelectorAll('.play')[0].click()")  # a moment; then a strip again
    browser.run("document.querySelectorAll('.strip')[1].click()")
    assert wait_until(browser, moving.format(place))
    assert playing(browser) == {}
    browser.press("2", 50)  # the one that is heard: nothing changes
    assert len(ladder(browser)[0]) == 1
    browser.run("document.querySelectorAll('.play')[0].click()")
    assert ladder(browser)[0] == []
    browser.run("document.querySelectorAll('.play')[0].click()")
    assert not browser.errors


def test_strips_change_to_their_own_colour_scale_and_back(browser):
    state = """[document.querySelectorAll(".ladder .range:not([hidden])").length,
        document.querySelector(".bar .shared").hidden,
        ...[...document.querySelectorAll(".strip img")].map(i => i.src.length)]"""
    box, before = "document.querySelector('.own input')", browser.run(state)
    n_strips = browser.run("document.querySelectorAll('.strip').length")
    browser.run(f"{box}.click()")
    shown, is_hidden, *sizes = browser.run(state)
    assert (shown, is_hidden) == (n_strips + 1, True)  # and that of the colour bar
    assert sizes != before[2:]
    ready = "[...document.querySelectorAll('.strip img')].every(i => i.complete)"
    assert wait_until(browser, ready)
    browser.run(f"{box}.focus()")
    browser.press("2", 50)  # keys still play
    assert wait_until(browser, "document.querySelector('.strip[aria-pressed=true]')")
    browser.run("document.querySelector('.strip[aria-pressed=true]').click()")
    browser.run(f"{box}.click()")
    assert browser.run(state) == before
    assert not browser.errors


def test_own_scales_take_all_colours_in_listen_too(browser):
    """Oracle: Pillow and matplotlib's colours."""
    moment = "document.querySelectorAll('.moment')[1]"
    sources = f"[...{moment}.querySelectorAll('img[data-own]')].map(i => [i.src, i.dataset.own])"
    box = f"{moment}.querySelector('.own input')"
    before = browser.run(sources)
    browser.run(f"{box}.click()")
    after = browser.run(sources)
    assert browser.run(f"{moment}.querySelectorAll('.range:not([hidden])').length") == 1 + len(
        after
    )
    assert len(after) == 5  # original, and codec and stimulus of both feature types
    for (shared, ends), (own, _) in zip(before, after, strict=True):
        low, high = map(int, ends.split())
        expected = 255 * ((shades(shared) - low) / max(high - low, 1)).clip(0, 1)
        np.testing.assert_allclose(shades(own), expected, atol=0.51)
    browser.run(f"{box}.click()")
    assert browser.run(sources) == before
    assert not browser.errors


def test_the_first_tab_leads_to_the_first_sound(browser):
    browser.open(browser.run("location.href"))
    browser.press("Tab", 9)
    skip = "document.querySelector('.skip')"
    assert browser.run(f"document.activeElement === {skip}")
    assert browser.run(f"{skip}.getBoundingClientRect().top") >= 0
    browser.run(f"{skip}.click()")
    assert browser.run("document.activeElement === document.querySelector('.strip')")
    browser.run("document.activeElement.blur(); history.replaceState(null, '', location.pathname)")
    assert browser.run(f"{skip}.getBoundingClientRect().bottom") < 0


def test_keys_switch_all_four_and_no_sound_begins_again(browser):
    """Every strip has one source from the first click on; keys only change which one is heard."""
    browser.run("""(() => { const Made = AudioBufferSourceNode; window.made = 0;
        window.AudioBufferSourceNode = class extends Made {
            constructor(...how) { super(...how); window.made += 1; } }; })()""")
    n_strips = browser.run("document.querySelectorAll('.strip').length")
    browser.run("document.querySelector('.strip').click()")
    assert wait_until(browser, "document.querySelector('.strip[aria-pressed=true]')")
    heard = []
    for key in range(1, n_strips + 1):
        browser.press(str(key), 48 + key)
        (name,), _ = ladder(browser)
        heard.append(name)
    assert len(set(heard)) == n_strips
    assert wait_until(browser, f"window.made === {n_strips}")
    browser.run("document.querySelector('.strip[aria-pressed=true]').click()")
    assert ladder(browser)[0] == []
    assert not browser.errors


def test_a_sound_stopped_before_it_began_stays_stopped(browser):
    """Two clicks at once on a page that has not decoded its sounds yet; then another player."""
    browser.open(browser.run("location.href"))
    pressed = "document.querySelectorAll('.strip[aria-pressed=true]').length"
    browser.run(
        "document.querySelector('.strip').click(); document.querySelector('.strip').click()"
    )
    browser.run("document.querySelector('.strip').click(); document.querySelector('.play').click()")
    assert wait_until(browser, is_past(0, 0.3))
    assert browser.run(pressed) == 0
    browser.run(
        "document.querySelectorAll('.choose')[1].click();"
        "document.querySelectorAll('.choose')[2].click()"
    )  # the second never began
    ((label, place),) = playing(browser).items()
    assert label == "Through the model, median segment"
    assert wait_until(browser, is_past(0, place))
    browser.run("document.querySelector('.play').click()")
    assert playing(browser) == {}
    assert not browser.errors


# The page's player in a context that renders at no particular speed, so that a busy machine does
# not count. A step is a time in seconds, a selector and what is clicked at that time, and how many
# sources there are before the rendering goes on (0: the next step holds back decoding).
RENDER = """(async (steps, seconds, held) => {
    const Source = AudioBufferSourceNode, decode = OfflineAudioContext.prototype.decodeAudioData;
    let made = 0, open = null;
    window.AudioBufferSourceNode = class extends Source {
        constructor(...how) { super(...how); made += 1; } };
    const gate = new Promise(resolve => { open = resolve; });
    const before = context, rendered = new OfflineAudioContext(1, 48000 * seconds, 48000);
    const go = rendered.resume.bind(rendered), nap = () => new Promise(r => setTimeout(r, 5));
    rendered.resume = async () => {};
    context = rendered;
    const step = async ([when, selector, nr, least]) => {
        if (held === when) OfflineAudioContext.prototype.decodeAudioData =
            async function (data) { await gate; return decode.call(this, data); };
        if (selector) document.querySelectorAll(selector)[nr].click(); else open();
        while (made < least) await nap();
        for (let n = 0; n < 3; n++) await nap(); // what was promised is done
    };
    await step(steps[0]);
    for (const one of steps.slice(1))
        rendered.suspend(one[0]).then(async () => { await step(one); go(); });
    const found = await rendered.startRendering();
    OfflineAudioContext.prototype.decodeAudioData = decode;
    window.AudioBufferSourceNode = Source;
    for (const player of allPlayers) player.release();
    for (const player of allPlayers) player.seek(0);
    context = before;
    return found.getChannelData(0);
})"""
DECODED = """decodedSound(document.querySelectorAll("{}")[{}]).then(found =>
    found.getChannelData(0).slice(0, 2 * 48000))"""
AS_TEXT = """{}.then(found => new Promise(resolve => {{ const reader = new FileReader();
    reader.onload = () => resolve(reader.result.split(",")[1]);
    reader.readAsDataURL(new Blob([found])); }}))"""
HZ = 48000
MOST_SILENCE = 0.001  # s


def longest_silence(sound):
    """In seconds, of stretches below 5 % of the loudest."""
    loud = np.flatnonzero(np.abs(sound) > 0.05 * np.abs(sound).max())
    return np.diff(loud, prepend=0, append=len(sound)).max() / HZ


def samples(browser, promise):
    """Of a promise of 32-bit floats."""
    found = browser.run(AS_TEXT.format(promise))
    return np.frombuffer(base64.b64decode(found), np.float32)


def rendered_sound(browser, steps, seconds, held="null"):
    return samples(browser, f"{RENDER}({json.dumps(steps)}, {seconds}, {held})")


@pytest.mark.parametrize(("button", "sound", "n"), PLAYERS)
def test_a_switch_has_no_gap_and_keeps_the_clock(browser, button, sound, n):
    """Recorded: what is heard is each sound, at the sample at which it would be, and no silence.

    The tone of the next one begins where the old one ends; after 50 ms nothing else is heard.
    """
    browser.open(browser.run("location.href"))
    times = [0, 0.4, 0.8, 0.81, 1.2]  # the third switch follows the second before it is over
    order = [0, 2, 1, 2, 0]
    steps = [[time, button, k, n] for time, k in zip(times, order, strict=True)]
    heard = rendered_sound(browser, steps, 1.6)
    begun = np.flatnonzero(heard)[0] / HZ  # of playing; the tones begin at 0 too
    assert begun < 0.05
    assert longest_silence(heard[round(0.1 * HZ) :]) < MOST_SILENCE
    for k, begin, end in zip(order, times, [*times[1:], 1.6], strict=True):
        if end - begin < 0.1:
            continue
        alone = samples(browser, DECODED.format(sound, k))
        part = slice(round((begin + 0.1) * HZ), round(end * HZ) - 1)
        first = round(0.02 * HZ)  # AHEAD
        assert np.abs(alone[part.start - first : part.stop - first]).max() > 0.1
        np.testing.assert_allclose(
            heard[part], alone[part.start - first : part.stop - first], atol=2e-4
        )


def test_what_is_heard_goes_on_until_the_next_sound_is_decoded(browser):
    browser.open(browser.run("location.href"))
    button, sound = ".moment .choose", ".moment audio"
    n_seen = 3  # the others are in a closed box: not decoded before they are chosen
    steps = [[0, button, 0, n_seen], [0.4, button, 4, 0], [0.8, None, 0, n_seen + 1]]
    heard = rendered_sound(browser, steps, 1.2, held=0.4)
    assert longest_silence(heard[round(0.1 * HZ) :]) < MOST_SILENCE
    for k, begin, end in ((0, 0.1, 0.8), (4, 0.9, 1.2)):
        alone = samples(browser, DECODED.format(sound, k))
        part = slice(round(begin * HZ), round(end * HZ) - 1)
        moved = slice(part.start - round(0.02 * HZ), part.stop - round(0.02 * HZ))
        np.testing.assert_allclose(heard[part], alone[moved], atol=2e-4)


def test_only_the_player_in_use_keeps_decoded_sounds(browser):
    browser.open(browser.run("location.href"))
    browser.run("""(() => { const old = OfflineAudioContext.prototype.decodeAudioData;
        window.kept = []; OfflineAudioContext.prototype.decodeAudioData = async function (data) {
            const found = await old.call(this, data); kept.push(new WeakRef(found));
            return found; }; })()""")
    for nr in (0, 1, 2):
        browser.run(f"document.querySelectorAll('.play')[{nr}].click()")
        assert wait_until(browser, is_past(nr, 0.1))
    browser.run("document.querySelectorAll('.play')[2].click()")
    assert wait_until(browser, "kept.length >= 9")
    browser.ask("HeapProfiler.collectGarbage")
    left = wait_until(browser, "kept.filter(one => one.deref()).length <= 4 + 3")
    assert left  # those of the ladder are decoded when the page is idle
    browser.open(browser.run("location.href"))


def test_little_is_to_be_done_between_a_click_and_its_sound(browser):
    """Processor seconds of the page's thread, so that a busy machine does not count."""
    browser.ask("Performance.enable", timeDomain="threadTicks")
    browser.open(browser.run("location.href"))

    def spent():
        metrics = browser.ask("Performance.getMetrics")["metrics"]
        return {one["name"]: one["value"] for one in metrics}["TaskDuration"]

    wait_until(browser, "document.querySelector('iframe').contentDocument.readyState == 'complete'")
    before = spent()
    browser.run("document.querySelector('.strip').click()")
    assert wait_until(browser, "document.querySelector('.strip[aria-pressed=true]')")
    assert spent() - before < 0.3
    browser.run("document.querySelector('.strip').click()")


def test_the_first_screen_has_the_ladder_and_a_brain(browser):
    ends = browser.run("""[".axis", ".where img", ".headline"].map(s =>
        document.querySelector(s)?.getBoundingClientRect().bottom + scrollY)""")
    browser.run("scrollTo(0, 4000)")
    assert browser.run("document.querySelector('nav').getBoundingClientRect().top") == 0
    browser.run("scrollTo(0, 0)")
    assert max(ends) < 900
    order = browser.run("""[...document.querySelectorAll(".ladder, .headline, .where")]
        .map(e => e.className)""")
    assert order == ["ladder", "headline", "where"]  # on a narrow screen
    links = "document.querySelector('nav ul')"
    assert browser.run(f"{links}.scrollWidth <= {links}.clientWidth")  # all sections are seen


def test_the_methods_text_is_copied_without_a_network(browser):
    """With the clipboard refused, as in an old browser, the text is selected and copied."""
    button = "document.querySelector('button.copy')"
    assert not browser.run(f"{button}.hidden")
    browser.run("Object.defineProperty(navigator, 'clipboard', {value: undefined})")
    browser.run("document.execCommand = name => { window.copied = [name, `${getSelection()}`] }")
    browser.run(f"{button}.click()")
    shown = browser.run("document.getElementById('methods-text').textContent")
    assert wait_until(browser, "window.copied")
    command, selected = browser.run("window.copied")
    assert (command, selected.split()) == ("copy", shown.split())
    assert wait_until(browser, f"{button}.nextElementSibling.textContent.includes('Ctrl+C')")
    browser.open(browser.run("location.href"))


def test_a_moment_loops_where_that_is_asked(browser):
    loop, place = (f"document.querySelectorAll('.{c}')[1]" for c in ("loop", "place"))
    move = f"{place}.value = 7.8; {place}.dispatchEvent(new Event('input'))"
    play = "document.querySelectorAll('.play')[1]"
    browser.run(f"{loop}.click(); {move}; {play}.click()")
    assert wait_until(browser, f"Number({place}.value) < 4")
    assert list(playing(browser)) == ["Original, best segment"]
    browser.run(f"{loop}.click(); {move}")  # it plays on from there, and now it ends
    assert wait_until(browser, f"{play}.textContent === 'Play'")
    assert browser.run(f"Number({place}.value)") == 8
    browser.run(f"{play}.click()")  # from the beginning
    assert wait_until(browser, f"Number({place}.value) < 4")
    browser.run(f"{play}.click()")
    assert playing(browser) == {}


def test_the_playhead_is_moved_by_keys(browser):
    browser.run("document.querySelectorAll('.place')[2].focus()")
    for _ in range(4):
        browser.press("ArrowRight", 39)
    place = browser.run("Number(document.activeElement.value)")
    assert place > 0
    left = browser.run("document.querySelectorAll('.moment')[2].querySelector('.head').style.left")
    assert float(left.strip("%")) == pytest.approx(100 * place / 8)
    assert playing(browser) == {}  # moved, not played
    browser.run("document.querySelectorAll('.play')[2].click()")
    ((_, begun),) = playing(browser).items()
    assert place <= begun < place + 2
    browser.run("document.querySelectorAll('.play')[2].click()")


def test_it_fits_a_narrow_screen(browser):
    size = {"width": 400, "height": 800, "deviceScaleFactor": 1, "mobile": False}
    browser.ask("Emulation.setDeviceMetricsOverride", **size)
    assert browser.run("document.documentElement.scrollWidth") <= 400
    size |= {"width": 1280, "height": 900}
    browser.ask("Emulation.setDeviceMetricsOverride", **size)


@pytest.mark.slow
def test_hostile_names_of_200_letters_do_not_widen_the_page(tmp_path):
    """Films, subjects, runs, regions and warnings with markup, right-to-left text, no space."""
    from test_figures import material

    (tmp_path / "report.html").write_text(page_of(material()))
    browser = Chromium(tmp_path / "profile")
    wide = {}
    for width in (1280, 400):
        size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
        browser.ask("Emulation.setDeviceMetricsOverride", **size)
        browser.open((tmp_path / "report.html").as_uri())
        wide[width] = browser.run("document.documentElement.scrollWidth")
    errors = browser.errors
    browser.close()
    assert all(found <= width for width, found in wide.items()), wide
    assert errors == []


def test_the_page_is_soon_ready(browser):
    """Processor seconds of the page's thread, so that a busy machine does not count."""
    browser.ask("Performance.enable", timeDomain="threadTicks")
    browser.open(browser.run("location.href"))
    metrics = browser.ask("Performance.getMetrics")["metrics"]
    spent = {one["name"]: one["value"] for one in metrics}
    assert 0 < spent["TaskDuration"] < 2


def test_printed_tables_keep_their_heads_and_nothing_is_cut(browser):
    browser.ask("Emulation.setEmulatedMedia", media="print")
    size = {
        "width": 720,
        "height": 1000,
        "deviceScaleFactor": 1,
        "mobile": False,
    }  # A4 without margins
    browser.ask("Emulation.setDeviceMetricsOverride", **size)
    wide = browser.run("""[...document.querySelectorAll("table, figure, pre, .ladder")]
        .filter(e => e.getBoundingClientRect().right > 721).map(e => e.textContent.slice(0, 60))""")
    after = browser.run("""["h2", "h3", "caption", "thead", "h2 + p", "p:has(+ .grid)"].map(s =>
        getComputedStyle(document.querySelector(s)).breakAfter)""")
    broken = browser.run("""[...document.querySelectorAll("table")]
        .filter(t => t.tBodies[0].rows.length < 9 && getComputedStyle(t).breakInside != "avoid")
        .map(t => t.textContent.slice(0, 60))""")
    hidden = browser.run("""["nav", "audio", ".save", ".scale .own", ".interactive"].map(s =>
        getComputedStyle(document.querySelector(s)).display)""")
    heights = browser.run(STRIPS_AND_AXES)
    split = browser.run("""[...document.querySelectorAll(".where th[scope=row]")]
        .filter(t => t.getClientRects().length && t.scrollHeight > 30).length""")
    bar, label = browser.run("""[".axis .bar img", ".axis .shared"].map(s =>
        document.querySelector(s).getBoundingClientRect()).map(b => [b.top, b.bottom])""")
    browser.ask("Emulation.setEmulatedMedia", media="")
    size |= {"width": 1280, "height": 900}
    browser.ask("Emulation.setDeviceMetricsOverride", **size)
    assert wide == []
    assert after == 6 * ["avoid"]
    assert broken == []
    assert hidden == 5 * ["none"]
    assert len(heights) == 3
    for axis, strip in heights:
        assert axis == pytest.approx(strip, abs=0.5)
    assert split == 0
    assert label[0] >= bar[1]


STRIPS_AND_AXES = """[...document.querySelectorAll(".step")].map(s => [".kilohertz", ".strip"]
    .map(c => s.querySelector(c).getBoundingClientRect()).map(b => [b.top, b.bottom]))"""


def test_the_frequency_axis_is_as_high_as_its_strip_on_the_screen(browser):
    for axis, strip in browser.run(STRIPS_AND_AXES):
        assert axis == pytest.approx(strip, abs=0.5)


def test_the_brain_is_cut_where_one_clicks(browser):
    inside = "document.querySelector('iframe').contentDocument"
    assert wait_until(browser, f"{inside}.querySelector('canvas')?.width > 100")
    frame, canvas = "document.querySelector('iframe')", f"{inside}.querySelector('canvas')"
    shown = f"{canvas}.toDataURL()"
    before = browser.run(shown)
    browser.run(f"{frame}.scrollIntoView()")
    corner = f"""(() => {{ const f = {frame}.getBoundingClientRect();
        const c = {canvas}.getBoundingClientRect();
        return [f.left + c.left + 0.13 * c.width, f.top + c.top + 0.4 * c.height,
                f.height - c.bottom]; }})()"""
    x, y, room = browser.run(corner)
    for kind in ("mousePressed", "mouseReleased"):
        options = {"x": x, "y": y, "button": "left", "clickCount": 1}
        browser.ask("Input.dispatchMouseEvent", type=kind, **options)
    assert browser.run(shown) != before
    assert room >= 0  # nothing is cut off
    assert not browser.errors


def test_keys_move_the_slices_and_say_where(browser):
    inside = "document.querySelector('iframe').contentDocument"
    canvas, place = f"{inside}.querySelector('canvas')", f"{inside}.querySelector('[role=status]')"
    assert wait_until(browser, f"{canvas}?.width > 100")
    browser.run(f"document.querySelector('iframe').scrollIntoView(); {canvas}.focus()")
    browser.press("ArrowRight", 39)
    x, y, z = place_of(browser.run(f"{place}.textContent"))
    shown = browser.run(f"{canvas}.toDataURL()")
    scrolled = browser.run("scrollY")
    for key, code, moved in (
        *(("ArrowRight", 39, (2, 0, 0)), ("ArrowLeft", 37, (-2, 0, 0))),
        *(("ArrowUp", 38, (0, 2, 0)), ("ArrowDown", 40, (0, -2, 0))),
        *(("PageUp", 33, (0, 0, 2)), ("PageDown", 34, (0, 0, -2))),
    ):
        browser.press(key, code)
        now = place_of(browser.run(f"{place}.textContent"))
        assert tuple(np.subtract(now, (x, y, z))) == moved, key
        assert browser.run(f"{canvas}.toDataURL() == {shown!r}") is (min(moved) < 0), key
        x, y, z = now
    assert browser.run("scrollY") == scrolled
    outline = f"getComputedStyle({canvas}).outlineStyle"
    assert browser.run(outline) == "solid"
    assert "Arrow keys" in browser.run(f"{canvas}.getAttribute('aria-label')")
    for _ in range(60):
        browser.press("ArrowLeft", 37)
    assert place_of(browser.run(f"{place}.textContent"))[0] <= x - 40  # and no further
    assert not browser.errors


def test_the_map_of_the_slices_is_chosen(browser):
    frame = "document.querySelector('.slices iframe')"
    inside, choice = f"{frame}.contentDocument", "document.querySelector('.slices select')"
    canvas = f"{inside}.querySelector('canvas')"
    assert wait_until(browser, f"{canvas}?.width > 100")
    labels = f"[...{choice}.options].map(o => o.text)"
    assert browser.run(labels) == ["Inter-subject correlation", "Ridge r: sound (mel)"]
    first = browser.run(f"{canvas}.toDataURL()")
    pick = "{0}.selectedIndex = {1}; {0}.dispatchEvent(new Event('change'))"
    browser.run(pick.format(choice, 1))
    assert wait_until(browser, f"{canvas}.toDataURL() != {first!r}")
    browser.run(pick.format(choice, 0))
    assert wait_until(browser, f"{canvas}.toDataURL() == {first!r}")
    texts = f"['0.000', '1', '0.5170'].map(v => {frame}.contentWindow.displayFloat(v, 3))"
    assert browser.run(texts) == ["0", "1", "0.517"]
    assert not browser.errors


def place_of(text):
    """Millimetres of ``x 12, y −4, z 8 mm: 0.21``."""
    return tuple(int(one.split()[1]) for one in text.split(" mm")[0].split(", "))


def test_it_prints_on_few_pages(browser):
    size = {"paperWidth": 8.27, "paperHeight": 11.69, "preferCSSPageSize": True}
    pdf = base64.b64decode(browser.ask("Page.printToPDF", **size)["data"])
    n_pages = max(int(n) for n in re.findall(rb"/Count (\d+)", pdf))
    assert 3 < n_pages <= 12


def test_it_weighs_little(browser):
    weight = browser.run("document.documentElement.outerHTML.length")
    assert 1e5 < weight < 12e6


AXES = {"installed": find_spec("axe_core_python"), "newest": os.environ.get("AXE_CORE")}


def test_small_print_is_smaller_than_what_it_explains(browser):
    browser.ask("Emulation.setEmulatedMedia", media="print")
    size = "parseFloat(getComputedStyle(document.querySelector('{}')).fontSize)"
    small, number = (browser.run(size.format(where)) for where in ("th small.quiet", "td"))
    browser.ask("Emulation.setEmulatedMedia", media="")
    assert small < number < 16


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("which", AXES)
def test_axe_finds_no_serious_fault(browser, which, scheme):
    """Deque's rules of accessibility; nilearn's view, whose values the map shows, not included."""
    if not (found := AXES[which]):
        pytest.skip("no axe_core_python" if which == "installed" else "AXE_CORE names no file")
    file = Path(found) if which == "newest" else Path(found.origin).with_name("axe.min.js")
    feature = {"name": "prefers-color-scheme", "value": scheme}
    browser.ask("Emulation.setEmulatedMedia", features=[feature])
    browser.run(file.read_text() + "; 0")
    wrong, n_passed = browser.run("""axe.run(document, {iframes: false}).then(found => [
        found.violations.map(v => [v.impact, v.id, v.nodes[0].html.slice(0, 80)]),
        found.passes.length])""")
    assert [one for one in wrong if one[0] in ("serious", "critical")] == []
    assert n_passed > 20


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_by_day_and_by_night(browser, scheme):
    """WCAG 2: 4.5 to 1, of every text against what is behind it."""
    feature = {"name": "prefers-color-scheme", "value": scheme}
    browser.ask("Emulation.setEmulatedMedia", features=[feature])
    ratios = browser.run("""(() => {
        const rgb = s => s.match(/[\\d.]+/g).map(Number);
        const light = s => rgb(s).slice(0, 3).map(v => v / 255)
            .map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
            .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
        const behind = e => { for (; e; e = e.parentElement) {
            const c = getComputedStyle(e).backgroundColor;
            if ((rgb(c)[3] ?? 1) > 0) return c; } return "rgb(255, 255, 255)"; };
        const found = [];
        for (const e of document.body.querySelectorAll("*"))
            if (e.tagName !== "SCRIPT"
                && [...e.childNodes].some(n => n.nodeType === 3 && n.data.trim())) {
                const [a, b] = [light(getComputedStyle(e).color), light(behind(e))];
                const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
                found.push([ratio, e.outerHTML.slice(0, 80)]);
            }
        return found; })()""")
    assert len(ratios) > 100
    assert [text for ratio, text in ratios if ratio < 4.5] == []


def test_every_control_has_a_name(browser):
    nameless = browser.run("""
        [...document.querySelectorAll("button, input, audio, img, a, [role]:not([role=status])")]
        .filter(e => !(e.getAttribute("aria-label") || e.alt || e.textContent.trim()))
        .map(e => e.outerHTML.slice(0, 80))""")
    assert nameless == []
    ids = browser.run("[...document.querySelectorAll('[id]')].map(e => e.id)")
    assert len(ids) == len(set(ids))
    targets = browser.run("""[...document.querySelectorAll("[aria-labelledby]")]
        .map(e => e.getAttribute("aria-labelledby"))""")
    assert set(targets) <= set(ids)

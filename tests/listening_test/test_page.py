"""The page in a real browser: a listener goes through it, and the answers mean what was clicked."""

import base64
import io
import json
import re
from urllib.parse import quote

import numpy as np
import pytest
import soundfile
from chromium import PATH, Chromium

from giblet.errors import GibletError
from giblet.listening_test import page as page_module
from giblet.listening_test.answers import load_answers
from giblet.listening_test.page import render_test
from giblet.listening_test.trials import choice_trials, rating_trials, trial_waveforms

RATE, LENGTH, N_CLIPS = 16000, 16000, 4
NAMES = ("original", "stimulus", "brain")


@pytest.fixture(scope="module")
def test():
    """Page, key and trials of tones: 2 columns of 4 clips, 2 screens of ratings."""
    rng = np.random.default_rng(0)
    times = np.arange(N_CLIPS * LENGTH) / RATE
    sounds = {
        name: 0.1 * (k + 1) * np.sin(2 * np.pi * (300 + 200 * k) * times * (1 + times / 20))
        for k, name in enumerate(NAMES)
    }
    trials = choice_trials(NAMES[1:], N_CLIPS, rng) + rating_trials(NAMES[1:], [0, 3], rng)
    starts = LENGTH * np.arange(N_CLIPS)
    waves = [trial_waveforms(one, sounds, starts, LENGTH, RATE) for one in trials]
    return *render_test(trials, waves, RATE, "A <b>test</b>"), waves


def content(page):
    return json.loads(re.search(r'id="content">(.*?)</script>', page, re.DOTALL)[1])


def test_a_sound_is_encoded_once(monkeypatch):
    """Two screens with the same three sounds."""
    encoded = []
    monkeypatch.setattr(
        page_module, "sound_uri", lambda wave, rate: f"{len(encoded)}" + str(encoded.append(wave))
    )
    waves = [np.sin(np.arange(800) / k) for k in (3, 5, 7)]
    trials = rating_trials(["a"], [0, 0], np.random.default_rng(0))
    render_test(trials, [waves, [one.copy() for one in waves]], RATE, "t")
    assert len(encoded) == 3


def test_sounds_are_the_trials_at_one_level(test):
    page, key, waves = test
    embedded = content(page)
    assert len(set(embedded["sounds"])) == len(embedded["sounds"]), "each sound once"
    for screen, expected in zip(embedded["screens"], waves, strict=True):
        for number, wave in zip(screen["sounds"], expected, strict=True):
            data = base64.b64decode(embedded["sounds"][number].split(",")[1])
            heard, rate = soundfile.read(io.BytesIO(data))
            assert rate == RATE
            assert np.corrcoef(heard, wave)[0, 1] > 0.9999
            level = np.sqrt(np.mean(np.square(waves[0][0])))
            assert np.sqrt(np.mean(np.square(heard))) == pytest.approx(level, rel=0.01)
    assert len(key["trials"]) == len(embedded["screens"]) == 10


def test_the_page_names_no_column_and_escapes_its_title(test):
    page = test[0]
    assert not [name for name in (*NAMES, "anchor", "hidden reference") if name in page]
    assert "A &lt;b&gt;test&lt;/b&gt;" in page


@pytest.fixture(scope="module")
def browser(test, tmp_path_factory):
    if PATH is None:
        pytest.skip("there is no Chromium")
    folder = tmp_path_factory.mktemp("page")
    (folder / "test.html").write_text(test[0])
    browser = Chromium(folder / "profile")
    browser.address = f"file://{quote(str(folder / 'test.html'))}"
    browser.open(browser.address)
    yield browser
    browser.close()


BEGIN = """document.querySelector('#listener').value = 'Ada L.';
document.querySelector('#begin').requestSubmit(); document.querySelector('#progress').textContent"""
# Choose B after all sounds were played; rate the k-th sound 10 k.
ANSWER = """(async () => {
  const buttons = [...document.querySelectorAll('#sounds button')];
  const plays = buttons.filter((b) => !b.textContent.startsWith('It is'));
  const before = document.querySelector('#next').disabled;
  for (const play of plays) { play.click(); await new Promise((r) => setTimeout(r, 5)); }
  const pressed = document.querySelectorAll('#sounds [aria-pressed=true]').length;
  const picks = buttons.filter((b) => b.textContent === 'It is B');
  if (picks.length) picks[0].click();
  [...document.querySelectorAll('#sounds input')].forEach((slider, k) => {
    slider.value = 10 * k;
    slider.dispatchEvent(new Event('input'));
  });
  const ready = !document.querySelector('#next').disabled;
  document.querySelector('#next').click();
  return [before, pressed, ready, document.querySelector('#progress').textContent];
})()"""
SAVED = """[document.querySelector('#end').hidden, document.querySelector('#save').download,
localStorage.getItem(Object.keys(localStorage)[0])]"""


def test_a_listener_goes_through_it(browser, test, tmp_path):
    _, key, _ = test
    assert browser.run(BEGIN) == "1 of 10"
    for number in range(1, 5):
        before, pressed, ready, progress = browser.run(ANSWER)
        assert (before, ready) == (True, True), "no answer is chosen, then one is"
        assert pressed == 1, "one sound at a time"
        assert progress == f"{number + 1} of 10"
    browser.open(browser.address)  # closed, and opened again
    assert browser.run("document.querySelector('#listener').value") == "Ada L."
    assert browser.run(BEGIN) == "5 of 10"
    for _ in range(6):
        browser.run(ANSWER)
    hidden, name, saved = browser.run(SAVED)
    assert (hidden, name) == (False, "answers_Ada_L_.json")
    assert not browser.errors
    (tmp_path / name).write_text(json.dumps({"test": key["test"], **json.loads(saved)}))
    table = load_answers(tmp_path, key)
    choices = table[table["kind"] == "choice"]
    right = {(t["clip"], t["column"]): t["sounds"][1] == "right" for t in key["trials"].values()}
    for row in choices.itertuples():
        assert row.value == right[row.clip, row.column], "B was chosen everywhere"
    ratings = table[table["kind"] == "rating"]
    for trial in (t for t in key["trials"].values() if t["kind"] == "rating"):
        own = ratings[ratings["clip"] == trial["clip"]].set_index("column")["value"]
        assert own.to_dict() == {name: 10.0 * k for k, name in enumerate(trial["sounds"])}


# Sounds stopped before they began: what their `play` says comes late, and is about them alone.
SWITCH = """(async () => {
  const waiting = [];
  const play = HTMLMediaElement.prototype.play;
  HTMLMediaElement.prototype.play = () => new Promise((_, fail) => waiting.push(fail));
  const button = document.querySelectorAll('#sounds button')[0];
  const other = document.querySelectorAll('#sounds button')[1];
  const late = async (number) => {
    waiting[number](new DOMException("stopped", "AbortError"));
    await new Promise((r) => setTimeout(r, 5));
    return [...document.querySelectorAll('#sounds [aria-pressed=true]')].map((b) => b.textContent);
  };
  button.click(); other.click();
  const another = await late(0);
  button.click(); button.click(); button.click();
  const same = await late(2);
  const failed = await late(3);
  HTMLMediaElement.prototype.play = play;
  return [another, same, failed];
})()"""


def test_switching_fast_stops_no_other_sound(browser):
    browser.open(browser.address)
    browser.run("localStorage.clear()")
    browser.open(browser.address)
    assert browser.run(BEGIN) == "1 of 10"
    another, same, failed = browser.run(SWITCH)
    assert (another, same, failed) == (["Play A"], ["Play the first sound"], [])


def test_nothing_scrolls_sideways_on_a_phone(browser):
    size = {"width": 400, "height": 800, "deviceScaleFactor": 1, "mobile": True}
    browser.ask("Emulation.setDeviceMetricsOverride", **size)
    assert browser.run("document.documentElement.scrollWidth") <= 400


def complete(key):
    answers = {
        name: {
            "answer": 0 if trial["kind"] == "choice" else [50] * len(trial["sounds"]),
            "plays": 3,
            "seconds": 4.5,
        }
        for name, trial in key["trials"].items()
    }
    return {"test": key["test"], "listener": "one", "answers": answers}


def spoiled(key, **changes):
    """Answers of one trial changed."""
    whole = complete(key)
    whole["answers"]["trial-001"] |= changes
    return whole


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda key: complete(key) | {"test": "other"}, "test other; the key is of"),
        (lambda key: spoiled(key, answer=2), "a choice is 0 or 1, not 2"),
        (lambda key: spoiled(key, answer=[5]), r"a choice is 0 or 1, not \[5\]"),
        (lambda key: spoiled(key, answer="B"), "no answers as the page saves them"),
        (lambda key: {"anything": 1}, "no answers as the page saves them"),
        (lambda key: complete(key) | {"answers": {}}, "no complete answers"),
    ],
)
def test_wrong_files_are_refused_in_one_line(test, tmp_path, change, message):
    key = test[1]
    (tmp_path / "answers.json").write_text(json.dumps(change(key)))
    with pytest.raises(GibletError, match=message) as error:
        load_answers(tmp_path, key)
    assert "\n" not in str(error.value)


def test_a_listener_with_two_files_is_refused_and_the_key_is_no_answers(test, tmp_path):
    key = test[1]
    (tmp_path / "key.json").write_text(json.dumps(key))
    for name in ("a.json", "b.json"):
        (tmp_path / name).write_text(json.dumps(complete(key)))
    with pytest.raises(GibletError, match=r"'one' has another file, a\.json"):
        load_answers(tmp_path, key)
    (tmp_path / "b.json").unlink()
    assert len(load_answers(tmp_path, key)) == 8 + 2 * 5

"""A model is found in a folder or the cache, or its absence is said at once. No network needed."""

import hashlib
import importlib
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest
from transformers import EncodecConfig, EncodecModel

from giblet.audio.codecs.codec import load_codec
from giblet.audio.model_features import SoundModel
from giblet.autoencoder.autoencoder import Autoencoder
from giblet.errors import GibletError
from giblet.film.image_features import ImageModel
from giblet.film.picture_layers import PictureModel
from giblet.film.text import embed_words
from giblet.film.word_models import WordModel
from giblet.io.hub import model_folder


@pytest.fixture
def offline(monkeypatch, tmp_path):
    """No way out, and an empty Hugging Face cache, whose folder this is."""

    def refuse(*_args, **_kwargs):
        raise OSError("no network")

    monkeypatch.setattr(socket, "create_connection", refuse)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.mark.parametrize("name", ["nobody/no_such_codec", "codecs/of/mine", "./mine", "my codec"])
def test_an_unknown_model_is_one_clear_line_at_once(offline, name):
    began = time.monotonic()
    with pytest.raises(GibletError, match="not in the Hugging Face cache") as raised:
        model_folder(name, "codec")
    assert time.monotonic() - began < 10
    assert name in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("setting", "why"),
    [("1", "HF_HUB_OFFLINE is set"), ("", "huggingface.co cannot be reached")],
)
def test_a_pinned_model_that_cannot_be_fetched_says_how_to(monkeypatch, offline, setting, why):
    monkeypatch.setenv("HF_HUB_OFFLINE", setting)
    commit = "0" * 40
    with pytest.raises(GibletError) as raised:
        model_folder(f"someone/model@{commit}", "word_model.name")
    (line,) = str(raised.value).splitlines()
    assert f"{why}. Fetch it where there is a network (hf download someone/model --rev" in line


def test_a_full_disk_is_not_a_missing_network(monkeypatch):
    import errno

    import huggingface_hub

    def fail(*_args, **_options):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", fail)
    monkeypatch.setattr("giblet.io.hub._hub_answers", lambda: True)
    with pytest.raises(GibletError, match="cannot be stored or read: No space left on device"):
        model_folder(f"someone/model@{'0' * 40}", "word_model.name")


GATED = "gated by its owners. Accept their terms on https://huggingface.co/someone/model, then run"
MISSING = "the hub has no such model or commit, or it is private. Check the name on https://hugging"
TOKEN = "the hub refuses the token of this computer ({}). Make one that may read https://huggingfac"
REACHED = "huggingface.co cannot be reached. Fetch it where there is a network (hf download someone"
ANSWERS = {
    "gated, nobody logged in": (401, {"X-Error-Code": "GatedRepo"}, GATED),
    "gated, terms not accepted": (403, {"X-Error-Code": "GatedRepo"}, GATED),
    "no such model": (404, {"X-Error-Code": "RepoNotFound"}, MISSING),
    "missing or private": (401, {}, MISSING),
    "no such commit": (404, {"X-Error-Code": "RevisionNotFound"}, MISSING),
    "bad token": (
        401,
        {"X-Error-Message": "Invalid credentials in Authorization header"},
        TOKEN.format(401),
    ),
    "token without the right": (403, {}, TOKEN.format(403)),
    "disabled": (403, {"X-Error-Message": "Access to this resource is disabled."}, "has disabled"),
    "too many requests": (429, {}, "the hub answered with error 429. Try again later"),
    "hub down": (503, {}, "the hub answered with error 503. Try again later"),
}


@pytest.fixture
def hub(monkeypatch, offline):
    """Lets the hub's own client run with what a function answers to its requests."""
    import huggingface_hub

    kind = huggingface_hub.errors.HTTPError.__module__.partition(".")[0]  # httpx, or httpx2
    client = importlib.import_module(kind)
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    monkeypatch.setattr("giblet.io.hub._hub_answers", lambda: True)
    monkeypatch.setattr("huggingface_hub.utils._http.time.sleep", lambda _seconds: None)

    def answers(answer):
        transport = client.MockTransport(lambda request: answer(client, request))
        huggingface_hub.set_client_factory(lambda: client.Client(transport=transport))

    before = huggingface_hub.utils._http._GLOBAL_CLIENT_FACTORY
    yield answers
    huggingface_hub.set_client_factory(before)


def refusal(what, name="someone/model"):
    with pytest.raises(GibletError) as raised:
        model_folder(f"{name}@{'0' * 40}", what)
    (line,) = str(raised.value).splitlines()
    assert line.startswith(f"{what} '{name}@")
    assert ", or give a folder" in line
    return line


@pytest.mark.parametrize("files", ["the list of files is refused", "the files are refused"])
@pytest.mark.parametrize(("status", "headers", "line"), ANSWERS.values(), ids=ANSWERS)
def test_what_the_hub_refuses_is_one_line(hub, status, headers, line, files):
    """The exceptions are the client's own, as it makes them of the hub's answers."""

    def answer(client, request):
        if "/tree/" in request.url.path and files == "the files are refused":
            listed = [{"type": "file", "path": "config.json", "size": 2, "oid": "0" * 40}]
            return client.Response(200, json=listed)
        return client.Response(status, headers=headers)

    hub(answer)
    assert line in refusal("sound_model.name")


@pytest.mark.parametrize("error", ["ConnectError", "ConnectTimeout", "ProxyError", "ReadError"])
def test_a_network_that_fails_is_one_line(hub, error):
    def fail(client, request):
        raise getattr(client, error)("[Errno 111] Connection refused\n\n", request=request)

    hub(fail)
    assert REACHED in refusal("word_model.name")


def test_a_download_that_broke_off_is_one_line(hub, monkeypatch):
    """A part of the files is in the cache, and the client knows which are missing."""
    listed = [
        {"type": "file", "path": name, "size": 2, "oid": str(n) * 40}
        for n, name in enumerate(["config.json", "model.safetensors"])
    ]

    def answer(client, request):
        if "/tree/" in request.url.path:
            return client.Response(200, json=listed)
        if request.url.path.endswith("config.json"):
            headers = {"X-Repo-Commit": "0" * 40, "ETag": f'"{"0" * 40}"', "Content-Length": "2"}
            return client.Response(200, headers=headers, content=b"{}")
        raise client.ConnectError("no route", request=request)

    hub(answer)
    assert REACHED in refusal("codec")
    monkeypatch.setattr("giblet.io.hub._hub_answers", lambda: False)
    assert "the Hugging Face cache has only some of its files" in refusal("codec")


def test_what_is_no_hub_id_is_not_asked_for(hub):
    def never(client, request):
        raise AssertionError(request.url)

    hub(never)
    line = refusal("codec", "codecs/of/mine")
    assert "no such folder, and no id of the hub" in line


def test_the_command_for_logging_in_exists():
    from huggingface_hub.cli import hf

    found = subprocess.run(
        [
            sys.executable,
            "-c",
            f"from {hf.__name__} import main; main()",
            "auth",
            "login",
            "--help",
        ],
        capture_output=True,
        text=True,
    )
    assert found.returncode == 0, found.stderr


WORDS = pd.DataFrame({"onset": [0.5], "duration": [2.0], "text": ["Good morning"]})
KINDS = {
    "codec": lambda name: load_codec(name, 6.0),
    "sound_model.name": SoundModel,
    "word_model.name": WordModel,
    "picture_model.name": PictureModel,
    "text_model": lambda name: embed_words(WORDS, 1.5, 4, 6.0, name),
    "video.features": ImageModel,
    "model": Autoencoder.from_pretrained,
}


@pytest.mark.parametrize("setting", KINDS)
def test_models_of_every_kind_say_so(hub, setting):
    hub(lambda client, request: client.Response(401, headers={"X-Error-Code": "GatedRepo"}))
    with pytest.raises(GibletError) as raised:
        KINDS[setting](f"someone/model@{'0' * 40}")
    (line,) = str(raised.value).splitlines()
    assert line.startswith(f"{setting} 'someone/model@{'0' * 40}': {GATED}")


def test_an_unknown_codec_is_refused_offline(offline):
    began = time.monotonic()
    with pytest.raises(GibletError, match="nobody/no_such_codec"):
        load_codec("nobody/no_such_codec", 6.0)
    assert time.monotonic() - began < 10


def test_a_silent_network_is_not_waited_for(monkeypatch, offline):
    """Behind some firewalls nothing refuses and nothing answers: the time-out must be ours."""
    waited = []

    def hang(_address, timeout=60.0):
        waited.append(timeout)
        raise TimeoutError

    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    monkeypatch.setattr(socket, "create_connection", hang)
    with pytest.raises(GibletError):
        model_folder(f"nobody/no_such_codec@{'0' * 40}", "codec")
    assert 0 < sum(waited) < 10


@pytest.mark.parametrize("name", ["nobody/codec", "nobody/codec@main", "nobody/codec@v1.0"])
def test_nothing_is_fetched_that_is_not_pinned(monkeypatch, offline, name):
    """Of a branch or a tag the hub may send something else tomorrow: it is not even asked."""
    asked = []
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    monkeypatch.setattr(socket, "create_connection", lambda *given, **_more: asked.append(given))
    with pytest.raises(GibletError, match="Name its commit"):
        model_folder(name, "codec")
    assert not asked


def test_a_cached_codec_is_found_offline(offline, as_the_hub_lays_it):
    commit = "0" * 40
    cached = offline / "models--somebody--tiny_codec"
    config = EncodecConfig(num_filters=2, hidden_size=8, num_lstm_layers=1)
    EncodecModel(config).save_pretrained(cached / "snapshots" / commit)
    as_the_hub_lays_it(cached / "snapshots" / commit)
    (cached / "refs").mkdir()
    (cached / "refs" / "main").write_text(commit)
    assert model_folder("somebody/tiny_codec", "codec") == cached / "snapshots" / commit
    assert load_codec("somebody/tiny_codec", 6.0).n_codebooks == 8


def test_a_pinned_codec_is_that_commit_and_no_other(offline, as_the_hub_lays_it):
    cached = offline / "models--somebody--tiny_codec"
    for commit in ("0" * 40, "1" * 40):
        (cached / "snapshots" / commit).mkdir(parents=True)
        (cached / "snapshots" / commit / "config.json").write_text("{}")
        as_the_hub_lays_it(cached / "snapshots" / commit)
    (cached / "refs").mkdir()
    (cached / "refs" / "main").write_text("0" * 40)
    assert model_folder("somebody/tiny_codec", "codec").name == "0" * 40
    assert model_folder(f"somebody/tiny_codec@{'1' * 40}", "codec").name == "1" * 40
    with pytest.raises(GibletError, match="not in the Hugging Face cache"):
        model_folder(f"somebody/tiny_codec@{'2' * 40}", "codec")


@pytest.fixture
def fetched(offline):
    """A model as the hub's client lays it down: links to files that are named by their hashes."""
    weights, config = b"weights" * 100, b"{}"
    in_git = hashlib.sha1(b"blob %d\0" % len(config) + config).hexdigest()
    snapshot = offline / "models--somebody--tiny" / "snapshots" / ("2" * 40)
    blobs = snapshot.parents[1] / "blobs"
    snapshot.mkdir(parents=True)
    blobs.mkdir()
    contents = {
        "model.safetensors": (hashlib.sha256(weights).hexdigest(), weights),
        "config.json": (in_git, config),
    }
    for name, (blob, content) in contents.items():
        (blobs / blob).write_bytes(content)
        (snapshot / name).symlink_to(Path("..") / ".." / "blobs" / blob)
    return snapshot


def test_what_was_fetched_is_as_the_hub_has_it(fetched):
    assert model_folder(f"somebody/tiny@{'2' * 40}", "codec") == fetched


@pytest.mark.parametrize("name", ["model.safetensors", "config.json"])
def test_a_changed_file_in_the_cache_is_refused(fetched, name):
    blob = (fetched / name).resolve()
    content = bytearray(blob.read_bytes())
    content[-1] ^= 1
    blob.write_bytes(content)
    with pytest.raises(GibletError, match=f"{name}: not as the hub has it"):
        model_folder(f"somebody/tiny@{'2' * 40}", "codec")


def test_a_link_out_of_the_cache_is_refused(fetched, tmp_path):
    (tmp_path / "elsewhere").write_text("{}")
    (fetched / "config.json").unlink()
    (fetched / "config.json").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(GibletError, match="not as the hub has it"):
        model_folder(f"somebody/tiny@{'2' * 40}", "codec")


def test_a_file_that_is_no_link_is_refused(fetched):
    """Nobody knows what it should be: it could be anything. Named as a folder, it is the user's."""
    weights = fetched / "model.safetensors"
    weights.unlink()
    weights.write_bytes(b"garbage")
    with pytest.raises(GibletError, match=r"model.safetensors: not as the hub .* give that folder"):
        model_folder(f"somebody/tiny@{'2' * 40}", "codec")
    assert model_folder(str(fetched), "codec") == fetched


def test_a_link_to_other_blobs_is_refused(fetched, tmp_path):
    blob = (fetched / "config.json").resolve()
    (tmp_path / "blobs").mkdir()
    (fetched / "config.json").unlink()
    (fetched / "config.json").symlink_to(blob.rename(tmp_path / "blobs" / blob.name))
    with pytest.raises(GibletError, match=r"config.json: not as the hub has it"):
        model_folder(f"somebody/tiny@{'2' * 40}", "codec")


def test_a_blob_that_is_a_pipe_is_refused(fetched):
    blob = (fetched / "config.json").resolve()
    blob.unlink()
    os.mkfifo(blob)
    with pytest.raises(GibletError, match=r"config.json: not as the hub has it"):
        model_folder(f"somebody/tiny@{'2' * 40}", "codec")


def test_a_folder_is_taken_as_it_is(tmp_path):
    (tmp_path / "config.json").write_text("{}")
    assert model_folder(str(tmp_path), "codec") == tmp_path


def test_a_folder_without_a_model_is_refused(tmp_path):
    with pytest.raises(GibletError, match=r"the folder has no config\.json"):
        model_folder(str(tmp_path), "codec")

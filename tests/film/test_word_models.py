"""Words in context and static vectors. Oracle: transformers by hand; models are random."""

import numpy as np
import pandas as pd
import pytest
import torch
import xarray as xr

from giblet.alignment.regressors import film_regressors
from giblet.brain.stimulus_clock import StimulusClock
from giblet.commands.feature_spaces import word_features
from giblet.config.config import parse_config
from giblet.errors import GibletError
from giblet.evaluation.quality import _bands
from giblet.film.annotations import read_annotations
from giblet.film.modalities import feature_names
from giblet.film.word_models import WordModel, as_written, word_form
from giblet.film.word_spaces import single_words, word_spaces
from giblet.film.word_vectors import word_vectors
from giblet.io.arrays import load_arrays
from giblet.io.tables import save_table
from giblet.log import warnings_of

WORDS = [
    *("the", "cat", "sat", "on", "the", "mat"),
    *("and", "the", "dog", "ran", "after", "the", "cat"),
]
VOCABULARY = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *sorted(set(WORDS)), "##s"]
SIZES = {"vocab_size": len(VOCABULARY), "hidden_size": 16, "num_hidden_layers": 2}
SIZES |= {"num_attention_heads": 2, "intermediate_size": 32, "max_position_embeddings": 40}


def tokenizer(folder, **special):
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    table = {token: i for i, token in enumerate(VOCABULARY)}
    words = Tokenizer(models.WordPiece(table, unk_token="[UNK]"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    own = PreTrainedTokenizerFast(tokenizer_object=words, unk_token="[UNK]", **special)
    own.save_pretrained(folder)
    return own


@pytest.fixture
def causal(tmp_path):
    from transformers import GPT2Config, GPT2LMHeadModel

    torch.manual_seed(0)
    config = GPT2Config(vocab_size=len(VOCABULARY), n_embd=16, n_layer=2, n_head=2, n_positions=40)
    GPT2LMHeadModel(config).save_pretrained(tmp_path / "gpt")
    tokenizer(tmp_path / "gpt", bos_token="[CLS]")
    return str(tmp_path / "gpt")


@pytest.fixture
def masked(tmp_path):
    from transformers import BertConfig, BertForMaskedLM

    torch.manual_seed(0)
    BertForMaskedLM(BertConfig(**SIZES)).save_pretrained(tmp_path / "bert")
    tokenizer(tmp_path / "bert", mask_token="[MASK]")
    return str(tmp_path / "bert")


def test_a_causal_model_by_hand(causal):
    """With all words as context, one pass has what the passes of each word have."""
    from transformers import GPT2LMHeadModel

    features = WordModel(causal, [1, 1.0]).features(WORDS)
    ids = torch.tensor([VOCABULARY.index(w) for w in ["[CLS]", *WORDS]])
    with torch.no_grad():
        output = GPT2LMHeadModel.from_pretrained(causal)(ids[None], output_hidden_states=True)
    nats = output.logits[0].log_softmax(-1)[:-1]
    expected = -nats[torch.arange(len(WORDS)), ids[1:]]
    np.testing.assert_allclose(features.surprisal, expected, atol=1e-4)
    np.testing.assert_allclose(features.entropy, -(nats.exp() * nats).sum(-1), atol=1e-4)
    for n in (1, 2):
        states = output.hidden_states[n][0, 1:]
        np.testing.assert_allclose(features.states[:, n - 1], states, atol=1e-4)


ODD = ["The", "cat", "don't", "\u201cWell,\u201d", "1,234", "caf\u00e9s.", "I'm", "\u2014"]
ODD += ["\U0001f600", "\u65e5\u672c\u8a9e", "zxqv!", "3.14", "won\u2019t"]


@pytest.mark.parametrize("kind", ["byte level", "spaces as tokens"])
def test_surprisals_of_odd_words_add_up_to_the_models_own_loss(tmp_path, kind):
    """Contractions, numbers, an emoji, Japanese: no token is left out or counted twice."""
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers
    from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast

    torch.manual_seed(0)
    own = Tokenizer(models.BPE(byte_fallback=True))
    alphabet = pre_tokenizers.ByteLevel.alphabet() if kind == "byte level" else []
    own.pre_tokenizer = (
        pre_tokenizers.ByteLevel(add_prefix_space=False) if alphabet else pre_tokenizers.Metaspace()
    )
    known = [word for word in ODD if word not in ("zxqv!", "1,234")]
    special = ["<s>", *(f"<0x{n:02X}>" for n in range(256))]
    trainer = trainers.BpeTrainer(
        vocab_size=600, special_tokens=special, initial_alphabet=alphabet, show_progress=False
    )
    own.train_from_iterator([" ".join(known)] * 9, trainer)
    fast = PreTrainedTokenizerFast(tokenizer_object=own, bos_token="<s>")
    fast.save_pretrained(tmp_path)
    config = GPT2Config(vocab_size=len(fast), n_embd=16, n_layer=1, n_head=2, n_positions=128)
    model = GPT2LMHeadModel(config).eval()
    model.save_pretrained(tmp_path)
    ids = torch.tensor([[fast.bos_token_id, *fast(" ".join(ODD))["input_ids"]]])
    with torch.no_grad():
        loss = model(ids, labels=ids).loss.item() * (ids.shape[1] - 1)
    features = WordModel(str(tmp_path), [1]).features(ODD)
    assert features.surprisal.sum() == pytest.approx(loss, rel=1e-5)
    assert np.isfinite(features.states).all()


CHINESE = ["\u5c0f", "\u738b\u5b50", "\u8bf4\uff1a", "\u201c\u4f60\u597d\u201d", "Hello", "\u4ed6"]
WRITTEN = "\u5c0f\u738b\u5b50\u8bf4\uff1a\u201c\u4f60\u597d\u201d Hello \u4ed6"


@pytest.mark.parametrize("kind", ["byte level", "characters"])
def test_chinese_is_read_as_it_is_written(tmp_path, kind):
    """Tokens are those of the text itself, and each one is of one word."""
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers
    from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast

    torch.manual_seed(0)
    own = Tokenizer(models.BPE())
    own.pre_tokenizer = (
        pre_tokenizers.ByteLevel(add_prefix_space=False)
        if kind == "byte level"
        else pre_tokenizers.Sequence([pre_tokenizers.Metaspace()])
    )
    alphabet = pre_tokenizers.ByteLevel.alphabet() if kind == "byte level" else list(WRITTEN)
    trainer = trainers.BpeTrainer(
        vocab_size=len(alphabet) + 2, special_tokens=["<s>"], initial_alphabet=alphabet,
        show_progress=False,
    )  # fmt: skip
    own.train_from_iterator([" ".join(CHINESE)], trainer)
    fast = PreTrainedTokenizerFast(tokenizer_object=own, bos_token="<s>")
    fast.save_pretrained(tmp_path)
    config = GPT2Config(vocab_size=len(fast), n_embd=16, n_layer=1, n_head=2, n_positions=128)
    model = GPT2LMHeadModel(config).eval()
    model.save_pretrained(tmp_path)
    assert as_written(CHINESE) == WRITTEN
    words = WordModel(str(tmp_path), [1])
    parts = [words._tokens(CHINESE[:i], word) for i, word in enumerate(CHINESE)]
    ids = torch.tensor([fast.bos_token_id, *fast(WRITTEN)["input_ids"]])
    assert parts[-1][0].tolist() == ids.tolist()
    assert torch.cat([own for _tokens, own, _shown in parts]).tolist() == [*range(1, len(ids))]
    with torch.no_grad():
        loss = model(ids[None], labels=ids[None]).loss.item() * (len(ids) - 1)
    assert words.features(CHINESE).surprisal.sum() == pytest.approx(loss, rel=1e-5)


def test_spaces_between_scripts():
    assert as_written(["\u79c1\u306f", "\u30c6\u30ec\u30d3\u3092", "\u898b\u305f"]) == (
        "\u79c1\u306f\u30c6\u30ec\u30d3\u3092\u898b\u305f"
    )
    for words in (
        ["\ub098\ub294", "\ubcf8\ub2e4"],
        ["caf\u00e9", "\u2014", "\u65e5"],
        ["x", "\u65e5"],
    ):
        assert as_written(words) == " ".join(words)
    assert as_written([]) == ""


def test_roberta_takes_as_many_tokens_as_it_says(tmp_path):
    from transformers import RobertaConfig, RobertaForMaskedLM

    torch.manual_seed(0)
    RobertaForMaskedLM(RobertaConfig(**SIZES)).save_pretrained(tmp_path)  # 40 positions, 2 unused
    tokenizer(tmp_path, mask_token="[MASK]", pad_token="[PAD]")
    model = WordModel(str(tmp_path), [1])
    assert model.longest == 38
    assert np.isfinite(model.features(["cat"] * 38).surprisal).all()
    with pytest.raises(GibletError, match=r"38 words before 'cat' are 39 tokens.*takes 38"):
        model.features(["cat"] * 39)


def test_the_context_is_that_many_words(causal):
    model = WordModel(causal, [2], n_before=3)
    features, other = model.features(WORDS), model.features([*["dog"] * 5, *WORDS[5:]])
    same = np.isclose(features.surprisal, other.surprisal, atol=1e-5)
    assert same.tolist()[5:] == [False] * 3 + [True] * 5


def test_a_masked_model_does_not_see_the_word(masked):
    model = WordModel(masked, [1], n_before=4)
    features, other = model.features(["the", "cat"]), model.features(["the", "dog"])
    assert features.entropy[1] == pytest.approx(other.entropy[1], abs=1e-6)
    assert np.abs(features.states[1] - other.states[1]).max() > 1e-3
    assert features.surprisal[1] != other.surprisal[1]


def test_bad_language_models_in_one_line(causal, tmp_path):
    with pytest.raises(GibletError, match=r"60 words before 'x' are 62 tokens.*takes 40: lower it"):
        WordModel(causal, [1], n_before=60)._tokens(["cat"] * 60, "x")
    with pytest.raises(GibletError, match="no layer 7"):
        WordModel(causal, [7])
    from transformers import ViTConfig, ViTModel

    small = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1}
    ViTModel(ViTConfig(**small, intermediate_size=8)).save_pretrained(tmp_path / "vit")
    with pytest.raises(GibletError, match="not a language model"):
        WordModel(str(tmp_path / "vit"))


def test_form_without_wordfreq_says_so(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "wordfreq", None)
    form, names, warnings = word_form(["I", "can't"])
    assert form.tolist() == [[1], [4]]
    assert names == ["letters"]
    assert "wordfreq" in warnings[0]


def test_frequencies_of_a_list_without_wordfreq(monkeypatch):
    """The package's look-up stands in: it is asked with straight apostrophes, as it splits them."""
    from types import ModuleType

    known = {"l'homme": 5.7, "the": 7.7}

    def zipf_frequency(word, language):
        if language != "fr":
            raise LookupError(f"No wordlist 'best' available for language '{language}'")
        return known.get(word, 0.0)

    module = ModuleType("wordfreq")
    module.zipf_frequency = zipf_frequency
    monkeypatch.setitem(__import__("sys").modules, "wordfreq", module)
    form, names, warnings = word_form(["l\u2019homme", "l'homme", "zxqwv"], "fr")
    assert names == ["letters", "frequency"]
    np.testing.assert_allclose(form[:, 1], [5.7, 5.7, 0])
    (line,) = warnings
    assert "1 of 3 have frequency 0" in line
    assert "(zxqwv); is word_model.language right?" in line
    with pytest.raises(GibletError, match=r"word_model.language: 'xx': wordfreq has no such"):
        word_form(["the"], "xx")


@pytest.mark.parametrize(
    ("language", "word", "zipf"),
    [
        ("en", "The", 7.73),
        ("fr", "l\u2019homme", 5.70),
        ("de", "STRASSE", 5.27),
        ("zh", "\u65f6\u5019", 5.89),
        ("en", "zxqwv", 0.0),
    ],
)
def test_frequencies_of_wordfreq(language, word, zipf):
    """wordfreq 3.1.1's own values."""
    pytest.importorskip("wordfreq")
    if language == "zh":
        pytest.importorskip("jieba")
    assert word_form([word], language)[0][0, 1] == pytest.approx(zipf, abs=0.005)


@pytest.fixture(params=["glove.txt", "words.vec", "words.bin", "model2vec"])
def vectors_file(request, tmp_path):
    table = {"cat": [1.0, 2.0], "sat": [-0.5, 0.25], "unused": [9.0, 9.0]}
    path = tmp_path / request.param
    if request.param == "model2vec":
        from safetensors.numpy import save_file

        path.mkdir()
        tokenizer(path)
        embeddings = np.zeros((len(VOCABULARY), 2), dtype=np.float32)
        for word in ("cat", "sat"):
            embeddings[VOCABULARY.index(word)] = table[word]
        save_file({"embeddings": embeddings}, path / "model.safetensors")
        return path
    head = b"" if path.suffix == ".txt" else b"3 2\n"
    if path.suffix == ".bin":
        rows = [w.encode() + b" " + np.array(v, "<f4").tobytes() + b"\n" for w, v in table.items()]
    else:
        rows = [f"{w} {v[0]} {v[1]}\n".encode() for w, v in table.items()]
    path.write_bytes(head + b"".join(rows))
    return path


def test_static_vectors_of_every_format(vectors_file):
    features, lacking = word_vectors(vectors_file, ["cat", "zzz", "sat"])
    np.testing.assert_array_equal(features, [[1, 2], [0, 0], [-0.5, 0.25]])
    assert lacking == ["zzz"]


def floats(*values):
    return np.array(values, "<f4").tobytes()


@pytest.mark.parametrize(
    "content",
    [
        b"cat 1 2\ncat 9 9\nsat 5 6\n",
        b"3 2\ncat " + floats(1, 2) + b"\ncat " + floats(9, 9) + b"\nsat " + floats(5, 6) + b"\n",
        b"2 2\ncat " + floats(1, 2) + b"sat " + floats(5, 6),  # without line ends, as gensim's
        b". . . 3 4\nNew York 3 4\ncat 1 2\nsat 5 6\n",
        b"cat\t1\t2\nsat\t5\t6\n",
        b"cat 1 2 \r\n\r\nsat 5 6 \r\n",
        b"\xef\xbb\xbfcat 1 2\nsat 5 6\n",
        b"caf\xe9 7 8\ncat 1e0 +2.\nsat 5 6\n",
    ],
    ids=["twice", "twice, binary", "no ends", "spaces", "tabs", "CRLF", "mark", "Latin-1"],
)
@pytest.mark.parametrize("name", ["vectors.txt", "vectors.bin", "vectors.vec"])
def test_odd_files_of_vectors(tmp_path, content, name):
    (tmp_path / name).write_bytes(content)
    features, lacking = word_vectors(tmp_path / name, ["cat", "sat"])
    np.testing.assert_array_equal(features, [[1, 2], [5, 6]])
    assert lacking == []


@pytest.mark.parametrize(
    ("stored", "word"),
    [
        ("caf\u00e9".encode(), "cafe\u0301"),
        ("cafe\u0301".encode(), "caf\u00e9"),
        (b"caf\xe9", "Caf\u00e9!"),
        (b"don't", "don\u2019t"),
        ("\u5c0f\u738b\u5b50".encode(), "\u5c0f\u738b\u5b50"),
        ("\U0001f600".encode(), "\U0001f600"),
    ],
)
def test_other_spellings_of_a_word(tmp_path, stored, word):
    (tmp_path / "v.txt").write_bytes(b"cat 1 2\n" + stored + b" 3 4\n")
    assert word_vectors(tmp_path / "v.txt", [word])[0].tolist() == [[3, 4]]


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (
            b"2 2\ncat " + np.array([1, 2], "<f8").tobytes() + b"\nsat " + b"0" * 16,
            "data after|cut",
        ),
        (b"1 2\ncat " + floats(np.nan, 2), "NaN or infinite"),
        (b"3 2\ncat 1 2\nsat 5 6\n", "cut short: 2 of 3 words"),
        (b"\xba\x16\x4f\x2f" + b"\0" * 90, "fastText's own model; take the .vec"),
        (b"\x1f\x8b\x08" + b"\0" * 90, "unpack it first"),
        (b"2 3\ncat 1 2\n", "line 2: not a word and 3 numbers"),
        (b"cat 1,5 2,5\nsat 3 4\n", "line 1: not numbers"),
    ],
)
def test_what_would_be_read_wrongly_is_refused(tmp_path, content, line):
    (tmp_path / "v.bin").write_bytes(content)
    with pytest.raises(GibletError, match=line):
        word_vectors(tmp_path / "v.bin", ["cat", "sat"])


def test_vectors_that_are_none(tmp_path):
    bad = tmp_path / "bad.txt"
    bad.write_text("cat 1 2\nsat 1 x\n")
    with pytest.raises(GibletError, match="line 2: not numbers"):
        word_vectors(bad, ["cat", "sat"])
    (tmp_path / "cut.bin").write_bytes(b"2 3\ncat \x00\x00\x80?")
    with pytest.raises(GibletError, match="cut short"):
        word_vectors(tmp_path / "cut.bin", ["cat"])
    with pytest.raises(GibletError, match="none of 1 words"):
        word_vectors(bad, ["tree"])
    with pytest.raises(GibletError, match="no such file"):
        word_vectors(tmp_path / "absent.vec", ["tree"])


def test_spaces_of_trs(causal, tmp_path):
    """Vectors are means over the words that begin in a TR, surprisal and form are
    sums of what a word has above the mean of all."""
    said = {"onset": [0.0, 2.5], "duration": [1.5, 1.0], "text": ["the cat -", "sat-sat"]}
    words = single_words(pd.DataFrame(said))
    assert words["text"].tolist() == ["the", "cat", "sat-sat"]
    (tmp_path / "g.txt").write_text("cat 2 4\nthe 0 2\n")
    spaces, warnings = word_spaces(
        words, 1.0, 4, name=causal, layers=[0.5], vectors=str(tmp_path / "g.txt"), form=True
    )
    assert {k: v.shape for k, v in spaces.items()} == {
        "layer_1": (4, 16), "vectors": (4, 2), "prediction": (4, 2), "form": spaces["form"].shape
    }  # fmt: skip
    np.testing.assert_array_equal(spaces["vectors"], [[1, 3], [0, 0], [0, 0], [0, 0]])
    np.testing.assert_array_equal(spaces["form"][:, 0], [-2, 0, 2, 0])  # 3, 3, 6 letters
    surprisal = WordModel(causal, [1]).features(["the", "cat", "sat-sat"]).surprisal
    wanted = surprisal[:2].sum() - 2 * surprisal.mean()
    np.testing.assert_allclose(spaces["prediction"][0, 0], wanted, atol=1e-5)
    assert warnings[0] == "words: 1 of 3 have no vector (sat-sat)"


def test_annotations_without_a_word_in_one_line():
    notes = pd.DataFrame({"onset": [0.0, 1.0], "duration": [1.0, 1.0], "text": ["\u266a", "--"]})
    with pytest.raises(GibletError, match="the annotations have no word"):
        word_spaces(single_words(notes), 1.0, 2, form=True)
    some = pd.concat([notes, notes.assign(onset=2.0, text="cat")])
    assert word_spaces(single_words(some), 1.0, 4, form=True)[0]["form"].shape[0] == 4


def test_form_does_not_hold_the_number_of_words():
    """A plain sum of letters follows the number of words."""
    generator = np.random.default_rng(0)
    text = "".join("abcdefgh"[: generator.integers(1, 9)] + " " for _ in range(600)).split()
    onsets = np.sort(generator.uniform(0, 300, 600))
    words = pd.DataFrame({"onset": onsets, "duration": 0.1, "text": text})
    letters = word_spaces(words, 1.5, 200, form=True)[0]["form"][:, 0]
    edges = np.arange(201) * 1.5
    counts = np.histogram(onsets, edges)[0]
    plain = np.histogram(onsets, edges, weights=[len(word) for word in text])[0]
    assert np.corrcoef(plain, counts)[0, 1] > 0.8
    assert abs(np.corrcoef(letters, counts)[0, 1]) < 0.15
    np.testing.assert_allclose(letters, plain - counts * np.mean([len(w) for w in text]), atol=1e-4)


def test_from_words_to_bands(causal, tmp_path):
    """The command, the HRF, and the bands of brain_quality."""
    (tmp_path / "said.tsv").write_text("onset\tduration\ttext\n1\t1\tthe cat\n9\t1\tsat\n")
    model = {"name": causal, "layers": [1, 2], "form": True}
    config = parse_config({"t_r": 1.0, "word_model": model, "annotations": "said.tsv"})
    assert config.space_sets == ["word_model"]
    word_features(tmp_path / "said.tsv", tmp_path / "word_model.nc", config)
    film = load_arrays(tmp_path / "word_model.nc", *feature_names())
    times = np.arange(10.0) + 0.5
    scans = xr.Dataset(
        {"film_time": ("volume", times), "in_film": ("volume", np.ones(10, dtype=bool))},
        {"subject": ("volume", ["a"] * 10), "run": ("volume", ["1"] * 10)},
    )
    arrays = film_regressors(film, scans, 1.0, "spm")
    bands = _bands({"word_model": arrays})
    assert {name: band.shape[1] for name, band in bands.items()} == {
        "word_model_layer_1": 16, "word_model_layer_2": 16, "word_model_prediction": 2,
        "word_model_form": bands["word_model_form"].shape[1], "n_words": 1,
    }  # fmt: skip


def test_warnings_of_the_words_are_kept(tmp_path):
    """Those of the annotations, as embed_text keeps them, and those of the spaces."""
    rows = ("onset\tduration\ttext", "1\t1\tcat", "3\t1\t[DOOR CREAKS]", "9\t1\tx")
    (tmp_path / "said.tsv").write_text("\n".join(rows))
    (tmp_path / "g.txt").write_text("cat 2 4\nthe 0 2\n")
    own = {"vectors": str(tmp_path / "g.txt")}
    config = parse_config({"t_r": 1.0, "word_model": own, "annotations": "said.tsv"})
    word_features(tmp_path / "said.tsv", tmp_path / "spaces.nc", config)
    rows = read_annotations(tmp_path / "said.tsv", **config.words.model_dump())
    assert rows.attrs["warnings"]
    found = warnings_of(load_arrays(tmp_path / "spaces.nc").attrs)
    assert found == [*rows.attrs["warnings"], "words: 1 of 2 have no vector (x)"]


def said(path, text):
    """A table of words, one a second."""
    rows = [(float(i), 1.0, word) for i, word in enumerate(text.split())]
    save_table(pd.DataFrame(rows, columns=["onset", "duration", "text"]), path)
    return str(path)


@pytest.mark.parametrize("kind", ["causal", "masked"])
def test_each_stimulus_has_the_features_of_its_words_alone(kind, request, tmp_path):
    """Context starts again with each stimulus; an excerpt reads its own words alone."""
    texts = ["the cat sat on the mat", "and the dog ran", "after the cat sat", "mat and the dog"]
    files = [str(tmp_path / f"{n}.wav") for n in range(4)]
    paths = [said(tmp_path / f"{n}.tsv", text) for n, text in enumerate(texts)]
    names, durations = ["a", "silent", "b", "excerpt", "c"], [7.0, 3.0, 4.5, 2.0, 4.6]
    files, paths = ([*own[:1], "", *own[1:]] for own in (files, paths))
    clock = StimulusClock.lay_out(names, durations, 1.0, files, [0, 0, 0, 2.0, 0], paths)
    save_table(clock.table(), tmp_path / "stimuli.tsv")
    (tmp_path / "g.txt").write_text("cat 2 4\nthe 0 2\n")
    own = {"name": request.getfixturevalue(kind), "layers": [1, 2], "form": True}
    settings = {"t_r": 1.0, "word_model": own | {"vectors": str(tmp_path / "g.txt")}}
    of_stimuli = parse_config(settings | {"stimuli": "table.tsv", "bold": "runs.tsv"})
    word_features(tmp_path / "stimuli.tsv", tmp_path / "all.nc", of_stimuli)
    found = load_arrays(tmp_path / "all.nc")
    spaces = [*dict.fromkeys(found["word_model_space"].values.tolist())]
    assert spaces == ["layer_1", "layer_2", "vectors", "prediction", "form"]
    tables = {0: texts[0], 2: texts[1], 3: "cat sat", 4: texts[3]}
    for k, text in tables.items():
        said(tmp_path / "one.tsv", text)
        word_features(tmp_path / "one.tsv", tmp_path / "one.nc", parse_config(settings))
        alone, first = load_arrays(tmp_path / "one.nc"), int(clock.first_trs[k])
        n = min(alone.sizes["tr"], int(clock.n_trs[k]))
        assert n >= 2
        here = found.isel(tr=slice(first, first + n))
        n_words = alone["n_words"].values[:n]
        np.testing.assert_array_equal(here["n_words"], n_words)
        more = here["word_model"].values[:, 0] - alone["word_model"].values[:n, 0]
        above_mean = np.isin(found["word_model_space"], ("prediction", "form"))
        np.testing.assert_allclose(more[:, ~above_mean], 0, atol=1e-6)
        each = more[:, above_mean].sum(axis=0) / n_words.sum()  # another mean is subtracted
        np.testing.assert_allclose(more[:, above_mean], np.outer(n_words, each), atol=1e-5)
    silent = np.isin(clock.stimulus_of_trs(found.sizes["tr"]), (-1, 1))
    assert not found["word_model"].values[silent].any()

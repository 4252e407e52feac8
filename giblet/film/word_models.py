"""Words in context: layers of language models, surprisal and entropy, word by word."""

import itertools
import re
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from giblet.errors import GibletError
from giblet.film.model_layers import Layers, chosen_layers, load_pretrained
from giblet.io.hub import model_folder

_SETTING = "word_model.name"
# Ideographs of Chinese and Japanese, and kana: words of these are written without spaces.
_NO_SPACES = re.compile(
    "[\u3005-\u3007\u3040-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff"
    "\uf900-\ufaff\uff66-\uff9f\U00020000-\U000323af]"
)


class WordFeatures(NamedTuple):
    """Of each word: states (n_words, n_layers, width); surprisal, entropy (n_words,) nats."""

    states: np.ndarray
    surprisal: np.ndarray
    entropy: np.ndarray


class WordModel:
    """A causal or masked language model that reads each word after those before it.

    Parameters
    ----------
    name_or_folder
        Hugging Face id with its commit, or a folder, of a model and its (fast) tokenizer.
    layers
        As `giblet.film.model_layers.chosen_layers`.
    n_before
        Words of context before each word; nothing after it is read.

    Raises
    ------
    GibletError
        Not a language model; no such layer.
    """

    def __init__(self, name_or_folder: str, layers: Layers = (0.5,), n_before: int = 64):
        from transformers import (
            AutoConfig,
            AutoModelForCausalLM,
            AutoModelForMaskedLM,
            AutoTokenizer,
        )

        folder = model_folder(name_or_folder, _SETTING)
        try:
            config = AutoConfig.from_pretrained(folder, trust_remote_code=False)
            self._tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
            if not hasattr(config, "vocab_size") or not self._tokenizer.is_fast:
                raise ValueError(f"{config.model_type} with a fast tokenizer is needed")
        except (OSError, ValueError, KeyError) as error:
            reason = str(error).strip().splitlines()[0]
            message = f"{_SETTING} {name_or_folder!r}: not a language model ({reason})"
            raise GibletError(message) from error
        self.masked = self._tokenizer.mask_token_id is not None and not any(
            "CausalLM" in name or "LMHeadModel" in name for name in config.architectures or []
        )
        load = (AutoModelForMaskedLM if self.masked else AutoModelForCausalLM).from_pretrained
        self._model = load_pretrained(name_or_folder, _SETTING, "a language model", load)
        self.longest = min(self._tokenizer.model_max_length, _n_positions(self._model))
        self.layers = chosen_layers(layers, config.num_hidden_layers, "word_model.layers")
        self.name, self.n_before = name_or_folder, n_before

    def features(self, words: Sequence[str]) -> WordFeatures:
        """Of ``words`` (n_words) in their order.

        States are means over a word's tokens. Surprisal is that of all its tokens, a space before
        it included, entropy that of the first one's distribution. A masked model sees the word's
        tokens as masks for these two. A token that ends the word before counts, too, if it has
        characters of both: without spaces (Chinese, Japanese) tokens cross words.

        Raises
        ------
        GibletError
            The context is longer than the model takes.
        """
        rows = [
            self._word(words[max(0, i - self.n_before) : i], word) for i, word in enumerate(words)
        ]
        states, surprisal, entropy = zip(*rows, strict=True)
        return WordFeatures(np.stack(states), np.array(surprisal), np.array(entropy))

    def _word(self, before: Sequence[str], word: str) -> tuple[np.ndarray, float, float]:
        import torch

        tokens, own, shown = self._tokens(before, word)
        with torch.inference_mode():
            output = self._model(input_ids=tokens[None], output_hidden_states=True)
            states = [output.hidden_states[n][0, shown].mean(dim=0) for n in self.layers]
            if self.masked:
                hidden = tokens.clone()
                hidden[own] = self._tokenizer.mask_token_id
                logits = self._model(input_ids=hidden[None]).logits[0, own]
            elif own[0] == 0:  # nothing before it: any token is as likely
                logits = output.logits[0, own - 1]
                logits[0] = 0.0
            else:
                logits = output.logits[0, own - 1]
            nats = logits.float().log_softmax(dim=-1)
            surprisal = -nats[torch.arange(len(own)), tokens[own]].sum()
            entropy = -(nats[0].exp() * nats[0]).sum()
        return torch.stack(states).float().numpy(), float(surprisal), float(entropy)

    def _tokens(self, before: Sequence[str], word: str):
        """Tokens (n_tokens,) of the context and the word; the positions of the word's tokens; and
        these positions without a token of its own for the space before the word."""
        import torch

        text = as_written([*before, word])
        start = len(text) - len(word)
        gap = len(_space(before[-1], word)) if before else 0
        encoded = self._tokenizer(
            text, return_offsets_mapping=True, truncation=False, verbose=False
        )
        tokens, ends = encoded["input_ids"], [end for _begin, end in encoded["offset_mapping"]]
        own = [i for i, end in enumerate(ends) if end > start - gap]
        n_spaces = sum(ends[i] <= start for i in own)
        bos = self._tokenizer.bos_token_id
        if not self.masked and bos is not None and tokens[:1] != [bos]:
            tokens, own = [bos, *tokens], [i + 1 for i in own]
        if len(tokens) > self.longest:
            raise GibletError(
                f"word_model.n_before: {len(before)} words before {word[:40]!r} are "
                f"{len(tokens)} tokens, and {self.name} takes {self.longest:g}: lower it"
            )
        if not own:  # a word that the tokenizer drops: the last token stands for it
            own = [len(tokens) - 1]
        return torch.tensor(tokens), torch.tensor(own), torch.tensor(own[n_spaces:] or own)


def _n_positions(model) -> float:
    """Most tokens that a model takes; those of RoBERTa begin after the padding's position."""
    from torch import nn

    for name, module in model.named_modules():
        is_table = name.endswith("position_embeddings") and isinstance(module, nn.Embedding)
        if is_table and module.padding_idx is not None:
            return module.num_embeddings - module.padding_idx - 1
    return getattr(model.config, "max_position_embeddings", None) or np.inf


def as_written(words: Sequence[str]) -> str:
    """Words as a text, with a space between two unless both are Chinese or Japanese there.

    >>> as_written(["我", "爱", "Python", "编程", "。"]), as_written(["Good", "morning!"])
    ('我爱 Python 编程 。', 'Good morning!')
    """
    gaps = [_space(left, right) for left, right in itertools.pairwise(words)]
    return "".join(itertools.chain(*zip(words, [*gaps, ""], strict=False)))


def _space(left: str, right: str) -> str:
    last, first = re.search(r"\w(?=\W*$)", left), re.search(r"\w", right)
    both = last and first and _NO_SPACES.match(last[0]) and _NO_SPACES.match(first[0])
    return "" if both else " "


def word_form(
    words: Sequence[str], language: str = "en"
) -> tuple[np.ndarray, list[str], list[str]]:
    """A small band of each word's form: (n_words, n_columns), the columns' names, warnings.

    Letters, and with the package wordfreq the frequency (Zipf scale: log10 of occurrences among 1e9
    words; 0 for a word that it does not list). GibletError for a language that wordfreq does not
    have.

    >>> word_form(["Good", "morning!"])[0][:, 0].tolist()
    [4.0, 7.0]
    """
    letters = [len(re.sub(r"\W", "", word)) for word in words]
    columns, names = [np.array(letters, dtype=float)], ["letters"]
    try:
        import wordfreq
    except ImportError:
        warnings = [
            'words: their frequency is missing: pip install "giblet[words]" (wordfreq, 57 MB)'
        ]
    else:
        frequency = _zipf(wordfreq.zipf_frequency, words, language)
        columns, names = [*columns, frequency], [*names, "frequency"]
        unknown = list(dict.fromkeys(np.array(words, dtype=object)[frequency == 0]))
        warnings = _unknown_words(unknown, int((frequency == 0).sum()), len(words), language)
    return np.stack(columns, axis=1).astype(np.float32), names, warnings


_MOST_NAMED = 5  # unknown words
_MANY_UNKNOWN = 0.3  # share of the words


def _unknown_words(unknown: Sequence[str], n: int, n_words: int, language: str) -> list[str]:
    some = ", ".join(unknown[:_MOST_NAMED])
    line = (
        f"words: {n} of {n_words} have frequency 0: not in wordfreq's list of {language!r} ({some})"
    )
    doubt = "; is word_model.language right?" if n > _MANY_UNKNOWN * n_words else ""
    return [line + doubt] if n else []


def _zipf(lookup: Callable, words: Sequence[str], language: str) -> np.ndarray:
    """Frequency of each word; GibletError for a language that wordfreq does not have."""
    setting = f"word_model.language: {language!r}"
    try:
        return np.array([lookup(_typed(word), language) for word in words], dtype=float)
    except (LookupError, ValueError) as error:  # langcodes' errors are ValueErrors
        reason = str(error).splitlines()[0]
        raise GibletError(
            f"{setting}: wordfreq has no such language ({reason}); write a code: en, fr, de, zh"
        ) from None
    except ImportError as error:  # of the tokenizers of Chinese, Japanese and Korean
        raise GibletError(
            f'{setting} needs the words\' own tokenizer ({error}): pip install "wordfreq[cjk]"'
        ) from None


def _typed(word: str) -> str:
    """With a straight apostrophe: wordfreq splits French l'homme at that one alone."""
    return re.sub("[\u2019\u02bc]", "'", word)

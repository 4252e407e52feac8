"""The word error rate, for a child process: see `giblet.audio.metrics.speech_models`."""

from collections.abc import Callable

import numpy as np

RATE_HZ = 16000


def scorer(folder: str) -> Callable[[np.ndarray, np.ndarray], float]:
    """Word error rate of the transcript of the second of two sounds (n_samples,).

    The reference is the transcript of the first one. ``folder``: a model of transformers with its
    processor, Whisper or one with CTC.
    """
    import torch
    from transformers import AutoConfig, AutoModelForCTC, AutoModelForSpeechSeq2Seq, AutoProcessor

    processor = AutoProcessor.from_pretrained(folder, local_files_only=True)
    generates = AutoConfig.from_pretrained(folder, local_files_only=True).is_encoder_decoder
    kind = AutoModelForSpeechSeq2Seq if generates else AutoModelForCTC
    model = kind.from_pretrained(folder, local_files_only=True, use_safetensors=True).eval()
    torch.set_num_threads(1)

    @torch.inference_mode()
    def transcript(sound: np.ndarray) -> str:
        inputs = processor(np.array(sound), sampling_rate=RATE_HZ, return_tensors="pt")
        tokens = model.generate(**inputs) if generates else model(**inputs).logits.argmax(dim=-1)
        if generates:
            return processor.batch_decode(tokens, skip_special_tokens=True)[0]
        return processor.batch_decode(tokens)[0]

    return lambda reference, estimate: word_errors(transcript(reference), transcript(estimate))


def word_errors(reference: str, estimate: str) -> float:
    """Words that are wrong, missing or too many, over those of the reference; NaN if it has none.

    Case and punctuation do not count.

    >>> round(word_errors("The cat, sat.", "the bat sat"), 3)
    0.333
    >>> word_errors("", "a")
    nan
    """
    import re

    from torchmetrics.functional.text import word_error_rate

    reference, estimate = (
        " ".join(re.findall(r"[\w']+", text.lower())) for text in (reference, estimate)
    )
    return float(word_error_rate([estimate], [reference])) if reference else float("nan")

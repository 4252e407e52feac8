"""The similarity of speakers, for a child process: see `giblet.audio.metrics.speech_models`."""

from collections.abc import Callable

import numpy as np

RATE_HZ = 16000


def scorer(folder: str) -> Callable[[np.ndarray, np.ndarray], float]:
    """Cosine of the embeddings of two sounds (n_samples,) by an x-vector model of transformers.

    ``folder``: a saved model (WavLM, Wav2Vec2, UniSpeech-SAT, Data2Vec) with its feature extractor.
    """
    import torch
    from transformers import AutoFeatureExtractor, AutoModelForAudioXVector

    extractor = AutoFeatureExtractor.from_pretrained(folder, local_files_only=True)
    model = AutoModelForAudioXVector.from_pretrained(
        folder, local_files_only=True, use_safetensors=True
    ).eval()
    torch.set_num_threads(1)

    @torch.inference_mode()
    def embedding(sound: np.ndarray) -> torch.Tensor:
        inputs = extractor(np.array(sound), sampling_rate=RATE_HZ, return_tensors="pt")
        return model(**inputs).embeddings[0]

    def score(reference: np.ndarray, estimate: np.ndarray) -> float:
        pair = embedding(reference), embedding(estimate)
        return float(torch.nn.functional.cosine_similarity(*pair, dim=0))

    return score

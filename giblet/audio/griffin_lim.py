"""Fast Griffin-Lim: sound from the magnitudes of its spectrogram."""

import numpy as np


def griffin_lim(
    magnitude: np.ndarray, hop_length: int, n_fft: int, n_iter: int, momentum: float, seed: int
) -> np.ndarray:
    """Sound ((n_frames - 1) * hop_length,) float32 whose spectrogram has about this magnitude.

    The algorithm of Perraudin, Balazs & Sondergaard (2013), with the phases, windows and edges of
    ``librosa.griffinlim``. It works in single precision on frames that lie in memory one after
    the other.

    Parameters
    ----------
    magnitude : (1 + n_fft // 2, n_frames)
        Frame ``k`` is centred on sample ``k * hop_length``, under a Hann window of ``n_fft``.
    momentum
        From 0, plain Griffin-Lim, to 1.
    seed
        Of the random phases that the first iteration starts from.
    """
    import torch

    phases = np.random.RandomState(seed).random(magnitude.shape)
    angles = torch.from_numpy(2 * np.pi * phases.T).float()
    target = torch.from_numpy(np.ascontiguousarray(magnitude.T)).float()
    spectrum = torch.polar(target, angles)
    window = torch.hann_window(n_fft)
    first, n_samples = n_fft // 2, (len(target) - 1) * hop_length
    power = _overlap_added(window.square().expand(len(target), n_fft), hop_length)
    tiny = torch.finfo(torch.float32).tiny
    scale = torch.where(power > tiny, power, 1.0).reciprocal()
    scale[:first] = 0.0  # outside the sound
    scale[first + n_samples :] = 0.0

    def sound() -> torch.Tensor:
        frames = torch.fft.irfft(spectrum, n_fft, dim=1).mul_(window)
        return _overlap_added(frames, hop_length).mul_(scale)

    previous = None
    for _ in range(n_iter):
        frames = sound().unfold(0, n_fft, hop_length)[: len(target)]
        rebuilt = torch.fft.rfft(frames * window, dim=1)
        if previous is None:
            spectrum.copy_(rebuilt)
        else:
            torch.add(rebuilt, previous, alpha=-momentum / (1 + momentum), out=spectrum)
        squares = spectrum.real.square() + spectrum.imag.square()
        torch.view_as_real(spectrum).mul_((target * squares.add_(tiny).rsqrt_())[..., None])
        previous = rebuilt
    return sound()[first : first + n_samples].numpy()


def _overlap_added(frames, hop_length: int):
    """Sum (at least (n_frames - 1) * hop_length + n_fft,) of frames (n_frames, n_fft), each
    ``hop_length`` after the one before."""
    n_frames, n_fft = frames.shape
    n_pieces = -(-n_fft // hop_length)
    total = frames.new_zeros(n_frames + n_pieces - 1, hop_length)
    for k in range(n_pieces):
        piece = frames[:, k * hop_length : (k + 1) * hop_length]
        total[k : k + n_frames, : piece.shape[1]] += piece
    return total.flatten()

"""Fast Griffin-Lim: sound from the magnitudes of its spectrogram."""

import numpy as np

_BLOCK = 256  # frames, which stay in the processor's cache through an iteration
_SMALLEST = np.float32(1e-19)  # of an amplitude that is divided by


def griffin_lim(
    magnitude: np.ndarray, hop_length: int, n_fft: int, n_iter: int, momentum: float, seed: int
) -> np.ndarray:
    """Sound ((n_frames - 1) * hop_length,) float32 whose spectrogram has about this magnitude.

    The algorithm of Perraudin, Balazs & Sondergaard (2013), with the phases, windows and edges of
    ``librosa.griffinlim``. It works in single precision. A block of frames goes through a whole
    iteration before the next, so that memory is read once an iteration.

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
    window = torch.hann_window(n_fft)
    n_frames, first = len(target), n_fft // 2
    n_samples, n_pieces = (n_frames - 1) * hop_length, -(-n_fft // hop_length)
    blocks = [slice(k, min(k + _BLOCK, n_frames)) for k in range(0, n_frames, _BLOCK)]

    def add(frames: torch.Tensor, start: int, total: torch.Tensor) -> None:
        for k in range(n_pieces):
            piece = frames[:, k * hop_length : (k + 1) * hop_length]
            total[start + k : start + k + len(frames), : piece.shape[1]] += piece

    def silence() -> torch.Tensor:
        return torch.zeros(n_frames + n_pieces - 1, hop_length)

    power = silence()
    add(window.square().expand(n_frames, n_fft), 0, power)
    power = power.flatten()
    scale = torch.where(power > torch.finfo(power.dtype).tiny, power, 1.0).reciprocal()
    scale[:first] = 0.0  # outside the sound
    scale[first + n_samples :] = 0.0
    magnitudes, previous = target.numpy(), np.zeros(target.shape, np.complex64)
    total = silence()
    for block in blocks:
        spectrum = torch.polar(target[block], angles[block])
        add(torch.fft.irfft(spectrum, n_fft, dim=1).mul_(window), block.start, total)
    sound = total.flatten().mul_(scale)
    alpha = np.float32(-momentum / (1 + momentum))
    for _ in range(n_iter):
        total = silence()
        frames = sound.unfold(0, n_fft, hop_length)
        for block in blocks:
            rebuilt = torch.fft.rfft(frames[block] * window, dim=1).numpy()
            before = previous[block]
            before *= alpha
            before += rebuilt
            size = np.maximum(np.abs(before), _SMALLEST)  # NumPy's is three times as fast
            before *= np.divide(magnitudes[block], size, out=size)
            heard = torch.fft.irfft(torch.from_numpy(before), n_fft, dim=1)
            add(heard.mul_(window), block.start, total)
            before[...] = rebuilt
        sound = total.flatten().mul_(scale)
    return sound[first : first + n_samples].numpy()

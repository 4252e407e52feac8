"""Banks: retrieval, novelty, what may not be in them. Oracles: planted clips, numpy."""

import tracemalloc

import numpy as np
import pytest

from giblet.audio.sound_fingerprint import Fingerprint
from giblet.errors import GibletError
from giblet.evaluation.bank import BankRecord, check_bank, clip_starts, novelty, retrieve, windows
from giblet.evaluation.slow_part import SlowDecoder

STRETCHES = [np.arange(30), np.arange(30, 47)]


def decoder(gain, noise):
    return SlowDecoder(None, None, np.asarray(gain), np.asarray(noise), None, None)


def test_planted_clips_are_retrieved_whole(rng):
    bank = rng.standard_normal((47, 4))
    cut = windows([np.arange(7)], 3)
    planted = np.concatenate([np.arange(31, 34), np.arange(5, 8), [20]])
    chosen = retrieve(bank[planted], bank, clip_starts(STRETCHES, 3), cut)
    np.testing.assert_array_equal(chosen, planted)
    assert 28 not in clip_starts(STRETCHES, 3)  # it would cross into the next stretch


def test_clips_are_found_in_what_a_brain_shrinks_and_a_component_of_no_gain_does_not_count(rng):
    bank = rng.standard_normal((47, 4))
    gain = np.array([0.3, 0.2, 0.4, 0.0])
    decoded = gain * bank[10:13] + 0.01 * rng.standard_normal((3, 4))
    decoded[:, 3] += 50
    starts, cut = clip_starts(STRETCHES, 3), [np.arange(3)]
    chosen = retrieve(decoded, bank, starts, cut, decoder(gain, [0.01] * 4))
    assert chosen.tolist() == [10, 11, 12]


def test_retrieval_is_the_likelihood_of_every_clip(rng):
    from scipy.stats import norm

    bank, decoded = rng.standard_normal((20, 3)), rng.standard_normal((2, 3))
    gain, noise = rng.uniform(0.1, 1, (2, 3))
    likelihood = [
        norm(gain * bank[i : i + 2], np.sqrt(noise)).logpdf(decoded).sum() for i in range(19)
    ]
    chosen = retrieve(
        decoded, bank, clip_starts([np.arange(20)], 2), [np.arange(2)], decoder(gain, noise)
    )
    assert chosen[0] == np.argmax(likelihood)


def test_novelty_is_one_minus_the_best_correlation(rng):
    bank, sound = rng.standard_normal((12, 5)), rng.standard_normal((4, 5))
    sound[:2] = bank[6:8] * 3 - bank.mean(axis=0) * 2  # louder, about the bank's mean
    starts, cut = clip_starts([np.arange(12)], 2), windows([np.arange(4)], 2)
    own, centred = (x - bank.mean(axis=0) for x in (sound, bank))
    best = max(np.corrcoef(own[2:4].ravel(), centred[i : i + 2].ravel())[0, 1] for i in range(11))
    np.testing.assert_allclose(novelty(sound, bank, starts, cut), [0, 1 - best], atol=1e-12)


def test_novelty_of_windows_of_several_lengths_is_that_of_each_length(rng):
    bank, sound = rng.standard_normal((30, 5)), rng.standard_normal((12, 5))
    starts = clip_starts([np.arange(30)], 4)
    cut = [np.arange(0, 3), np.arange(3, 7), np.arange(7, 9), np.arange(9, 12)]
    each = [novelty(sound, bank, starts, [window])[0] for window in cut]
    np.testing.assert_allclose(novelty(sound, bank, starts, cut), each, atol=1e-12)


def test_novelty_holds_clips_of_one_length_at_a_time(rng):
    import tracemalloc

    def peak(lengths):
        cut = [np.arange(n) for n in lengths]
        tracemalloc.start()
        try:
            novelty(sound, bank, starts, cut)
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    bank, sound = rng.standard_normal((2000, 24)), rng.standard_normal((20, 24))
    starts = clip_starts([np.arange(2000)], 10)
    assert peak(range(1, 11)) < 1.2 * peak([10])


def test_the_record_of_a_bank_survives_a_file(rng, tmp_path):
    from giblet.io.arrays import load_arrays, save_arrays
    from giblet.io.schema import BANK

    marks = {
        n: Fingerprint.of(rng.standard_normal(8000 * s), 8000)
        for n, s in (("a", 3), ("b", 0), ("c", 4), ("d", 0))
    }
    for record in (BankRecord("f", [[0, 3]]), BankRecord("g", sounds=marks)):
        save_arrays(record.arrays(), tmp_path / "bank.nc")
        again = BankRecord.from_arrays(load_arrays(tmp_path / "bank.nc", *BANK))
        assert (again.name, again.trs, [*again.sounds]) == (
            record.name,
            record.trs,
            [*record.sounds],
        )
        for name, one in record.sounds.items():
            np.testing.assert_array_equal(again.sounds[name].codes, one.codes)
            np.testing.assert_array_equal(again.sounds[name].frames, one.frames)


def test_a_bank_with_the_film_is_refused_by_name(rng):
    film = np.cumsum(rng.standard_normal(8000 * 30)) * 0.01 + rng.standard_normal(8000 * 30)
    own, other = Fingerprint.of(film, 8000), Fingerprint.of(rng.standard_normal(80000), 8000)
    bank = BankRecord("folder mine", sounds={"other.wav": other})
    check_bank(bank, own, np.arange(9))
    copy = Fingerprint.of(0.2 * film[100001:], 8000)
    with pytest.raises(GibletError, match=r"folder mine\) holds the film: .* are in copy\.mp3;"):
        check_bank(
            BankRecord("folder mine", sounds=dict(bank.sounds, **{"copy.mp3": copy})),
            own,
            np.arange(9),
        )


def test_retrieval_holds_no_table_of_all_trs_by_all_of_the_bank(rng):
    """Of 1,500 TRs by as many that would be 18 MB."""
    bank, decoded = rng.standard_normal((2, 1500, 3))
    cut, starts = windows([np.arange(1500)], 2), clip_starts([np.arange(1500)], 2)
    tracemalloc.start()
    retrieve(decoded, bank, starts, cut)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2e6

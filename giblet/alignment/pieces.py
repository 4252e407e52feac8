"""A film with several pieces of music: parts that hold whole pieces."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from giblet.config.sections import SplitConfig
from giblet.errors import GibletError, nearest_name
from giblet.stats.cross_validation import check_fold

_FEWEST = 3  # pieces, of which each part has one
_SHOWN = 3  # names in a line


@dataclass(frozen=True)
class FilmPieces:
    """The pieces of a film's music, by TR.

    names : of the pieces, in the film's order
    of_trs : (n_film_trs,) int, index of the piece of each TR of the film. What follows a piece, up
        to the next, belongs to it, and what precedes the first belongs to the first
    music : (n_pieces,) int, equal for pieces that share seconds of one score, or have the same
        notes; each is the index of the first of them
    """

    names: tuple[str, ...]
    of_trs: np.ndarray
    music: np.ndarray

    def music_of(self, trs: np.ndarray) -> np.ndarray:
        """``music`` of each TR of the film that is given, (n_trs,) int."""
        return self.music[self.of_trs[trs]]


def held_out_pieces(
    pieces: FilmPieces | None, trs: np.ndarray, splits: SplitConfig, fold: int | None = None
) -> tuple[np.ndarray, np.ndarray] | None:
    """Masks of the test and validation TRs, (n_trs,) bool each, which hold whole pieces.

    Test pieces are those that ``splits`` names, or the last by their share of TRs; so are
    validation pieces, of the rest. With ``fold``, from 1 to ``splits.folds``, test pieces are that
    part of all. Pieces that share seconds of a score, or notes, are held out together.

    Parameters
    ----------
    pieces : of the film; None where its score is no table
    trs : (n_trs,) number of each TR in the film, those that everyone was scanned in

    Returns
    -------
    held_out : None where the parts are seconds of the film, or runs

    Raises
    ------
    GibletError
        There are no or too few pieces, a name fits none; a test piece also trains, or validates.

    >>> pieces = FilmPieces(("a", "b", "c"), np.repeat([0, 1, 2], 2), np.arange(3))
    >>> test, validation = held_out_pieces(pieces, np.arange(6), SplitConfig())
    >>> np.flatnonzero(test).tolist(), np.flatnonzero(validation).tolist()
    ([4, 5], [2, 3])
    """
    is_asked = splits.pieces == "whole" or (bool(splits.test_pieces) and fold is None)
    if pieces is None:
        if is_asked:
            raise GibletError("splits: no pieces to hold out: the film's score is no table of them")
        return None
    by_run = bool(splits.test_runs) and fold is None
    if splits.pieces == "cut" or by_run:
        return None
    music = pieces.music_of(trs)
    present = np.unique(music)
    fewest = _FEWEST if fold is None else max(_FEWEST, splits.folds)
    if len(present) < fewest and not (splits.test_pieces and fold is None):
        if is_asked:
            raise GibletError(
                f"splits: {len(present)} pieces that share no seconds of a score, and parts of "
                f"whole ones need {fewest}. Set splits.pieces: cut, or fewer splits.folds"
            )
        return None
    if fold is not None:
        check_fold(fold, splits.folds)
        test = np.array_split(present, splits.folds)[fold - 1]
    elif splits.test_pieces:
        return _named_parts(pieces, trs, splits)
    else:
        test = last_by_share(music, present, splits.test)
    rest = present[~np.isin(present, test)]
    return np.isin(music, test), np.isin(music, last_by_share(music, rest, splits.validation))


def _named_parts(
    pieces: FilmPieces, trs: np.ndarray, splits: SplitConfig
) -> tuple[np.ndarray, np.ndarray]:
    """Masks of the test and validation TRs (n_trs,) of the pieces that ``splits`` names."""
    own = pieces.of_trs[trs]
    present = np.unique(own)
    test = named(splits.test_pieces, pieces.names, "splits.test_pieces", "piece")
    _check_apart(pieces, test, present, "test")
    others = np.setdiff1d(present, test)
    if splits.validation_pieces:
        held = named(splits.validation_pieces, pieces.names, "splits.validation_pieces", "piece")
        if len(both := np.intersect1d(test, held)):
            name = pieces.names[both[0]]
            raise GibletError(f"splits: piece {name} is to test and to validate: choose one")
        _check_apart(pieces, held, others, "validation")
    elif len(rest := np.unique(pieces.music[others])) > 1:
        held = last_by_share(pieces.music_of(trs), rest, splits.validation)
        held = np.flatnonzero(np.isin(pieces.music, held))
    else:
        raise GibletError(
            f"splits.test_pieces leave {len(rest)} pieces: two are needed, to train and to validate"
        )
    return np.isin(own, test), np.isin(own, held)


def _check_apart(pieces: FilmPieces, chosen: np.ndarray, present: np.ndarray, part: str) -> None:
    """GibletError where one of the ``present`` pieces that are not ``chosen`` shares its music."""
    others = np.setdiff1d(present, chosen)
    for k in chosen:
        same = others[pieces.music[others] == pieces.music[k]]
        if len(same):
            raise GibletError(
                f"splits.{part}_pieces: {pieces.names[k]} shares seconds of a score, or all notes, "
                f"with {pieces.names[same[0]]}, which is not among them. Name both, or neither"
            )


def named(patterns: Sequence[str], names: Sequence[str], key: str, what: str) -> np.ndarray:
    """Indices of the ``names`` that ``patterns`` name; ``*`` in one stands for anything.

    GibletError, with ``key`` of the config and ``what`` has the names, for one that names none.

    >>> named(["song [*"], ["song [live]", "song"], "splits.test_pieces", "piece").tolist()
    [0]
    """
    chosen: set[int] = set()
    for pattern in patterns:
        fits = re.compile(".*".join(map(re.escape, pattern.split("*"))), re.DOTALL).fullmatch
        fit = {k for k, name in enumerate(names) if fits(name)}
        if not fit:
            raise GibletError(f"{key}: no {what} {pattern}{nearest_name(pattern, names)}")
        chosen |= fit
    return np.array(sorted(chosen))


def last_by_share(labels: np.ndarray, present: np.ndarray, share: float) -> np.ndarray:
    """The last of ``present`` (n_labels,) that have ``share`` of their TRs, one at least.

    ``labels`` (n_trs,) int of each TR.

    >>> last_by_share(np.repeat([0, 1, 2, 3], 5), np.arange(4), share=0.5).tolist()
    [2, 3]
    """
    n_trs = np.bincount(labels)[present]
    after = np.cumsum(n_trs[::-1])[::-1] - n_trs  # TRs of those behind each
    chosen = present[after + n_trs / 2 <= share * n_trs.sum()]
    return chosen if len(chosen) else present[-1:]


def spread_by_share(labels: np.ndarray, present: np.ndarray, share: float) -> np.ndarray:
    """Those of ``present`` (n_labels,) that have ``share`` of their TRs, spread evenly over them.

    ``labels`` (n_trs,) int of each TR. One at least.

    >>> spread_by_share(np.repeat(np.arange(10), 5), np.arange(10), share=0.2).tolist()
    [2, 7]
    """
    chosen, owed = [], 0.0  # TRs that are still to be chosen
    for label, n_trs in zip(present, np.bincount(labels)[present].tolist(), strict=True):
        owed += share * n_trs
        if owed >= n_trs / 2 - 1e-9:
            chosen.append(label)
            owed -= n_trs
    return np.array(chosen) if chosen else present[len(present) // 2 :][:1]


def check_pieces(
    pieces: FilmPieces | None, trs: np.ndarray, part: np.ndarray, splits: SplitConfig
) -> list[str]:
    """A line where a piece trains and is tested, ``part`` (n_trs,) str being that of each TR.

    GibletError instead with ``splits.pieces: whole``.
    """
    if pieces is None:
        return []
    music = pieces.music_of(trs)
    both = np.intersect1d(music[part == "test"], music[part == "train"])
    if not len(both):
        return []
    names = [pieces.names[k] for k in both]
    more = f" and {len(names) - _SHOWN} more" * (len(names) > _SHOWN)
    line = f"pieces that both train and are tested: {', '.join(names[:_SHOWN])}{more}"
    if splits.pieces == "whole":
        raise GibletError(f"splits.pieces is whole, but there are {line}")
    return [f"{line}; splits.test_pieces names whole ones to test on"]

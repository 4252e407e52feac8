"""The works that a methods text may cite."""

from giblet.audio.metrics.table import METRICS

REFERENCES = {
    "Défossez et al., 2022": "Défossez A, Copet J, Synnaeve G, Adi Y (2022). High fidelity neural "
    "audio compression. arXiv:2210.13438.",
    "Kumar et al., 2023": "Kumar R, Seetharaman P, Luebs A, Kumar I, Kumar K (2023). High-fidelity "
    "audio compression with improved RVQGAN. arXiv:2306.06546.",
    "Griffin and Lim, 1984": "Griffin D, Lim J (1984). Signal estimation from modified short-time "
    "Fourier transform. IEEE Trans. Acoust. Speech Signal Process. 32, 236–243.",
    "Dupré la Tour et al., 2022": "Dupré la Tour T, Eickenberg M, Nunez-Elizalde AO, Gallant JL "
    "(2022). Feature-space selection with banded ridge regression. NeuroImage 264, 119728.",
    "Benjamini and Hochberg, 1995": "Benjamini Y, Hochberg Y (1995). Controlling the false "
    "discovery rate: a practical and powerful approach to multiple testing. J. R. Stat. Soc. B 57, "
    "289–300.",
    "Smith and Nichols, 2009": "Smith SM, Nichols TE (2009). Threshold-free cluster enhancement: "
    "addressing problems of smoothing, threshold dependence and localisation in cluster inference. "
    "NeuroImage 44, 83–98.",
    "Esteban et al., 2019": "Esteban O, Markiewicz CJ, Blair RW, Moodie CA, Isik AI, Erramuzpe A, "
    "Kent JD, Goncalves M, DuPre E, Snyder M, Oya H, Ghosh SS, Wright J, Durnez J, Poldrack RA, "
    "Gorgolewski KJ (2019). fMRIPrep: a robust preprocessing pipeline for functional MRI. "
    "Nat. Methods 16, 111–116.",
    "Abraham et al., 2014": "Abraham A, Pedregosa F, Eickenberg M, Gervais P, Mueller A, Kossaifi "
    "J, Gramfort A, Thirion B, Varoquaux G (2014). Machine learning for neuroimaging with "
    "scikit-learn. Front. Neuroinform. 8, 14.",
    "Nastase et al., 2019": "Nastase SA, Gazzola V, Hasson U, Keysers C (2019). Measuring shared "
    "responses across subjects using intersubject correlation. Soc. Cogn. Affect. Neurosci. 14, "
    "667–685.",
} | dict(metric.reference for metric in METRICS.values() if metric.reference)


def references(text: str) -> list[str]:
    """The full references of the works that a methods text cites, sorted.

    >>> references("Sound was scored by STOI (Taal et al., 2011).")[0][:14]
    'Taal CH, Hendr'
    """
    return sorted(full for name, full in REFERENCES.items() if name in text)

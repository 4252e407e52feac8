"""What a file of arrays must hold to be what a verb takes it for: variables, sizes, attributes.

For ``giblet.store.load_arrays`` and ``open_arrays``.
"""

STREAM = ("stream", "t_r", "frame_rate", "framing", "n_trs")
SOUND = ("audio", "tr", "row", "frame", "t_r", "frame_rate", "framing", "encoding_mode")
PICTURES = ("video", "tr")
WORDS = ("text", "tr")
FEATURES = ("audio or features or video or text", "tr")  # of any one modality
SCANS = ("bold", "volume", "film_time", "in_film", "subject", "run", "t_r", "source")
REGRESSORS = ("regressors", "volume", "t_r", "hrf_model", "fir_lags_seconds")
ALIGNED = ("audio", "tr", "row", "frame", "part", "run", "t_r", "encoding_mode", "codebook_size")
QUALITY = ("subject", "bold_source")
CODES = ("packed", "codec", "codec_revision", "bandwidth_kbps")
CODES += ("n_codebooks", "n_frames", "n_samples")

"""What `giblet.audio` offers; each is imported from its module when it is first used."""

from .codecs.codec import (
    Codec as Codec,
    codec_folder as codec_folder,
    load_codec as load_codec,
)
from .files import (
    has_sound as has_sound,
    read_sound as read_sound,
    sound_blocks as sound_blocks,
    sound_duration as sound_duration,
    write_sound as write_sound,
)
from .formats import check_stored as check_stored, detect_format as detect_format, unpack as unpack
from .framing import (
    group_trs as group_trs,
    ungroup_trs as ungroup_trs,
)
from .mel import (
    MelSettings as MelSettings,
    average_trs as average_trs,
    mel_spectrogram as mel_spectrogram,
    mel_to_sound as mel_to_sound,
    repeat_in_trs as repeat_in_trs,
)
from .metrics.identify import (
    clip_length as clip_length,
    identification as identification,
    identification_p as identification_p,
    identification_shares as identification_shares,
    identification_shares_p as identification_shares_p,
    join_clips as join_clips,
    permuted_shares as permuted_shares,
    sound_features as sound_features,
)
from .metrics.scores import (
    score_estimates as score_estimates,
    score_metrics as score_metrics,
    score_pairs as score_pairs,
    score_sound as score_sound,
    segment_scores as segment_scores,
    speech_segments as speech_segments,
    summarise as summarise,
)
from .metrics.table import (
    Metric as Metric,
    identification_metrics as identification_metrics,
    metric_of as metric_of,
    per_pair as per_pair,
    segment_metrics as segment_metrics,
)
from .processor import (
    AudioProcessor as AudioProcessor,
    tr_table as tr_table,
)
from .quantized_mel import (
    QuantizerSettings as QuantizerSettings,
    bands_within as bands_within,
    bits_for as bits_for,
    dequantize_mel as dequantize_mel,
    matched_settings as matched_settings,
    pack_bits as pack_bits,
    pack_levels as pack_levels,
    quantize_mel as quantize_mel,
    unpack_bits as unpack_bits,
    unpack_levels as unpack_levels,
)

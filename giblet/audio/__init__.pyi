"""What `giblet.audio` offers; each is imported from its module when it is first used."""

from .codecs.base import (
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
    identification as identification,
    identification_p as identification_p,
    join_clips as join_clips,
)
from .metrics.scores import (
    score_estimates as score_estimates,
    score_sound as score_sound,
    segment_scores as segment_scores,
    summarise as summarise,
)
from .processor import (
    AudioProcessor as AudioProcessor,
    tr_table as tr_table,
)

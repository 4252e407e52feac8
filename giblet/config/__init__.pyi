"""What `giblet.config` offers; each is imported from its module when it is first used."""

from .config import (
    Config as Config,
    all_settings as all_settings,
    parse_config as parse_config,
    readable_config as readable_config,
)
from .events import EventsConfig as EventsConfig
from .regions import (
    LesionConfig as LesionConfig,
    SearchlightConfig as SearchlightConfig,
)
from .sections import (
    CalibrationConfig as CalibrationConfig,
    CodecTrainingConfig as CodecTrainingConfig,
    DecodingConfig as DecodingConfig,
    MelConfig as MelConfig,
    ModelConfig as ModelConfig,
    PretrainingConfig as PretrainingConfig,
    QualityConfig as QualityConfig,
    ScanConfig as ScanConfig,
    Section as Section,
    SimulationConfig as SimulationConfig,
    SplitConfig as SplitConfig,
    TrainingConfig as TrainingConfig,
    VideoConfig as VideoConfig,
    WordsConfig as WordsConfig,
)
from .trained_models import (
    MusicConfig as MusicConfig,
    PictureModelConfig as PictureModelConfig,
    SoundModelConfig as SoundModelConfig,
    SpeechModelsConfig as SpeechModelsConfig,
    WordModelConfig as WordModelConfig,
)

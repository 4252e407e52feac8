"""Where modules of an older giblet are now: an import of an old path names the new one."""

import sys
from collections.abc import Sequence

MOVED = dict(
    line.split()
    for line in """
    agreement stats.intersubject
    aligned alignment.aligned
    alignment.adaptation alignment.lag
    alignment.scan_lag alignment.lag
    annotations film.annotations
    audio.codec audio.codecs.codec
    audio.convnext audio.codecs.convnext
    audio.dac audio.codecs.dac
    audio.distances audio.metrics.distances
    audio.encodec audio.codecs.encodec
    audio.mdct audio.codecs.mdct
    audio.mdct_model audio.codecs.mdct
    audio.melcode audio.quantized_mel
    audio.packing audio.quantized_mel
    audio.pesq_guard audio.metrics.pesq
    audio.pretrained audio.codecs.pretrained
    audio.quality audio.metrics.scores
    audio.speech audio.metrics.speech
    audio.streaming audio.codecs.encodec_streaming
    audio.windowed audio.codecs.pretrained
    baselines stats.cross_validation
    bids brain.bids
    bold brain.bold
    brain_quality evaluation.quality
    checkpoints io.checkpoints
    checks errors
    cleaning brain.bold
    cli commands.cli
    codec codec_training
    codec.architectures codec_training.registry
    codec.balancer loss_weighting.balancer
    codec.data codec_training.data
    codec.discriminators codec_training.discriminators
    codec.factorized codec_training.quantizer
    codec.features audio.spectral_features
    codec.hierarchical codec_training.hierarchical
    codec.interface codec_training.network
    codec.judge codec_training.discriminators
    codec.levels codec_training.hierarchical
    codec.losses codec_training.losses
    codec.mdct codec_training.mdct
    codec.music audio.music_features
    codec.networks codec_training.encodec
    codec.parts codec_training.registry
    codec.quantizer codec_training.quantizer
    codec.scoring codec_training.validation
    codec.settings codec_training.recipe
    codec.snake codec_training.dac
    codec.starting codec_training.initialization
    codec.trainer codec_training.trainer
    codec.verbs commands.codec
    codec_training.balancer loss_weighting.balancer
    codec_training.spectral_features audio.spectral_features
    config_page config.docs
    contents io.schema
    dataset alignment.dataset
    decoded evaluation.brain_scores
    decoding evaluation.decoding
    demo.scanner demo.bids_writer
    demo.viewing demo.stimulus
    encoding stats.intersubject
    events brain.events
    first_config commands.first_config
    generalisation evaluation.leave_one_out
    hdf5 io.paths
    held_out evaluation.held_out
    hub io.hub
    identification audio.metrics.identify
    image_model film.image_features
    images brain.images
    incoming io.paths
    installed commands.doctor.environment
    isc_nulls stats.intersubject
    lesion evaluation.lesions
    linear_maps stats.encoding_maps
    listening autoencoder.objective
    logbook log
    media film.container
    models autoencoder
    models.autoencoder autoencoder.autoencoder
    models.codebooks autoencoder.code_heads
    models.decoder autoencoder.decoders
    models.encoder autoencoder.encoders
    models.heads autoencoder.code_heads
    models.joining autoencoder.bottleneck
    models.losses autoencoder.losses
    models.reading autoencoder.inference
    models.saving autoencoder.hub
    models.shapes alignment.shapes
    models.slots autoencoder.bottleneck
    models.starting autoencoder.warm_start
    motion film.motion_energy
    needs commands.doctor.estimates
    objective autoencoder.objective
    options commands.option_help
    pictures film.video
    pretraining autoencoder.pretraining
    primal stats.feature_ridge
    process commands.process
    progress log
    provenance commands.fingerprint
    readout autoencoder.bold_readout
    reconstruction evaluation.reconstruction
    regions brain.regions
    replacing io.atomic
    report.answer report.sentences
    report.brain report.scan_quality
    report.codebooks report.extras
    report.maps report.brain_maps
    report.origin report.run_record
    report.players report.listen
    report.record report.run_record
    report.scan_sentences report.sentences
    report.spectrograms report.listen
    ridge stats.ridge
    runs brain.run_table
    sealing io.checksums
    section config.sections
    series brain.series
    settings config.sections
    significance stats.permutation
    sizes commands.doctor.data_sizes
    steps autoencoder.lightning_module
    store io.arrays
    survey brain.screening
    text film.text
    time_left commands.doctor.time_left
    training autoencoder.training
    transcripts film.transcripts
    verbs commands
    verbs.bottleneck commands.model
    verbs.brain commands.scans
    verbs.export commands.export
    verbs.film commands.film
    verbs.generalisation commands.model
    verbs.lesion commands.scans
    verbs.setup commands.setup
    video film.video
    voxels alignment.voxels
    windows alignment.loaders
    """.strip().splitlines()
)


class OldPaths:
    """Asked last, when no such module is found."""

    def find_spec(self, fullname: str, path: Sequence[str] | None, target=None) -> None:
        """ModuleNotFoundError that names the new path, if ``fullname`` is an old one."""
        package, _, name = fullname.partition(".")
        if package == "giblet" and name in MOVED:
            message = f"{fullname} is giblet.{MOVED[name]} now: import it from there"
            raise ModuleNotFoundError(message, name=fullname)


def explain_old_paths() -> None:
    """From now on; once is enough."""
    if not any(isinstance(finder, OldPaths) for finder in sys.meta_path):
        sys.meta_path.append(OldPaths())

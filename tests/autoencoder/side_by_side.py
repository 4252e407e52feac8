"""Train a small model alone, or in several processes that all see the one window.

`python tests/autoencoder/side_by_side.py FOLDER STRATEGY DEVICES NODES` leaves what was learned in
FOLDER/weights.pt.
"""

import sys

import numpy as np
import torch

from giblet.alignment.dataset import FilmData
from giblet.alignment.shapes import Shapes
from giblet.autoencoder.training import fit, is_first_process
from giblet.config.sections import ModelConfig, TrainingConfig


def main(folder: str, strategy: str, devices: int, nodes: int) -> None:
    codes = np.random.default_rng(0).integers(0, 16, (30, 2, 8)).astype(np.int32)
    part = np.repeat(["train", "gap", "validation", "gap", "test"], [16, 2, 5, 2, 5])
    data = FilmData({"audio": torch.from_numpy(codes)}, None, part, np.repeat("1", 30))
    sizes = {"audio_dim": 8, "bottleneck_dim": 8, "embedding_dim": 4, "decoder_dim": 8}
    model = ModelConfig(layout="flat", code_head="classifier", start_from="none", **sizes)
    brief = {"max_epochs": 3, "window_trs": 16, "min_steps": devices * nodes, "bfloat16": False}
    brief |= {"audio_trs": 16}  # all: else each process draws its own
    training = TrainingConfig(strategy=strategy, devices=devices, nodes=nodes, **brief)
    trained = fit(data, Shapes(True, 2, 8, codebook_size=16), model, training, 0, folder)
    if is_first_process():
        torch.save(trained.autoencoder.state_dict(), folder + "/weights.pt")


if __name__ == "__main__":
    main(*sys.argv[1:3], *map(int, sys.argv[3:]))

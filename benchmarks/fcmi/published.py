"""What the published code of f-CMI does for one model, plainly: a process that loads, trains and predicts by itself.

`python -m benchmarks.fcmi.published POOL.npz N SEED EPOCHS` trains on one selection of 2N fours and nines of the pool
(arrays `images` and `labels` of MNIST) and prints how many seconds each part took. Images are read one by one, and the
ghosts are evaluated after every epoch.
"""

import json
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.peers.pytorch import network


def training_step(size: int) -> Callable[[], None]:
    """One step of Adam on a batch of random images."""
    import torch

    model = network()
    optimizer = torch.optim.Adam(model.parameters(), 1e-3)
    images, labels = torch.randn(size, 1, 28, 28), torch.randint(0, 2, (size,))

    def step() -> None:
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(model(images), labels).backward()
        optimizer.step()

    return step


def main() -> None:
    """Trains one model, and prints what took how long."""
    start = time.perf_counter()
    import torch
    from torch.utils.data import DataLoader, Dataset

    class Images(Dataset):
        """Images that are normalised one by one, when they are asked for."""

        def __init__(self, images: np.ndarray, labels: np.ndarray) -> None:
            self.images, self.labels = images, labels

        def __len__(self) -> int:
            return len(self.labels)

        def __getitem__(self, i: int) -> tuple[Any, int]:
            return (torch.from_numpy(self.images[i]).float().div(255)[None] - 0.456) / 0.224, int(self.labels[i])

    imported = time.perf_counter()
    file, n, seed, epochs = sys.argv[1], *map(int, sys.argv[2:])
    arrays = np.load(file)
    pool = Images(arrays["images"], arrays["labels"])
    labels = np.array([pool[i][1] for i in range(len(pool))])  # the published loader scans its pool for the classes
    entries = np.flatnonzero(np.isin(labels, (4, 9)))[: 2 * n]
    selection = np.random.default_rng(seed).integers(0, 2, n)
    rows = 2 * np.arange(n) + selection
    ghosts = 4 * np.arange(n) + 1 - rows
    loaded = time.perf_counter()

    torch.manual_seed(seed)
    model = network()
    optimizer = torch.optim.Adam(model.parameters(), 1e-3)

    def subset(rows: np.ndarray) -> Images:
        return Images(arrays["images"][entries[rows]], labels[entries[rows]] == 9)

    training, ghost = DataLoader(subset(rows), 128, shuffle=True), DataLoader(subset(ghosts), 128)
    for _ in range(epochs):
        model.train()
        for batch, targets in training:
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(model(batch), targets).backward()
            optimizer.step()
        model.eval()
        with torch.no_grad():
            for batch, _ in ghost:
                model(batch).argmax(1)
    trained = time.perf_counter()
    print(json.dumps({"import": imported - start, "load": loaded - imported, "train": trained - loaded}))


def plugin_bound(predictions: np.ndarray, selection: np.ndarray, num_classes: int) -> float:
    """The f-CMI bound as the published code computes it: a Python loop over rows and the cells of their tables."""
    runs, n = selection.shape
    total = 0.0
    for i in range(n):
        codes = num_classes * predictions[:, 2 * i] + predictions[:, 2 * i + 1]
        information = 0.0
        for code in range(num_classes**2):
            for chosen in (0, 1):
                joint = np.sum((codes == code) & (selection[:, i] == chosen)) / runs
                product = np.mean(codes == code) * np.mean(selection[:, i] == chosen)
                if joint > 1e-9:
                    information += joint * np.log(joint / product)
        total += np.sqrt(2 * max(information, 0.0))
    return total / n


if __name__ == "__main__":
    main()

"""A network of MixHop layers of PyTorch Geometric, as in its example: three layers of sixty columns for each power."""

from collections.abc import Callable
from typing import Any

import numpy as np


def training_step(x: np.ndarray, edges: np.ndarray, labels: np.ndarray, mask: np.ndarray) -> Callable[[], Any]:
    """A step of descent on the cross-entropy of some nodes, with dense features."""
    import torch
    from torch_geometric.nn import BatchNorm, MixHopConv

    class Network(torch.nn.Module):
        """Three layers and a linear head."""

        def __init__(self) -> None:
            super().__init__()
            widths = (x.shape[1], 180, 180)
            self.layers = torch.nn.ModuleList([MixHopConv(width, 60, powers=[0, 1, 2]) for width in widths])
            self.norms = torch.nn.ModuleList([BatchNorm(180) for _ in widths])
            self.head = torch.nn.Linear(180, int(labels.max()) + 1)

        def forward(self, hidden: Any, edges: Any) -> Any:
            """Logits of all nodes."""
            hidden = torch.nn.functional.dropout(hidden, 0.7, self.training)
            for layer, norm in zip(self.layers, self.norms, strict=True):
                hidden = torch.nn.functional.dropout(norm(layer(hidden, edges)), 0.9, self.training)
            return self.head(hidden)

    network = Network()
    optimizer = torch.optim.SGD(network.parameters(), lr=0.5)
    given = torch.from_numpy(x), torch.from_numpy(edges)
    targets, chosen = torch.from_numpy(labels), torch.from_numpy(mask)

    def step() -> None:
        optimizer.zero_grad()
        outputs = network(*given)
        torch.nn.functional.cross_entropy(outputs[chosen], targets[chosen]).backward()
        optimizer.step()

    return step

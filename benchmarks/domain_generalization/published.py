"""The algorithms as they are trained in PyTorch one model at a time, plainly: loops over domains, pairs and parameters.

Written from the formulas, in the order in which DomainBed computes them; they need PyTorch.
"""

import copy
import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

Pair = tuple[Any, Any]


class Model(NamedTuple):
    """A network under training.

    Attributes:
      featurizer: of PyTorch.
      head: a linear layer.
      optimizer: of both.
    """

    featurizer: Any
    head: Any
    optimizer: Any

    def parameters(self) -> list[Any]:
        """Those of both."""
        return [*self.featurizer.parameters(), *self.head.parameters()]


def make_model(num_features: int, width: int, num_classes: int, learning_rate: float = 1e-3) -> Model:
    """An MLP of three layers with a linear head."""
    import torch
    from torch import nn

    featurizer = _mlp(num_features, width, width)
    head = nn.Linear(width, num_classes)
    return Model(featurizer, head, torch.optim.Adam([*featurizer.parameters(), *head.parameters()], learning_rate))


def make_step(
    name: str, model: Model, *, width: int, num_domains: int, num_classes: int, **settings: float
) -> Callable[[Sequence[Pair]], float]:
    """A step of an algorithm on the inputs and labels of every domain; it returns what it minimises.

    Args:
      name: ours, of `domain_generalization.ALGORITHMS`.
      model: to be trained.
      width: of the hidden layers of a discriminator.
      num_domains: of the batches.
      num_classes: of the labels.
      settings: of the algorithm.
    """
    import torch
    from torch.nn import functional

    given = {"penalty_weight": 1.0, "anneal_steps": 100, **settings}
    weight, anneal_steps = given["penalty_weight"], given["anneal_steps"]
    count, random = itertools.count(), np.random.default_rng(0)

    def descend(loss: Any) -> float:
        model.optimizer.zero_grad()
        loss.backward()
        model.optimizer.step()
        return float(loss.detach())

    def own_gradients(pairs: Sequence[Pair], *, twice: bool) -> tuple[list[Any], list[Any]]:
        losses = [functional.cross_entropy(model.head(model.featurizer(x)), y) for x, y in pairs]
        gradients = [torch.autograd.grad(loss, model.parameters(), create_graph=twice) for loss in losses]
        return losses, gradients

    def penalized(penalty: Callable[..., Any]) -> Callable[[Sequence[Pair]], float]:
        def step(pairs: Sequence[Pair]) -> float:
            sizes = [len(y) for _, y in pairs]
            together = model.featurizer(torch.cat([x for x, _ in pairs]))
            representations, logits = together.split(sizes), model.head(together).split(sizes)
            risks = [functional.cross_entropy(one, y) for one, (_, y) in zip(logits, pairs, strict=True)]
            return descend(penalty(representations, logits, [y for _, y in pairs], torch.stack(risks)))

        return step

    def annealed(value: Any, early: float) -> Any:
        number = next(count)
        if number == anneal_steps:
            model.optimizer.state.clear()
        return (weight if number >= anneal_steps else early) * value

    def slope(logits: Any, y: Any) -> Any:
        scale = torch.tensor(1.0, requires_grad=True)
        halves = [functional.cross_entropy(scale * logits[half::2], y[half::2]) for half in (0, 1)]
        even, odd = (torch.autograd.grad(loss, [scale], create_graph=True)[0] for loss in halves)
        return even * odd

    def irm_of(logits: Any, labels: Any) -> Any:
        return sum(map(slope, logits, labels)) / len(labels)

    def bottleneck_of(representations: Any) -> Any:
        return sum(z.var(0).mean() for z in representations) / len(representations)

    weights = torch.ones(num_domains)

    def group_dro(z: Any, logits: Any, y: Any, risks: Any) -> Any:
        for domain in range(num_domains):
            weights[domain] *= (0.01 * risks[domain].detach()).exp()
        weights.div_(weights.sum())
        return risks @ weights

    averages: dict[int, Any] = {}

    def fishr(z: Any, logits: Any, y: Any, risks: Any) -> Any:
        variances = []
        for domain in range(num_domains):
            errors = logits[domain].softmax(1) - functional.one_hot(y[domain], num_classes)
            of_rows = torch.cat([errors, (errors[:, :, None] * z[domain][:, None]).flatten(1)], 1)
            moved = 0.95 * averages.get(domain, torch.zeros(())) + 0.05 * of_rows.var(0, unbiased=False)
            averages[domain] = moved.detach()
            variances.append(moved / 0.05)
        mean = torch.stack(variances).mean(0)
        penalty = sum(((one - mean) ** 2).mean() for one in variances) / num_domains
        return risks.mean() + annealed(penalty, 0.0)

    def of_pairs(distance: Callable[[Any, Any], Any]) -> Callable[..., Any]:
        def loss(z: Any, logits: Any, y: Any, risks: Any) -> Any:
            found = [distance(a, b) for a, b in itertools.combinations(z, 2)]
            return risks.mean() + weight * sum(found) / len(found)

        return loss

    def of_halves(distance: Callable[[Any, Any], Any]) -> Callable[..., Any]:
        def loss(z: Any, logits: Any, y: Any, risks: Any) -> Any:
            cuts = [random.integers(len(one)) for one in z]
            first = torch.cat([one[:cut] for one, cut in zip(z, cuts, strict=True)])
            second = torch.cat([one[cut:] for one, cut in zip(z, cuts, strict=True)])
            return risks.mean() + (weight * distance(first, second) if len(first) > 1 else 0)

        return loss

    def contrast(conditional: bool) -> Callable[..., Any]:
        def loss(representations: Any, logits: Any, labels: Any, risks: Any) -> Any:
            z, y = torch.cat(representations), torch.cat(labels)
            domain = torch.repeat_interleave(torch.arange(num_domains), len(labels[0]))
            others = ~torch.eye(len(z), dtype=bool)
            of_class = others & (y[:, None] == y)
            among = of_class if conditional else others
            elsewhere = among & (domain[:, None] != domain)
            kept = (elsewhere if conditional else of_class).any(1)
            similarity = (z @ z.T / 0.1)[kept]
            total = lambda chosen: (similarity + chosen[kept].float().log()).logsumexp(1)
            return risks.mean() + 0.1 * (total(among) - total(elsewhere)).mean() * (0.1 / 0.07)

        return loss

    def rsc(representations: Any, logits: Any, labels: Any, risks: Any) -> Any:
        z, y = torch.cat(representations), torch.cat(labels)
        chosen = lambda logits: logits.gather(1, y[:, None])[:, 0]
        slopes = torch.autograd.grad(chosen(model.head(z)).sum(), z, retain_graph=True)[0]
        kept = slopes < torch.quantile(slopes, 2 / 3, dim=1, keepdim=True)
        drops = chosen(model.head(z).softmax(1)) - chosen(model.head(z * kept).softmax(1))
        kept = kept | (drops < torch.quantile(drops, 2 / 3))[:, None]
        return functional.cross_entropy(model.head(z * kept), y)

    def eqrm(z: Any, logits: Any, y: Any, risks: Any) -> Any:
        if next(count) < anneal_steps:
            return risks.mean()
        width = 1.06 * risks.std() * num_domains**-0.2
        normal = torch.distributions.Normal(torch.tensor(0.0), torch.tensor(1.0))
        ends = [end + width * normal.icdf(torch.tensor(0.75)) for end in (risks.min(), risks.max())]
        for _ in range(32):
            middle = sum(ends) / 2
            ends[int(normal.cdf((middle - risks) / width).mean() > 0.75)] = middle
        return sum(ends) / 2

    def mixup(pairs: Sequence[Pair]) -> float:
        order, loss = random.permutation(num_domains), 0.0
        for first, second in zip(order, np.roll(order, -1), strict=True):
            (x, y), (other_x, other_y) = pairs[first], pairs[second]
            share = random.beta(0.2, 0.2)
            logits = model.head(model.featurizer(share * x + (1 - share) * other_x))
            loss += share * functional.cross_entropy(logits, y) + (1 - share) * functional.cross_entropy(
                logits, other_y
            )
        return descend(loss / num_domains)

    def mldg(pairs: Sequence[Pair]) -> float:
        order, total = random.permutation(num_domains), 0.0
        for parameter in model.parameters():
            parameter.grad = torch.zeros_like(parameter)
        for first in order[:-1]:
            (x, y), (other_x, other_y) = pairs[first], pairs[order[-1]]
            featurizer, head = copy.deepcopy((model.featurizer, model.head))
            inner = [*featurizer.parameters(), *head.parameters()]
            optimizer = torch.optim.Adam(inner)
            loss = functional.cross_entropy(head(featurizer(x)), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            after = functional.cross_entropy(head(featurizer(other_x)), other_y)
            second = torch.autograd.grad(after, inner)
            for parameter, moved, other in zip(model.parameters(), inner, second, strict=True):
                parameter.grad += (moved.grad + other) / num_domains
            total += float((loss + after).detach()) / num_domains
        model.optimizer.step()
        return total

    def iga(pairs: Sequence[Pair]) -> float:
        losses, gradients = own_gradients(pairs, twice=True)
        mean = [sum(parts) / num_domains for parts in zip(*gradients, strict=True)]
        apart = [
            ((part - middle.detach()) ** 2).sum()
            for of_domain in gradients
            for part, middle in zip(of_domain, mean, strict=True)
        ]
        return descend(sum(losses) / num_domains + weight * sum(apart))

    def masked(mask: Callable[[Any], Any]) -> Callable[[Sequence[Pair]], float]:
        def step(pairs: Sequence[Pair]) -> float:
            losses, gradients = own_gradients(pairs, twice=False)
            for parameter, parts in zip(model.parameters(), zip(*gradients, strict=True), strict=True):
                stacked = torch.stack(parts)
                kept = mask(stacked)
                parameter.grad = kept * stacked.mean(0) / (1e-10 + kept.mean())
            model.optimizer.step()
            return float(sum(losses).detach()) / num_domains

        return step

    def sand(stacked: Any) -> Any:
        agreement = stacked.sign().mean(0).abs() - 0.5
        return torch.relu(torch.tanh(10 / stacked.var(0) * agreement))

    inner_state: list[Any] = []

    def fish(pairs: Sequence[Pair]) -> float:
        featurizer, head = copy.deepcopy((model.featurizer, model.head))
        inner = [*featurizer.parameters(), *head.parameters()]
        optimizer = torch.optim.Adam(inner)
        if inner_state:
            optimizer.load_state_dict(inner_state.pop())
        for x, y in pairs:
            loss = functional.cross_entropy(head(featurizer(x)), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        inner_state.append(optimizer.state_dict())
        with torch.no_grad():
            for parameter, moved in zip(model.parameters(), inner, strict=True):
                parameter += 0.5 * (moved - parameter)
        return float(loss.detach())

    def adversarial(conditional: bool) -> Callable[[Sequence[Pair]], float]:
        discriminator = _mlp(width, width, num_domains)
        embedding = torch.nn.Embedding(num_classes, width)
        own = torch.optim.Adam([*discriminator.parameters(), *embedding.parameters()], betas=(0.5, 0.9))
        network = torch.optim.Adam(model.parameters(), betas=(0.5, 0.9))

        def step(pairs: Sequence[Pair]) -> float:
            x, y = (torch.cat(parts) for parts in zip(*pairs, strict=True))
            domain = torch.repeat_interleave(torch.arange(num_domains), len(pairs[0][1]))
            z = model.featurizer(x)
            logits = discriminator(z + embedding(y) if conditional else z)
            if conditional:
                counts = functional.one_hot(y, num_classes).sum(0)
                losses = functional.cross_entropy(logits, domain, reduction="none")
                hidden = (losses / (counts[y] * num_classes)).sum()
            else:
                hidden = functional.cross_entropy(logits, domain)
            turn = (next(count) + 1) % 2 < 1
            loss = hidden if turn else functional.cross_entropy(model.head(z), y) - weight * hidden
            own.zero_grad()
            network.zero_grad()
            loss.backward()
            (own if turn else network).step()
            return float(loss.detach())

        return step

    mean_of = lambda risks: risks.mean()
    steps: dict[str, Callable[[Sequence[Pair]], float]] = {
        "erm": penalized(lambda z, logits, y, risks: mean_of(risks)),
        "irm": penalized(lambda z, logits, y, risks: mean_of(risks) + annealed(irm_of(logits, y), 1.0)),
        "vrex": penalized(lambda z, logits, y, risks: mean_of(risks) + annealed(risks.var(unbiased=False), 1.0)),
        "group_dro": penalized(group_dro),
        "coral": penalized(of_pairs(_moments_apart)),
        "mmd": penalized(of_pairs(_discrepancy)),
        "sd": penalized(lambda z, logits, y, risks: mean_of(risks) + weight * (torch.cat(logits) ** 2).mean()),
        "mixup": mixup,
        "mldg": mldg,
        "dann": adversarial(False),
        "cdann": adversarial(True),
        "fishr": penalized(fishr),
        "ib_erm": penalized(lambda z, logits, y, risks: mean_of(risks) + annealed(bottleneck_of(z), 0.0)),
        "ib_irm": penalized(
            lambda z, logits, y, risks: mean_of(risks) + annealed(irm_of(logits, y), 1.0) + bottleneck_of(z)
        ),
        "iga": iga,
        "and_mask": masked(lambda stacked: (stacked.sign().mean(0).abs() >= 0.5).float()),
        "sand_mask": masked(sand),
        "rsc": penalized(rsc),
        "fish": fish,
        "cad": penalized(contrast(False)),
        "cond_cad": penalized(contrast(True)),
        "causirl_coral": penalized(of_halves(_moments_apart)),
        "causirl_mmd": penalized(of_halves(_discrepancy)),
        "eqrm": penalized(eqrm),
    }
    return steps[name]


def batches(
    inputs: np.ndarray, labels: np.ndarray, rows: Sequence[np.ndarray], batch_size: int
) -> Iterator[list[Pair]]:
    """Inputs and labels of every domain, over and over in new orders."""
    import torch

    random = np.random.default_rng(0)
    x, y = torch.tensor(inputs), torch.tensor(labels, dtype=torch.long)
    while True:
        orders = [torch.tensor(random.permutation(own)) for own in rows]
        for start in range(0, min(map(len, orders)) - batch_size + 1, batch_size):
            yield [(x[order[start : start + batch_size]], y[order[start : start + batch_size]]) for order in orders]


def _mlp(inputs: int, width: int, outputs: int) -> Any:
    from torch import nn

    return nn.Sequential(
        nn.Linear(inputs, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(), nn.Linear(width, outputs)
    )


def _moments_apart(first: Any, second: Any) -> Any:
    means = first.mean(0), second.mean(0)
    centred = first - means[0], second - means[1]
    covariances = [part.T @ part / (len(part) - 1) for part in centred]
    return ((means[0] - means[1]) ** 2).mean() + ((covariances[0] - covariances[1]) ** 2).mean()


def _discrepancy(first: Any, second: Any) -> Any:
    import torch

    def kernel(a: Any, b: Any) -> Any:
        distances = torch.cdist(a, b).square().clamp(min=1e-30)
        return sum(torch.exp(-gamma * distances) for gamma in (1e-3, 1e-2, 0.1, 1.0, 10.0, 100.0, 1000.0)).mean()

    return kernel(first, first) + kernel(second, second) - 2 * kernel(first, second)

"""What the published codes of linear CorEx and T-CorEx do, plainly: a loop in NumPy, and two loops in PyTorch.

Every function returns the weights and the number of iterations done. None stops at a clock: time them from outside.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

_ENOUGH = 0.1
_SMALLEST_STEP = 1e-10
_SMALLEST_VARIANCE = 1e-8
_WINDOW = 50
_SMALLEST_DECAY = 1e-6


class _Moments(NamedTuple):
    correlations: np.ndarray
    signal: np.ndarray
    inverse: np.ndarray
    slopes: np.ndarray
    mixed: np.ndarray
    gain: np.ndarray
    excess: np.ndarray
    objective: float


def quasi_newton(
    x: np.ndarray, weights: np.ndarray, noises: Sequence[float], *, max_iterations: int, tolerance: float = 1e-5
) -> tuple[np.ndarray, int]:
    """Linear CorEx in NumPy, with all moments computed anew for every step size that is tried."""
    total, previous = 0, noises[0]
    for noise in noises:
        if noise != previous:
            weights = _rescale(weights, x, previous, noise)
            previous = noise
        now = _moments(weights, x, noise)
        for _ in range(max_iterations):
            gradient = _gradient(weights, now)
            by_weights = _product(gradient, x, noise)
            left = (1 - now.signal)[:, None]
            along = (now.correlations * gradient).sum(1, keepdims=True)
            direction = -left * (gradient - 2 * weights / (2 - left) * along)
            slope = float((by_weights * direction).sum())
            if slope >= 0:
                break
            step, new = 1.0, _moments(weights + direction, x, noise)
            while not new.objective >= now.objective - _ENOUGH * step * slope and step > _SMALLEST_STEP:
                step /= 2
                new = _moments(weights + step * direction, x, noise)
            weights, total = weights + step * direction, total + 1
            change, now = abs(new.objective - now.objective), new
            if change < tolerance:
                break
    return weights, total


def adam(
    x: np.ndarray,
    weights: np.ndarray,
    noises: Sequence[float],
    *,
    max_iterations: int,
    tolerance: float = 1e-5,
    learning_rate: float = 1e-3,
) -> tuple[np.ndarray, int]:
    """Linear CorEx in PyTorch: Adam on an objective whose noise is drawn in every step; factors of unit noise."""
    import torch

    samples = torch.as_tensor(x)

    def loss(weights: Any, noise: float) -> Any:
        noisy = (1 - noise**2) ** 0.5 * samples + noise * torch.randn_like(samples)
        factors = noisy @ weights.T + torch.randn(len(samples), len(weights))
        variances = factors.square().mean(0)
        residuals = noisy - factors @ _readout(factors.T @ noisy / len(samples), variances)
        errors = residuals.square().mean(0).clamp(min=_SMALLEST_VARIANCE)
        return (errors.log().sum() + variances.log().sum()) / 2

    return _descend(loss, weights, noises, max_iterations, tolerance, learning_rate)


def temporal(
    periods: Sequence[np.ndarray],
    weights: np.ndarray,
    noises: Sequence[float],
    *,
    max_iterations: int,
    decay: float,
    l1: float,
    tolerance: float = 1e-5,
    learning_rate: float = 1e-3,
) -> tuple[np.ndarray, int]:
    """T-CorEx in PyTorch: in every step a loop over the periods, each with a copy of the samples of its window."""
    import torch

    samples = [torch.as_tensor(period) for period in periods]
    shares = [[decay ** abs(i - t) for i in range(len(periods))] for t in range(len(periods))]
    windows = [[i for i, share in enumerate(row) if share >= _SMALLEST_DECAY] for row in shares]

    def loss(weights: Any, noise: float) -> Any:
        noisy = [(1 - noise**2) ** 0.5 * period + noise * torch.randn_like(period) for period in samples]
        total = l1 * (weights[1:] - weights[:-1]).abs().sum()
        for t, window in enumerate(windows):
            rows = torch.cat([noisy[i] for i in window])
            sample_weights = torch.cat([torch.full((len(noisy[i]), 1), shares[t][i]) for i in window])
            sample_weights = sample_weights / sample_weights.sum()
            factors = rows @ weights[t].T + torch.randn(len(rows), weights.shape[1])
            variances = (sample_weights * factors.square()).sum(0)
            readout = _readout((sample_weights * factors).T @ rows, variances)
            own = noisy[t] @ weights[t].T + torch.randn(len(noisy[t]), weights.shape[1])
            errors = (noisy[t] - own @ readout).square().mean(0).clamp(min=_SMALLEST_VARIANCE)
            total = total + (errors.log().sum() + variances.log().sum()) / 2
        return total / (len(periods) * weights.shape[2])

    return _descend(loss, weights, noises, max_iterations, tolerance, learning_rate)


def of_unit_noise(weights: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Weights of factors of unit noise from those of normalized factors, which the quasi-Newton loop has."""
    signal = np.square(x @ weights.T).mean(0)
    return weights / np.sqrt(1 - signal)[:, None]


def _product(weights: np.ndarray, x: np.ndarray, noise: float) -> np.ndarray:
    return (1 - noise**2) / len(x) * (x.T @ (x @ weights.T)).T + noise**2 * weights


def _moments(weights: np.ndarray, x: np.ndarray, noise: float) -> _Moments:
    rho = _product(weights, x, noise)
    factors = weights @ rho.T
    signal = factors.diagonal().copy()
    if signal.max() >= 1:
        return _Moments(rho, signal, rho, rho, rho, signal, signal, -np.inf)
    np.fill_diagonal(factors, 1)
    inverse = 1 / (1 - rho**2)
    slopes = rho * inverse
    mixed = factors @ slopes
    gain = (rho * slopes).sum(0)
    excess = (slopes * (mixed - gain * rho)).sum(0)
    objective = np.log1p(gain).sum() - np.log1p(excess).sum() / 2 + np.log(1 - signal).sum() / 2
    return _Moments(rho, signal, inverse, slopes, mixed, gain, excess, float(objective))


def _gradient(weights: np.ndarray, now: _Moments) -> np.ndarray:
    rho, signal, inverse, slopes, mixed, gain, excess, _ = now
    overlap = (slopes / (1 + excess)) @ slopes.T
    np.fill_diagonal(overlap, 0)
    of_gain = 2 * inverse * slopes / (1 + gain)
    of_excess = inverse**2 * ((1 + rho**2) * mixed - 2 * rho * gain) / (1 + excess)
    return weights / (1 - signal)[:, None] - of_gain + of_excess + overlap @ weights


def _rescale(weights: np.ndarray, x: np.ndarray, before: float, noise: float) -> np.ndarray:
    signal = (weights * _product(weights, x, before)).sum(1)
    shift = (noise**2 - before**2) / (1 - before**2) * (weights**2).sum(1) / signal
    scale = np.sqrt((1 - before**2) / ((1 - noise**2) * (1 + shift)))
    return np.floor(1000 * scale)[:, None] / 1000 * weights


def _readout(cross: Any, variances: Any) -> Any:
    """How the variables are read from factors of these variances."""
    rho = cross / variances.sqrt()[:, None]
    slopes = rho / (1 - rho.square()).clamp(min=_SMALLEST_VARIANCE, max=1)
    return slopes / variances.sqrt()[:, None] / (1 + (rho * slopes).sum(0))


def _descend(
    loss: Any,
    start: np.ndarray,
    noises: Sequence[float],
    max_iterations: int,
    tolerance: float,
    learning_rate: float,
) -> tuple[np.ndarray, int]:
    """Adam, until the mean of the loss over 50 steps changes little from the mean over the 50 before."""
    import torch

    # at these sizes two threads wait for each other longer than they compute
    torch.set_num_threads(1)
    torch.manual_seed(0)
    weights = torch.tensor(start, requires_grad=True)
    optimizer = torch.optim.Adam([weights], learning_rate)
    total = 0
    for noise in noises:
        history: list[float] = []
        for _ in range(max_iterations):
            value = loss(weights, noise)
            optimizer.zero_grad()
            value.backward()
            optimizer.step()
            history.append(value.item())
            total += 1
            before, now = np.mean(history[-2 * _WINDOW : -_WINDOW] or [np.inf]), np.mean(history[-_WINDOW:])
            if len(history) >= 2 * _WINDOW and abs(now - before) < tolerance * abs(before + 1e-6):
                break
    return weights.detach().numpy(), total

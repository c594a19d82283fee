"""What MinSyn is compared with on words: components of scikit-learn, linear CorEx with synergy, autoencoders.

Every method is given the pixels of the training words and returns codes of all words.
"""

import functools
import warnings
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import linen as nn
from jaxtyping import Array
from sklearn.cluster import KMeans
from sklearn.decomposition import NMF, PCA, FastICA
from sklearn.exceptions import ConvergenceWarning

from infotheory_dl import training
from infotheory_dl.corex import linear as corex
from infotheory_dl.types import Key


class Words(NamedTuple):
    """Pixels of words.

    Attributes:
      pixels: of all words, in [0, 1]; those that vary among the training words.
      train: which words are for training.
      standardised: the pixels, by their moments among the training words.
    """

    pixels: np.ndarray
    train: np.ndarray
    standardised: np.ndarray


def as_words(pixels: np.ndarray, train: np.ndarray) -> Words:
    mean, std = pixels[train].mean(0), pixels[train].std(0)
    return Words(pixels, train, (pixels - mean) / std)


def principal_components(words: Words, num_factors: int, seed: int) -> np.ndarray:
    return PCA(num_factors).fit(words.standardised[words.train]).transform(words.standardised)


def independent_components(words: Words, num_factors: int, seed: int) -> np.ndarray:
    ica = FastICA(num_factors, random_state=seed, whiten="unit-variance", max_iter=1000)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return ica.fit(words.standardised[words.train]).transform(words.standardised)


def non_negative_factors(words: Words, num_factors: int, seed: int) -> np.ndarray:
    nmf = NMF(num_factors, init="random", random_state=seed, max_iter=2000)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return nmf.fit(words.pixels[words.train]).transform(words.pixels)


def overlapping_corex(words: Words, num_factors: int, seed: int) -> np.ndarray:
    with jax.enable_x64(True), warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        x = words.standardised
        model = corex.fit(jax.random.key(seed), x[words.train], num_factors, overlapping=True)
        return np.asarray(corex.transform(model, x))


def clusters_of_positions(words: Words, positions: np.ndarray, num_states: int, seed: int) -> np.ndarray:
    """States of all words by k-means of the pixels of each position alone, which are known to this method."""
    states = []
    for position in np.unique(positions):
        pixels = words.pixels[:, positions == position]
        kmeans = KMeans(num_states, n_init=10, random_state=seed).fit(pixels[words.train])
        states.append(kmeans.predict(pixels))
    return np.stack(states, axis=1)


def unexplained_of_test_words(words: Words, codes: np.ndarray) -> float:
    """The mean square that the best linear map of the codes of the training words leaves of the pixels of the others.

    Pixels are standardised by the training words: 1 is what their means would leave there.
    """
    with_constant = np.column_stack([np.ones(len(codes)), codes])
    decoder = np.linalg.lstsq(with_constant[words.train], words.standardised[words.train], rcond=None)[0]
    left = np.square(words.standardised - with_constant @ decoder)[~words.train].mean()
    return round(float(left), 6)  # beneath it is rounding


class Autoencoder(nn.Module):
    """An autoencoder with Gaussian codes, of one hidden layer on either side.

    Attributes:
      num_factors: number of codes.
      num_pixels: number of outputs, logits of pixels.
      width: of the hidden layers.
    """

    num_factors: int
    num_pixels: int
    width: int = 128

    def setup(self) -> None:
        self.encoder = nn.Sequential([nn.Dense(self.width), nn.relu, nn.Dense(2 * self.num_factors)])
        self.decoder = nn.Sequential([nn.Dense(self.width), nn.relu, nn.Dense(self.num_pixels)])

    def __call__(self, x: Array) -> tuple[Array, Array, Array]:
        """Logits from the means, the means, and the logarithms of the variances."""
        mean, log_variance = jnp.split(self.encoder(x), 2, axis=-1)
        return self.decoder(mean), mean, log_variance

    def drawn(self, x: Array, noise: Array) -> tuple[Array, Array, Array]:
        """Logits from codes that are drawn."""
        mean, log_variance = jnp.split(self.encoder(x), 2, axis=-1)
        return self.decoder(mean + jnp.exp(log_variance / 2) * noise), mean, log_variance


class AutoencoderState(NamedTuple):
    """A variational autoencoder under training.

    Attributes:
      network: its parameters and optimizer.
      beta: what a nat of the codes costs.
    """

    network: training.NetworkState
    beta: Array


def autoencoder_codes(
    words: Words, num_factors: int, betas: tuple[float, ...], seeds: tuple[int, ...], num_epochs: int
) -> np.ndarray:
    """Codes (betas, seeds, words, factors) of variational autoencoders, all trained as one program."""
    pixels = words.pixels.astype(np.float32)
    module = Autoencoder(num_factors, pixels.shape[1])
    system = _system(module, num_epochs)
    grid = [(beta, seed) for beta in betas for seed in seeds]
    keys = jnp.stack([jax.random.key(seed) for _, seed in grid])
    states = training.draw_states(keys, module, system, pixels[:1], beta=np.array([beta for beta, _ in grid]))
    done = training.train_many(keys, system.step, states, pixels[words.train], num_epochs=num_epochs, batch_size=27)
    codes = jax.vmap(lambda state: module.apply(state.network.variables, pixels)[1])(done.state)
    return np.asarray(codes).reshape(len(betas), len(seeds), len(pixels), num_factors)


@functools.cache
def _system(module: Autoencoder, num_epochs: int) -> training.System:
    network, optimizer = training.as_network(module), optax.adam(1e-3)

    def init(variables: Any, beta: Array) -> AutoencoderState:
        return AutoencoderState(training.begin(network, optimizer, variables), jnp.asarray(beta, jnp.float32))

    def step(state: AutoencoderState, batch: training.Batch, key: Key) -> tuple[AutoencoderState, training.Metrics]:
        noise = jax.random.normal(key, (len(batch.data), module.num_factors))

        def loss(params: Any) -> Array:
            drawn: Any = module.apply(params, batch.data, noise, method="drawn")
            logits, mean, log_variance = drawn
            errors = optax.sigmoid_binary_cross_entropy(logits, batch.data).sum(-1)
            nats = (jnp.square(mean) + jnp.exp(log_variance) - 1 - log_variance).sum(-1) / 2
            return training.masked_mean(errors + state.beta * nats, batch.mask)

        value, gradient = jax.value_and_grad(loss)(state.network.params)
        network_state = training.descend(key, optimizer, state.network, gradient, None)
        return state._replace(network=network_state), {"loss": value}

    return training.System(init, step, lambda state, data: {})

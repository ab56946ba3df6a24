"""A multilayer perceptron in numpy: forward, backward, losses, Adam, PGD.

A network is a list of layers [W, b] with W of shape [out, in] and b of shape [out],
all float32; `hidden` names the activation between them, a key of HIDDEN. A batch is
a float32 matrix with one sample a row.
"""

import numpy as np


def sigmoid(z):
    """1 / (1 + exp(-z)), which does not overflow."""
    return np.float32(0.5) * np.tanh(np.float32(0.5) * z) + np.float32(0.5)


# Each activation, and its slope as a function of its value.
HIDDEN = {
    "relu": (lambda z: np.maximum(z, 0), lambda a: a > 0),
    "tanh": (np.tanh, lambda a: 1 - a * a),
    "sigmoid": (sigmoid, lambda a: a * (1 - a)),
    "atan": (np.arctan, lambda a: np.cos(a) ** 2),
}


def parse_shape(text):
    """'3072-1024x6-10' -> [3072, 1024, 1024, 1024, 1024, 1024, 1024, 10]."""
    widths = []
    for part in text.split("-"):
        width, _, times = part.partition("x")
        widths += [int(width)] * int(times or 1)
    return widths


def he_init(widths, rng):
    """Weights normal with variance 2 / fan-in, biases zero."""
    return [
        [
            (rng.standard_normal((n, m)) * np.sqrt(2 / m)).astype(np.float32),
            np.zeros(n, np.float32),
        ]
        for m, n in zip(widths, widths[1:])
    ]


def glorot_init(widths, rng, gain=1):
    """Weights uniform with variance gain^2 2 / (fan-in + fan-out), biases zero."""
    layers = []
    for m, n in zip(widths, widths[1:]):
        most = gain * np.sqrt(6 / (m + n))
        layers.append([rng.uniform(-most, most, (n, m)).astype(np.float32),
                       np.zeros(n, np.float32)])
    return layers


def init(widths, rng, hidden):
    """He's weights for ReLU, Glorot's for the others; a sigmoid's slope is 1/4 at 0."""
    if hidden == "relu":
        return he_init(widths, rng)
    return glorot_init(widths, rng, 4 if hidden == "sigmoid" else 1)


def forward(layers, x, hidden="relu"):
    """The input of every layer, then the output: a list of len(layers) + 1 matrices."""
    value, _ = HIDDEN[hidden]
    acts = [x]
    for k, (w, b) in enumerate(layers, 1):
        z = acts[-1] @ w.T + b
        acts.append(z if k == len(layers) else value(z))
    return acts


def predict(layers, x, hidden="relu"):
    """The output alone."""
    return forward(layers, x, hidden)[-1]


def accuracy(layers, x, y, hidden="relu"):
    """Share of rows whose largest output is the label."""
    return float((predict(layers, x, hidden).argmax(1) == y).mean())


def backward(layers, acts, grad, hidden="relu"):
    """From d loss / d output, the pairs [dW, db] of every layer."""
    _, slope = HIDDEN[hidden]
    grads = []
    for k in range(len(layers) - 1, -1, -1):
        grads.append([grad.T @ acts[k], grad.sum(0)])
        if k:
            grad = (grad @ layers[k][0]) * slope(acts[k])
    return grads[::-1]


def input_gradient(layers, acts, grad, hidden="relu"):
    """From d loss / d output, d loss / d x."""
    _, slope = HIDDEN[hidden]
    for k in range(len(layers) - 1, -1, -1):
        grad = grad @ layers[k][0]
        if k:
            grad *= slope(acts[k])
    return grad


def cross_entropy_gradient(logits, y):
    """d (mean cross-entropy) / d logits."""
    p = np.exp(logits - logits.max(1, keepdims=True))
    p /= p.sum(1, keepdims=True)
    p[np.arange(len(y)), y] -= 1
    return p / np.float32(len(y))


def square_gradient(out, target):
    """d (mean square error / 2) / d out."""
    return (out - target) / np.float32(len(out))


def pgd(layers, x, y, eps, steps, rng, hidden="relu"):
    """Samples in the linf ball of radius eps about x, and in [0, 1], of high loss."""
    low, high = np.maximum(x - eps, 0), np.minimum(x + eps, 1)
    adv = x + rng.uniform(-eps, eps, x.shape).astype(np.float32)
    adv = np.clip(adv, low, high)
    for _ in range(steps):
        acts = forward(layers, adv, hidden)
        grad = cross_entropy_gradient(acts[-1], y)
        grad = input_gradient(layers, acts, grad, hidden)
        adv = np.clip(adv + np.float32(2.5 * eps / steps) * np.sign(grad), low, high)
    return adv


class Adam:
    """Adam with decoupled weight decay (on W, not on b), in place."""

    def __init__(self, layers, decay=0.0):
        self.layers, self.decay, self.t = layers, decay, 0
        self.m = [[np.zeros_like(p) for p in layer] for layer in layers]
        self.v = [[np.zeros_like(p) for p in layer] for layer in layers]

    def step(self, grads, rate):
        """One update with the step size `rate`."""
        self.t += 1
        root = np.sqrt(1 - 0.999**self.t)
        rate_t = np.float32(rate * root / (1 - 0.9**self.t))
        tiny = np.float32(1e-8 * root)
        for layer, grad, ms, vs in zip(self.layers, grads, self.m, self.v):
            for p, g, m, v in zip(layer, grad, ms, vs):
                m += np.float32(0.1) * (g - m)
                v += np.float32(0.001) * (g * g - v)
                if self.decay and p.ndim == 2:
                    p *= np.float32(1 - rate * self.decay)
                p -= rate_t * m / (np.sqrt(v) + tiny)


def train(layers, x, target, gradient, rng, *, epochs, batch, rate, decay=0.0,
          anneal=True, perturb=None, each_epoch=None, hidden="relu"):
    """Minimise a loss by Adam; `anneal`: the step size falls to zero along half a cosine.

    gradient(out, target): d loss / d out. perturb(layers, x, target, epoch): the
    samples trained on instead of x. each_epoch(epoch) is called after each epoch.
    """
    adam = Adam(layers, decay)
    for epoch in range(epochs):
        share = 0.5 * (1 + np.cos(np.pi * epoch / epochs)) if anneal else 1.0
        step_size = rate * share
        order = rng.permutation(len(x))
        for i in range(0, len(x), batch):
            rows = order[i : i + batch]
            xs, ts = x[rows], target[rows]
            if perturb:
                xs = perturb(layers, xs, ts, epoch)
            acts = forward(layers, xs, hidden)
            grads = backward(layers, acts, gradient(acts[-1], ts), hidden)
            adam.step(grads, step_size)
        if each_epoch:
            each_epoch(epoch)
    return layers

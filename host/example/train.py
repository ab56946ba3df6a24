"""Make the example's files: digits, pendulum and plane, each a network and its samples.

    pip install numpy scikit-learn
    python train.py [--out DIR]

needs those two packages and nothing else (scikit-learn brings the digits). Seeds are
fixed and BLAS runs on one thread, so the same packages on the same processor write
the same bytes again.
"""

import argparse
import os
import pathlib

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[name] = "1"  # before numpy is loaded

import numpy as np  # noqa: E402

import mlp  # noqa: E402
import onnx_writer  # noqa: E402

# Digits: 8x8 images, 17 grey levels 0..16, scaled to [0, 1].
DIGITS_SHAPE = "64-64-32-10"
DIGITS_TEST = 300
DIGITS_EPS = 0.1

# Pendulum: a point mass on a light rod, theta = 0 upright, torque at the pivot.
GRAVITY, MASS, LENGTH, FRICTION = 9.81, 0.5, 0.5, 0.02  # m/s^2, kg, m, N m s
TORQUE_LIMIT = 2.0  # N m
TICK = 0.02  # s, torque constant in between
GRID = (0.5, 1.2)  # start states: |theta| <= 0.5 rad, |omega| <= 1.2 rad/s
REACH = (0.9, 4.0)  # training states: a wider box

# Plane: two half moons that reach into each other, blurred by noise.
PLANE_SHAPE = "2-12-12-2"
PLANE_NOISE = 0.12
PLANE_TEST = 100


def digits(out):
    """Train on adversarial samples; hold out a test split and write it."""
    from sklearn.datasets import load_digits

    rng = np.random.default_rng(1)
    images, labels = load_digits(return_X_y=True)
    order = rng.permutation(len(images))
    x = (images[order] / 16).astype(np.float32)
    y = labels[order].astype(np.int64)
    test_x, test_y = x[:DIGITS_TEST], y[:DIGITS_TEST]
    x, y = x[DIGITS_TEST:], y[DIGITS_TEST:]

    def perturb(layers, xs, ys, epoch):
        eps = DIGITS_EPS * min(1.0, (epoch + 1) / 20)
        return mlp.pgd(layers, xs, ys, eps, 7, rng)

    layers = mlp.he_init(mlp.parse_shape(DIGITS_SHAPE), rng)
    mlp.train(layers, x, y, mlp.cross_entropy_gradient, rng, epochs=80, batch=50,
              rate=3e-3, decay=0.1, perturb=perturb)

    print(f"digits: accuracy {mlp.accuracy(layers, x, y):.3f} training, "
          f"{mlp.accuracy(layers, test_x, test_y):.3f} test")
    for eps in (0.05, 0.1, 0.15):
        adv = mlp.pgd(layers, test_x, test_y, eps, 40, rng)
        print(f"digits: test accuracy under PGD, eps {eps}: "
              f"{mlp.accuracy(layers, adv, test_y):.3f}")
    onnx_writer.save(out / "digits.onnx", layers, "logits")
    np.savez(out / "digits.npz", X=test_x, y=test_y)


def derivative(state, torque):
    """d/dt of states [k, 2] = (theta [rad], omega [rad/s]) under torques [k]."""
    theta, omega = state.T
    inertia = MASS * LENGTH**2
    moment = MASS * GRAVITY * LENGTH * np.sin(theta) + torque - FRICTION * omega
    return np.stack([omega, moment / inertia], axis=1)


def tick(state, torque):
    """The state one TICK later, by one step of Runge-Kutta of order four."""
    k1 = derivative(state, torque)
    k2 = derivative(state + TICK / 2 * k1, torque)
    k3 = derivative(state + TICK / 2 * k2, torque)
    k4 = derivative(state + TICK * k3, torque)
    return state + TICK / 6 * (k1 + 2 * k2 + 2 * k3 + k4)


def lqr_gain():
    """K of torque = -K x for the pendulum linearised upright, by Riccati iteration."""
    h = 1e-6
    a = np.stack([(tick(h * e, 0.0) - tick(-h * e, 0.0))[0] / (2 * h)
                  for e in np.eye(2)[:, None]], axis=1)
    b = (tick(np.zeros((1, 2)), h) - tick(np.zeros((1, 2)), -h)).T / (2 * h)
    q, r = np.diag([10.0, 1.0]), np.eye(1)
    p = q
    for _ in range(2000):
        k = np.linalg.solve(r + b.T @ p @ b, b.T @ p @ a)
        p = q + a.T @ p @ (a - b @ k)
    return k[0]


def roll(layers, start, ticks):
    """States [ticks + 1, k, 2] of the pendulum under the network's own torque."""
    states = [start]
    for _ in range(ticks):
        torque = mlp.predict(layers, states[-1].astype(np.float32))[:, 0]
        torque = np.clip(torque, -TORQUE_LIMIT, TORQUE_LIMIT)  # the motor's limit
        states.append(tick(states[-1], torque))
    return np.array(states)


def pendulum(out):
    """Imitate a saturated LQR; check that the network itself stabilises."""
    rng = np.random.default_rng(2)
    gain = lqr_gain()
    x = rng.uniform(-1, 1, (20000, 2)) * REACH
    x[::2] *= rng.uniform(0, 1, (10000, 1))  # half of them nearer the upright
    x = np.concatenate([x, -x])  # the law is odd
    torque = np.clip(-x @ gain, -TORQUE_LIMIT, TORQUE_LIMIT)[:, None]
    x, torque = x.astype(np.float32), torque.astype(np.float32)

    layers = mlp.he_init([2, 16, 16, 1], rng)
    mlp.train(layers, x, torque, mlp.square_gradient, rng, epochs=40, batch=200,
              rate=1e-2)
    error = mlp.predict(layers, x) - torque
    print(f"pendulum: K = [{gain[0]:.3f}, {gain[1]:.3f}], "
          f"rms error {np.sqrt((error**2).mean()):.4f} N m, "
          f"largest {np.abs(error).max():.3f} N m")

    side = np.linspace(-1, 1, 21)
    start = np.stack(np.meshgrid(side, side), axis=2).reshape(-1, 2) * GRID
    states = roll(layers, start, int(6 / TICK))
    held = (np.abs(states[-50:]) < (0.02, 0.05)).all(axis=(0, 2))
    print(f"pendulum: {held.sum()} of {len(start)} start states held upright; "
          f"last |theta| <= {np.abs(states[-1, held, 0]).max():.4f} rad")
    command = mlp.predict(layers, start.astype(np.float32))
    print(f"pendulum: command in [{command.min():.4f}, {command.max():.4f}] N m on "
          f"these start states")
    # Ten trajectories, every second tick of the first 0.4 s: 100 states.
    chosen = rng.choice(np.flatnonzero(held), 10, replace=False)
    sample = states[:20:2, chosen].transpose(1, 0, 2).reshape(-1, 2)
    onnx_writer.save(out / "pendulum.onnx", layers, "command")
    np.save(out / "pendulum.npy", sample.astype(np.float32))


def moons(n, rng):
    """n points a half moon of radius 1, in a random order, and which moon each is of."""
    angle = rng.uniform(0, np.pi, 2 * n)
    y = np.arange(2 * n) % 2
    arc = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    x = np.where(y[:, None] == 0, arc, (1.0, 0.5) - arc)
    x += rng.normal(0, PLANE_NOISE, x.shape)
    order = rng.permutation(2 * n)
    return x[order].astype(np.float32), y[order].astype(np.int64)


def plane(out):
    """Classify points of the plane: a network whose linear regions can be drawn."""
    rng = np.random.default_rng(3)
    x, y = moons(1000, rng)
    test_x, test_y = moons(PLANE_TEST // 2, rng)
    layers = mlp.he_init(mlp.parse_shape(PLANE_SHAPE), rng)
    mlp.train(layers, x, y, mlp.cross_entropy_gradient, rng, epochs=60, batch=50,
              rate=1e-2, decay=0.1)
    print(f"plane: accuracy {mlp.accuracy(layers, x, y):.3f} training, "
          f"{mlp.accuracy(layers, test_x, test_y):.3f} test")
    onnx_writer.save(out / "plane.onnx", layers, "logits")
    np.savez(out / "plane.npz", X=test_x, y=test_y)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    here = pathlib.Path(__file__).parent
    parser.add_argument("--out", type=pathlib.Path, default=here, help="folder")
    folder = parser.parse_args().out
    digits(folder)
    pendulum(folder)
    plane(folder)

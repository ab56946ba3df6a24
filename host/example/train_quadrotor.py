"""Make the quadrotor's files: a policy, and states on trajectories that it steers.

    pip install numpy
    python train_quadrotor.py [--out DIR]

needs numpy alone. The policy imitates a clipped LQR on 12 states: position [m],
velocity [m/s], roll, pitch, yaw [rad], body rates [rad/s]; x forward, y left, z up. It
commands the thrusts [N] of four rotors: front left, front right, rear right, rear left.
Seeds are fixed, as in train.py.
"""

import argparse
import os
import pathlib

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[name] = "1"  # before numpy is loaded

import numpy as np  # noqa: E402

import mlp  # noqa: E402
import onnx_writer  # noqa: E402

# The rigid body, as `firmware-example/src/plant.rs` has it.
GRAVITY, MASS = 9.81, 1.0  # m/s^2, kg
INERTIA = np.array([0.01, 0.01, 0.018])  # kg m^2
ARM, YAW = 0.12, 0.016  # m to a rotor along x and y; N m of yaw torque a newton
STEP, STEPS = 0.005, 2  # s, and steps of a tick: commands are constant for 10 ms
HOVER = MASS * GRAVITY / 4  # N a rotor
LIMIT = 5.0  # N a rotor can give, from 0 on
MARGIN = 0.06  # N that the policy keeps from both ends
# Torques about x, y, z of a newton at each rotor.
TORQUE = np.array([[ARM, -ARM, -ARM, ARM], [-ARM, -ARM, ARM, ARM], [YAW, -YAW, YAW, -YAW]])

# Half the range of each state: what the monitor accepts, and what is trained on.
RANGE = np.repeat([1.0, 1.5, 0.5, 4.0], 3)
# What a sensor may be off by, each way.
ERROR = np.repeat([0.02, 0.03, 0.01, 0.03], 3)
# LQR: what is a deviation that counts as 1.
Q = np.repeat([0.35, 0.8, 0.4, 2.0], 3) ** -2
R = np.full(4, 0.9) ** -2


def step(state, thrust):
    """States [k, 12] one STEP later under thrusts [k, 4]: rates, angles, velocity, position."""
    position, velocity, angles, rates = (part.copy() for part in np.split(state, 4, axis=1))
    p, q, r = rates.T
    gyro = (INERTIA[[2, 0, 1]] - INERTIA[[1, 2, 0]]) * np.stack([q * r, r * p, p * q], axis=1)
    rates += STEP * (thrust @ TORQUE.T - gyro) / INERTIA
    p, q, r = rates.T
    sin, cos = np.sin(angles).T, np.cos(angles).T
    turn = q * sin[0] + r * cos[0]
    angles += STEP * np.stack([p + turn * sin[1] / cos[1], q * cos[0] - r * sin[0],
                               turn / cos[1]], axis=1)
    sin, cos = np.sin(angles).T, np.cos(angles).T
    up = np.stack([cos[0] * sin[1] * cos[2] + sin[0] * sin[2],
                   cos[0] * sin[1] * sin[2] - sin[0] * cos[2], cos[0] * cos[1]], axis=1)
    velocity += STEP * (thrust.sum(1, keepdims=True) / MASS * up - (0, 0, GRAVITY))
    position += STEP * velocity
    return np.concatenate([position, velocity, angles, rates], axis=1)


def tick(state, thrust):
    """The states one tick of the policy later."""
    for _ in range(STEPS):
        state = step(state, thrust)
    return state


def lqr_gain():
    """K of thrust = hover - K x for the quadrotor linearised at hover, by Riccati iteration."""
    h = 1e-6
    rest, hover = np.zeros((1, 12)), np.full((1, 4), HOVER)
    a = np.stack([(tick(h * e, hover) - tick(-h * e, hover))[0] / (2 * h)
                  for e in np.eye(12)[:, None]], axis=1)
    b = np.stack([(tick(rest, hover + h * e) - tick(rest, hover - h * e))[0] / (2 * h)
                  for e in np.eye(4)[:, None]], axis=1)
    q, r = np.diag(Q), np.diag(R)
    p = q
    for _ in range(5000):
        k = np.linalg.solve(r + b.T @ p @ b, b.T @ p @ a)
        p = q + a.T @ p @ (a - b @ k)
    return k


def roll(layers, start, ticks, rng):
    """States [ticks + 1, k, 12] under the network, which measures them with noise."""
    states = [start]
    for _ in range(ticks):
        noise = ERROR * rng.uniform(-1, 1, states[-1].shape)
        thrust = mlp.predict(layers, (states[-1] + noise).astype(np.float32))
        states.append(tick(states[-1], np.clip(thrust, 0, LIMIT)))  # the motors' limits
    return np.array(states)


def main(out):
    """Imitate the clipped LQR; check that the network itself flies."""
    rng = np.random.default_rng(4)
    gain = lqr_gain()
    x = rng.uniform(-1, 1, (60000, 12)) * RANGE * 1.1
    x[::2] *= rng.uniform(0, 1, (30000, 1))  # half of them nearer the hover
    thrust = np.clip(HOVER - x @ gain.T, MARGIN, LIMIT - MARGIN)
    x, thrust = x.astype(np.float32), thrust.astype(np.float32)
    fit, held = x[:54000], x[54000:]
    layers = mlp.he_init([12, 64, 64, 4], rng)
    mlp.train(layers, fit, thrust[:54000], mlp.square_gradient, rng, epochs=60, batch=200,
              rate=4e-3, decay=0.02)
    error = mlp.predict(layers, held) - thrust[54000:]
    print(f"quadrotor: held-out rms error {np.sqrt((error**2).mean()):.3f} N, "
          f"largest {np.abs(error).max():.3f} N")
    near = rng.uniform(-1, 1, (6000, 12)) * RANGE * 0.3
    wanted = np.clip(HOVER - near @ gain.T, MARGIN, LIMIT - MARGIN)
    error = mlp.predict(layers, near.astype(np.float32)) - wanted
    print(f"quadrotor: within 0.3 of the range rms {np.sqrt((error**2).mean()):.3f} N, "
          f"largest {np.abs(error).max():.3f} N")

    start = rng.uniform(-1, 1, (400, 12)) * np.repeat([0.6, 0.4, 0.15, 0.4], 3)
    states = roll(layers, start, 600, rng)
    inside = (np.abs(states) < RANGE).all(axis=(0, 2))
    last = np.abs(states[-100:, :, :3]).max(axis=(0, 2))
    print(f"quadrotor: {inside.sum()} of {len(start)} stay in the range for 6 s; "
          f"last second within {last.max():.3f} m of the hover point")
    flown = states[:200].reshape(-1, 12).astype(np.float32)
    command = mlp.predict(layers, flown)
    print(f"quadrotor: commands on these in [{command.min():.3f}, {command.max():.3f}] N")
    # Ten trajectories, every tenth tick of the first second: 100 states.
    chosen = rng.choice(np.flatnonzero(inside), 10, replace=False)
    sample = states[:100:10, chosen].transpose(1, 0, 2).reshape(-1, 12)
    onnx_writer.save(out / "quadrotor.onnx", layers, "thrust")
    np.save(out / "quadrotor.npy", sample.astype(np.float32))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    here = pathlib.Path(__file__).parent
    parser.add_argument("--out", type=pathlib.Path, default=here, help="folder")
    main(parser.parse_args().out)

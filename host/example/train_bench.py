"""Train the networks of the benches, which are too large to ship.

    pip install numpy
    python train_bench.py --shape 3072-1024x6-10 --data test_batch.bin.gz \\
        --out cifar.onnx --samples cifar.npz
    python train_bench.py --shape 784-1024x3-10 --data images.gz --labels labels.gz \\
        --out mnist.onnx --samples mnist.npz
    python train_bench.py --task robot --out robot.onnx --samples robot.npz
    python train_bench.py --shape 784-1024x2-10 --activation tanh --data images.gz \\
        --labels labels.gz --held 2000 --out tanh.onnx --samples tanh.npz

Images are read from CIFAR-10 binary records, or from IDX files where --labels is
given, and scaled to [0, 1] by 1/255 with no other shift. The samples, 32 inputs X
and labels y, are ones that the network gets right, held-out ones first.

The robot task imitates a quadrotor's hover controller: 12 states (position,
velocity, attitude, body rate) to 4 rotor commands in [0, 1]. Its label y is the
rotor with the largest command, so that the same tools serve.
"""

import argparse
import gzip
import time

import numpy as np

import mlp
import onnx_writer


def read(path):
    """The bytes of a file, unpacked where it is gzip."""
    with open(path, "rb") as file:
        data = file.read()
    return gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data


def read_cifar(path):
    """Records of 3073 bytes, the label first: pixels in [0, 1], labels."""
    data = np.frombuffer(read(path), np.uint8)
    if len(data) % 3073:
        raise SystemExit(f"{path}: {len(data)} bytes, expected a multiple of 3073")
    records = data.reshape(-1, 3073)
    return records[:, 1:].astype(np.float32) / 255, records[:, 0].astype(np.int64)


def read_idx(path):
    """One IDX file of unsigned bytes, as an array of its own shape."""
    data = read(path)
    if data[:3] != b"\x00\x00\x08":
        raise SystemExit(f"{path}: starts {data[:3].hex()}, expected 000008 (IDX bytes)")
    dims = np.frombuffer(data, ">u4", count=data[3], offset=4)
    return np.frombuffer(data, np.uint8, offset=4 + 4 * data[3]).reshape(dims)


def read_images(path, labels):
    """Images [k, n] in [0, 1] and labels [k]."""
    if labels is None:
        return read_cifar(path)
    x = read_idx(path)
    x = x.reshape(len(x), -1).astype(np.float32) / 255
    return x, read_idx(labels).astype(np.int64)


def robot(rng, count=20000):
    """States of a quadrotor near hover, and what a saturated controller commands."""
    scale = np.repeat([1.0, 1.5, 0.4, 2.0], 3)  # m, m/s, rad, rad/s
    x = rng.uniform(-1, 1, (count, 12)) * scale * rng.uniform(0, 1, (count, 1)) ** 0.5
    position, velocity, attitude, rate = np.split(x, 4, axis=1)
    lean = np.clip(0.25 * position + 0.2 * velocity, -0.35, 0.35)
    lift = 0.5 - 0.25 * position[:, 2] - 0.2 * velocity[:, 2]
    roll = 0.5 * (lean[:, 1] - attitude[:, 0]) - 0.12 * rate[:, 0]
    pitch = -0.5 * (lean[:, 0] + attitude[:, 1]) - 0.12 * rate[:, 1]
    yaw = -0.15 * attitude[:, 2] - 0.08 * rate[:, 2]
    mixer = [[1, 1, 1, 1], [1, -1, -1, 1], [1, 1, -1, -1], [1, -1, 1, -1]]
    command = np.stack([lift, roll, pitch, yaw], axis=1) @ mixer
    return x.astype(np.float32), np.clip(command, 0, 1).astype(np.float32)


def main():
    """Read the arguments, train, write the network and its samples."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--task", choices=["images", "robot"], default="images")
    add("--activation", choices=list(mlp.HIDDEN), default="relu")
    add("--shape", help="widths, as 3072-1024x6-10 (robot: 12-64-64-4)")
    add("--data", help="CIFAR-10 binary records or IDX images, gzip or plain")
    add("--labels", help="IDX labels")
    add("--out", required=True, help="the network, .onnx")
    add("--samples", required=True, help="32 inputs and labels, .npz")
    add("--held", type=int, help="hold out the last HELD inputs, not a random tenth")
    add("--seed", type=int, default=1)
    add("--epochs", type=int, default=40)
    add("--batch", type=int, default=50)
    add("--rate", type=float, help="Adam's first step size (5e-4, robot: 3e-3)")
    add("--decay", type=float, default=0.1, help="weight decay")
    args = parser.parse_args()
    rng = np.random.default_rng(args.seed)

    images, hidden = args.task == "images", args.activation
    if images:
        if not (args.data and args.shape):
            parser.error("--task images needs --data and --shape")
        x, y = read_images(args.data, args.labels)
        target, gradient, rate = y, mlp.cross_entropy_gradient, 5e-4
    else:
        x, target = robot(rng)
        y = target.argmax(1)
        gradient, rate = mlp.square_gradient, 3e-3
    widths = mlp.parse_shape(args.shape or "12-64-64-4")
    outputs = y.max() + 1 if images else 4
    if widths[0] != x.shape[1] or widths[-1] < outputs:
        parser.error(f"--shape {args.shape}: data has {x.shape[1]} inputs and "
                     f"{outputs} outputs")

    if args.held is None:
        fit, held = np.split(rng.permutation(len(x)), [len(x) - len(x) // 10])
    else:
        fit, held = np.split(np.arange(len(x)), [len(x) - args.held])
    start = time.perf_counter()

    def show(epoch):
        if (epoch + 1) % 5 == 0 or epoch + 1 == args.epochs:
            seconds = time.perf_counter() - start
            print(f"epoch {epoch + 1}: accuracy "
                  f"{mlp.accuracy(layers, x[fit], y[fit], hidden):.3f} of {len(fit)} training, "
                  f"{mlp.accuracy(layers, x[held], y[held], hidden):.3f} of {len(held)} "
                  f"held out, {seconds:.0f} s", flush=True)

    layers = mlp.init(widths, rng, hidden)
    mlp.train(layers, x[fit], target[fit], gradient, rng, epochs=args.epochs,
              batch=args.batch, rate=args.rate or rate, decay=args.decay,
              each_epoch=show, hidden=hidden)
    if not images:
        error = mlp.predict(layers, x[held], hidden) - target[held]
        print(f"held-out rms error {np.sqrt((error**2).mean()):.4f}")

    rows = np.concatenate([held, fit[:1000]])
    rows = rows[mlp.predict(layers, x[rows], hidden).argmax(1) == y[rows]][:32]
    print(f"samples: {np.isin(rows, held).sum()} of {len(rows)} held out")
    size = onnx_writer.save(args.out, layers, "logits" if images else "command",
                           hidden)
    np.savez(args.samples, X=x[rows], y=y[rows])
    print(f"{args.out}: {size} bytes")


if __name__ == "__main__":
    main()

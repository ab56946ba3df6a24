"""Train the networks of figure 2 of paper 000 by its settings (appendix B).

    pip install numpy
    python train_figure_2.py --shape 784-1024-2 --data images.gz --labels labels.gz \\
        --out two.onnx --samples two.npz
    python train_figure_2.py --shape 784-1024-512-10 --data images.gz --labels labels.gz \\
        --out three.onnx --samples three.npz

Adam with step size 1e-3, batches of 64, 20 epochs, Glorot's initialisation. With two
outputs the classes are the digits below 5 and the others. Data are IDX files of MNIST,
scaled to [0, 1] by 1/255. The last 2000 images are held out; the samples are the
first of these, whether the network gets them right or not.
"""

import argparse

import numpy as np

import mlp
import onnx_writer
from train_bench import read_images

HELD = 2000


def main():
    """Read the arguments, train, write the network and its samples."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--shape", required=True, help="784-1024-2 or 784-1024-512-10")
    add("--data", required=True, help="IDX images, gzip or plain")
    add("--labels", required=True, help="IDX labels")
    add("--out", required=True, help="the network, .onnx")
    add("--samples", required=True, help="held-out inputs and labels, .npz")
    add("--count", type=int, default=20, help="how many samples")
    add("--seed", type=int, default=1)
    args = parser.parse_args()
    rng = np.random.default_rng(args.seed)

    x, y = read_images(args.data, args.labels)
    widths = mlp.parse_shape(args.shape)
    if widths[-1] == 2:
        y = (y >= 5).astype(np.int64)
    if widths[0] != x.shape[1] or widths[-1] <= y.max() or len(x) <= HELD:
        parser.error(f"--shape {args.shape}: data has {len(x)} rows of {x.shape[1]} "
                     f"inputs, labels up to {y.max()}")
    fit, held = slice(0, len(x) - HELD), slice(len(x) - HELD, len(x))

    layers = mlp.glorot_init(widths, rng)
    mlp.train(layers, x[fit], y[fit], mlp.cross_entropy_gradient, rng, epochs=20,
              batch=64, rate=1e-3, anneal=False)
    print(f"accuracy {mlp.accuracy(layers, x[fit], y[fit]):.3f} of {len(x) - HELD} "
          f"training, {mlp.accuracy(layers, x[held], y[held]):.3f} of {HELD} held out")

    size = onnx_writer.save(args.out, layers, "logits")
    np.savez(args.samples, X=x[held][: args.count], y=y[held][: args.count])
    print(f"{args.out}: {size} bytes")


if __name__ == "__main__":
    main()

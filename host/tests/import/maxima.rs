//! Max pooling against the largest of each window.

use certus::network::Network;
use certus_engine::model::Activation;

use crate::writer::{Message, Model, floats, int, list, text};
use crate::{forward, is_exact, load};

/// Numbers from -9 to 9 in no order.
fn image(count: usize, seed: usize) -> Vec<f64> {
    (0..count).map(|i| ((i * 7 + seed * 11 + i * i * 3) % 19) as f64 - 9.0).collect()
}

fn pool(dims: &[i64], attributes: &[Message]) -> Network {
    let network = load(&Model::new(dims).node("MaxPool", &["x"], "y", attributes)).unwrap();
    assert!(is_exact(&network));
    for layer in &network.layers {
        assert!(layer.weights.iter().all(|w| [-1.0, 0.0, 1.0].contains(w)), "{layer:?}");
    }
    network
}

/// Windows along one axis: where each begins, in the padded input.
struct Axis {
    size: usize,
    kernel: usize,
    stride: usize,
    dilation: usize,
    before: usize,
    windows: usize,
}

impl Axis {
    fn taps(&self, o: usize) -> impl Iterator<Item = usize> + '_ {
        (0..self.kernel)
            .filter_map(move |k| (o * self.stride + k * self.dilation).checked_sub(self.before))
            .filter(|&i| i < self.size)
    }
}

/// The maxima over the planes of `image`.
fn maxima(image: &[f64], rows: &Axis, cols: &Axis) -> Vec<f64> {
    let mut out = Vec::new();
    for plane in image.chunks(rows.size * cols.size) {
        for y in 0..rows.windows {
            for x in 0..cols.windows {
                let taps = rows.taps(y).flat_map(|i| cols.taps(x).map(move |j| (i, j)));
                let values = taps.map(|(i, j)| plane[i * cols.size + j]);
                out.push(values.fold(f64::NEG_INFINITY, f64::max));
            }
        }
    }
    out
}

#[track_caller]
fn check(dims: [usize; 4], attributes: &[Message], rows: &Axis, cols: &Axis) -> Network {
    let network = pool(&dims.map(|d| d as i64), attributes);
    for seed in 0..6 {
        let image = image(dims.iter().product(), seed);
        assert_eq!(forward(&network, &image), maxima(&image, rows, cols), "{seed}");
    }
    network
}

fn axis(size: usize, kernel: usize, stride: usize, windows: usize) -> Axis {
    Axis { size, kernel, stride, dilation: 1, before: 0, windows }
}

#[test]
fn windows_side_by_side() {
    let attributes = [list("kernel_shape", &[2, 2]), list("strides", &[2, 2])];
    let network = check([2, 3, 4, 6], &attributes, &axis(4, 2, 2, 2), &axis(6, 2, 2, 3));
    // Two rounds of a layer, and the sum of the last one.
    let shapes: Vec<_> = network.layers.iter().map(|l| (l.rows, l.cols, l.through)).collect();
    assert_eq!(shapes, [(144, 144, 72), (72, 144, 36), (36, 72, 0)]);
    assert_eq!(network.layers[0].activation, Activation::Relu);
    assert_eq!(network.layers[2].activation, Activation::Identity);
}

#[test]
fn windows_that_overlap_share_their_pairs() {
    let network =
        check([1, 1, 5, 4], &[list("kernel_shape", &[3, 2])], &axis(5, 3, 1, 3), &axis(4, 2, 1, 3));
    // Along the columns 3 maxima in each of 5 rows, not one for each of 9 windows and 3 rows.
    assert_eq!(network.layers[0].rows - network.layers[0].through, 15);
}

#[test]
fn strides_dilations_and_pads() {
    check(
        [1, 2, 7, 5],
        &[list("kernel_shape", &[3, 2]), list("strides", &[3, 1]), list("dilations", &[2, 3])],
        &Axis { dilation: 2, ..axis(7, 3, 3, 1) },
        &Axis { dilation: 3, ..axis(5, 2, 1, 2) },
    );
    check(
        [1, 1, 4, 3],
        &[list("kernel_shape", &[3, 3]), list("pads", &[1, 2, 0, 1]), list("strides", &[2, 2])],
        &Axis { before: 1, ..axis(4, 3, 2, 2) },
        &Axis { before: 2, ..axis(3, 3, 2, 2) },
    );
    for (mode, before) in [("SAME_UPPER", 0), ("SAME_LOWER", 1)] {
        check(
            [1, 1, 4, 4],
            &[list("kernel_shape", &[2, 2]), text("auto_pad", mode)],
            &Axis { before, ..axis(4, 2, 1, 4) },
            &Axis { before, ..axis(4, 2, 1, 4) },
        );
    }
    check(
        [1, 1, 4, 4],
        &[list("kernel_shape", &[3, 2]), text("auto_pad", "VALID"), int("storage_order", 0)],
        &axis(4, 3, 1, 2),
        &axis(4, 2, 1, 3),
    );
}

#[test]
fn ceil_mode_lets_windows_hang_over() {
    let ceil = || [list("kernel_shape", &[2, 3]), list("strides", &[2, 2]), int("ceil_mode", 1)];
    check([1, 1, 5, 6], &ceil(), &axis(5, 2, 2, 3), &axis(6, 3, 2, 3));
    // But not begin in the padding at the end.
    let attributes = [
        list("kernel_shape", &[1, 1]),
        list("strides", &[3, 3]),
        list("pads", &[0, 0, 1, 2]),
        int("ceil_mode", 1),
    ];
    check([1, 1, 3, 4], &attributes, &axis(3, 1, 3, 1), &axis(4, 1, 3, 2));
}

#[test]
fn one_axis_three_axes_and_all_of_it() {
    let line = pool(&[1, 2, 5], &[list("kernel_shape", &[4])]);
    let found = forward(&line, &[1.0, 2.0, 3.0, 2.0, 9.0, -5.0, -4.0, -6.0, -7.0, -8.0]);
    assert_eq!(found, [3.0, 9.0, -4.0, -4.0]);
    let block = pool(&[1, 1, 2, 2, 2], &[list("kernel_shape", &[2, 2, 2])]);
    assert_eq!(forward(&block, &[-1.0, -2.0, -3.0, -0.5, -8.0, -0.75, -6.0, -7.0]), [-0.5]);
    let global = Model::new(&[1, 2, 1, 3]).node("GlobalMaxPool", &["x"], "y", &[]);
    let global = load(&global).unwrap();
    assert_eq!(forward(&global, &[1.0, 7.0, 3.0, -4.0, -6.0, -5.0]), [7.0, -4.0]);
    // A window of one tap moves elements and computes nothing.
    let one = pool(&[1, 1, 3], &[list("kernel_shape", &[1]), list("strides", &[2])]);
    assert_eq!(one.layers.len(), 1);
    assert_eq!(forward(&one, &[4.0, 5.0, 6.0]), [4.0, 6.0]);
}

/// A convolution's rows are not subtracted from each other: that would round.
#[test]
fn after_and_before_a_convolution() {
    let model = Model::new(&[1, 1, 4])
        .constant(floats("k", &[1, 1, 2], &[0.1, 0.7]))
        .constant(floats("s", &[1], &[2.0]))
        .node("Conv", &["x", "k"], "c", &[])
        .node("MaxPool", &["c"], "p", &[list("kernel_shape", &[2])])
        .node("Mul", &["p", "s"], "m", &[])
        .node("Conv", &["m", "k"], "y", &[]);
    let network = load(&model).unwrap();
    assert!(is_exact(&network));
    let shapes: Vec<_> = network.layers.iter().map(|l| (l.rows, l.cols, l.through)).collect();
    // The sum of what passed by and the ReLU is in the columns of the last convolution.
    assert_eq!(shapes, [(3, 4, 0), (4, 3, 2), (1, 4, 0)]);
    let k = [f64::from(0.1_f32), f64::from(0.7_f32)];
    let x = [1.0, -2.0, 3.0, 0.5];
    let c: Vec<f64> = x.windows(2).map(|w| k[0] * w[0] + k[1] * w[1]).collect();
    let p: Vec<f64> = c.windows(2).map(|w| 2.0 * w[0].max(w[1])).collect();
    let y = k[0] * p[0] + k[1] * p[1];
    assert!((forward(&network, &x)[0] - y).abs() < 1e-14);
}

//! Graphs with branches: skip connections by hand, and random ones against their own evaluation.

use certus_engine::model::Activation;

use crate::writer::{Message, Model, float, floats, int, ints, list};
use crate::{forward, is_exact, load};

#[test]
fn a_residual_block_is_two_layers() {
    let model = Model::new(&[1, 2])
        .constant(floats("w", &[2, 3], &[1.0, -2.0, 0.5, 0.25, 1.0, -1.0]))
        .constant(floats("v", &[3, 2], &[0.1, 0.2, 0.3, 0.4, 0.5, 0.6]))
        .constant(floats("b", &[2], &[0.7, -0.7]))
        .node("MatMul", &["x", "w"], "m", &[])
        .node("Relu", &["m"], "r", &[])
        .node("Gemm", &["r", "v", "b"], "f", &[])
        .node("Add", &["x", "f"], "y", &[]);
    let network = load(&model).unwrap();
    assert!(is_exact(&network));
    // x passes by the ReLU and meets f in the rows of its own layer.
    let shapes: Vec<_> = network.layers.iter().map(|l| (l.rows, l.cols, l.through)).collect();
    assert_eq!(shapes, [(5, 2, 2), (2, 5, 0)]);
    assert_eq!(network.layers[0].weights[..4], [1.0, 0.0, 0.0, 1.0]);
    assert_eq!(network.layers[1].weights, [1.0, 0.0, 0.1, 0.3, 0.5, 0.0, 1.0, 0.2, 0.4, 0.6]);
    assert_eq!(network.layers[1].bias, [0.7, -0.7]);
}

#[test]
fn a_value_is_carried_over_several_layers() {
    let model = Model::new(&[1, 2])
        .constant(floats("w", &[2, 2], &[1.0, 2.0, -3.0, 4.0]))
        .constant(floats("three", &[1], &[3.0]))
        .node("MatMul", &["x", "w"], "a", &[])
        .node("Relu", &["a"], "b", &[])
        .node("MatMul", &["b", "w"], "c", &[])
        .node("Tanh", &["c"], "d", &[])
        .node("Div", &["x", "three"], "s", &[])
        .node("MatMul", &["d", "w"], "e", &[])
        .node("Abs", &["e"], "f", &[])
        .node("Sub", &["f", "s"], "g", &[])
        .node("Add", &["g", "b"], "y", &[]);
    let network = load(&model).unwrap();
    let through: Vec<_> = network.layers.iter().map(|l| (l.activation, l.through)).collect();
    assert_eq!(
        through,
        [
            (Activation::Relu, 2),
            (Activation::Tanh, 4),
            (Activation::Abs, 4),
            (Activation::Identity, 0)
        ]
    );
    // The third waits as an f64 until the sum, which alone rounds.
    let errors: Vec<_> = network.layers.iter().map(|l| l.weight_error).collect();
    assert_eq!(errors[..3], [0.0; 3]);
    assert!(errors[3] > 0.0 && errors[3] < 6e-8);
    let times = |x: [f64; 2]| [x[0] - 3.0 * x[1], 2.0 * x[0] + 4.0 * x[1]];
    for x in [[0.0, 0.0], [1.0, -1.0], [0.25, 0.125], [-2.0, 3.0]] {
        let b = times(x).map(|z| z.max(0.0));
        let f = times(times(b).map(f64::tanh)).map(f64::abs);
        for (i, found) in forward(&network, &x).into_iter().enumerate() {
            let right = f[i] - x[i] / 3.0 + b[i];
            assert!((found - right).abs() <= f64::from(errors[3]) * x[i].abs() + 1e-14);
        }
    }
}

#[test]
fn sums_that_stretch_and_constants_beside_values() {
    let model = Model::new(&[1, 2, 1])
        .constant(ints("shape", &[3], &[1, 1, 2]))
        .constant(floats("c", &[1, 2, 1], &[7.0, 8.0]))
        .node("Reshape", &["x", "shape"], "r", &[])
        // [[x0 + x0, x0 + x1], [x1 + x0, x1 + x1]]
        .node("Add", &["x", "r"], "a", &[])
        .node("Concat", &["c", "a", "x"], "y", &[int("axis", 2)]);
    let network = load(&model).unwrap();
    assert!(is_exact(&network));
    assert_eq!(forward(&network, &[1.0, 10.0]), [7.0, 2.0, 11.0, 1.0, 8.0, 11.0, 20.0, 10.0]);
}

#[test]
fn what_overlaps_is_not_added_where_it_would_round() {
    // 0.1 + 0.7 is no f32: both layers stay, and a third adds their outputs.
    let sum = |v: f32| {
        let model = Model::new(&[1, 1])
            .constant(floats("w", &[1, 1], &[0.1]))
            .constant(floats("v", &[1, 1], &[v]))
            .node("MatMul", &["x", "w"], "a", &[])
            .node("MatMul", &["x", "v"], "b", &[])
            .node("Add", &["a", "b"], "c", &[])
            .node("Relu", &["c"], "y", &[]);
        load(&model).unwrap()
    };
    let network = sum(0.7);
    assert!(is_exact(&network));
    let x = 3.0;
    let right = f64::from(0.1_f32) * x + f64::from(0.7_f32) * x;
    assert!((forward(&network, &[x])[0] - right).abs() <= 1e-15);
    assert!(is_exact(&sum(0.1)));
}

/// A value of a random graph, `[1, width]`, and its numbers for each of the inputs tried.
struct Known {
    name: String,
    numbers: Vec<Vec<f64>>,
}

/// A random graph of piecewise linear operators with small integers: all arithmetic is exact.
struct Growing {
    model: Model,
    values: Vec<Known>,
    random: fastrand::Rng,
    made: usize,
}

const TRIED: usize = 5;
/// The largest magnitude that goes on: products with weights up to 3 stay far below 2^53.
const LARGEST: f64 = 4096.0;

impl Growing {
    fn new(seed: u64) -> Self {
        let mut random = fastrand::Rng::with_seed(seed);
        let width = random.usize(1..5);
        let numbers = (0..TRIED)
            .map(|_| (0..width).map(|_| f64::from(random.i32(-16..17)) / 4.0).collect())
            .collect();
        let model = Model::new(&[1, width as i64]).opset(10);
        let values = vec![Known { name: "x".into(), numbers }];
        Growing { model, values, random, made: 0 }
    }

    fn any(&mut self) -> usize {
        // Recent ones mostly, so that the graph is deep.
        let recent = self.values.len().saturating_sub(4);
        let from = if self.random.bool() { recent } else { 0 };
        self.random.usize(from..self.values.len())
    }

    fn name(&mut self) -> String {
        self.made += 1;
        format!("v{}", self.made)
    }

    /// A constant of small integers.
    fn constant(&mut self, dims: &[i64]) -> (String, Vec<f64>) {
        let name = self.name();
        let count = dims.iter().product::<i64>() as usize;
        let numbers: Vec<f32> = (0..count).map(|_| self.random.i32(-3..4) as f32).collect();
        self.model = self.model.clone().constant(floats(&name, dims, &numbers));
        (name, numbers.into_iter().map(f64::from).collect())
    }

    fn node(&mut self, op: &str, inputs: &[&str], attributes: &[Message], numbers: Vec<Vec<f64>>) {
        if numbers.iter().flatten().any(|x| x.abs() > LARGEST) {
            return;
        }
        let name = self.name();
        self.model = self.model.clone().node(op, inputs, &name, attributes);
        self.values.push(Known { name, numbers });
    }

    /// Applies `f` to each number.
    fn each(&mut self, op: &str, attributes: &[Message], f: impl Fn(f64) -> f64) {
        let a = self.any();
        let name = self.values[a].name.clone();
        let numbers =
            self.values[a].numbers.iter().map(|x| x.iter().map(|&x| f(x)).collect()).collect();
        self.node(op, &[&name], attributes, numbers);
    }

    fn grow(&mut self) {
        let a = self.any();
        let name = self.values[a].name.clone();
        let of = self.values[a].numbers.clone();
        let width = of[0].len();
        match self.random.u8(0..12) {
            0 | 1 => {
                let rows = self.random.usize(1..5);
                let (w, weights) = self.constant(&[width as i64, rows as i64]);
                let product = |x: &Vec<f64>| {
                    let row = |r| (0..width).map(|i| x[i] * weights[i * rows + r]).sum();
                    (0..rows).map(row).collect()
                };
                self.node("MatMul", &[&name, &w], &[], of.iter().map(product).collect());
            }
            2 => self.each("Relu", &[], |x| x.max(0.0)),
            3 => self.each("Abs", &[], f64::abs),
            4 => self.each("Neg", &[], |x| -x),
            5 => {
                let (lo, hi) = (-1.5, 2.0);
                self.each("Clip", &[float("min", lo), float("max", hi)], |x| {
                    x.clamp(f64::from(lo), f64::from(hi))
                });
            }
            6 => self.each(
                "LeakyRelu",
                &[float("alpha", 0.5)],
                |x| if x < 0.0 { x / 2.0 } else { x },
            ),
            7 => {
                let op = ["Add", "Sub", "Mul"][self.random.usize(0..3)];
                let (c, constant) = self.constant(&[width as i64]);
                let apply = |x: &Vec<f64>| {
                    x.iter()
                        .zip(&constant)
                        .map(|(x, c)| match op {
                            "Add" => x + c,
                            "Sub" => x - c,
                            _ => x * c,
                        })
                        .collect()
                };
                self.node(op, &[&name, &c], &[], of.iter().map(apply).collect());
            }
            8 | 9 => {
                let fits: Vec<usize> = (0..self.values.len())
                    .filter(|&b| self.values[b].numbers[0].len() == width)
                    .collect();
                let b = fits[self.random.usize(0..fits.len())];
                let sign = if self.random.bool() { 1.0 } else { -1.0 };
                let other = self.values[b].name.clone();
                let sums = of
                    .iter()
                    .zip(&self.values[b].numbers)
                    .map(|(x, y)| x.iter().zip(y).map(|(x, y)| x + sign * y).collect())
                    .collect();
                let op = if sign > 0.0 { "Add" } else { "Sub" };
                self.node(op, &[&name, &other], &[], sums);
            }
            10 => {
                let b = self.any();
                if width + self.values[b].numbers[0].len() > 8 {
                    return;
                }
                let other = self.values[b].name.clone();
                let joined = of.iter().zip(&self.values[b].numbers);
                let joined = joined.map(|(x, y)| [x.as_slice(), y].concat()).collect();
                self.node("Concat", &[&name, &other], &[int("axis", 1)], joined);
            }
            _ => {
                let kernel = self.random.usize(1..=width);
                let (up, down) = (self.name(), self.name());
                let maxima: Vec<Vec<f64>> = of
                    .iter()
                    .map(|x| {
                        let largest =
                            |w: &[f64]| w.iter().fold(f64::NEG_INFINITY, |m, &x| m.max(x));
                        x.windows(kernel).map(largest).collect()
                    })
                    .collect();
                self.model = self
                    .model
                    .clone()
                    .node("Unsqueeze", &[&name], &up, &[list("axes", &[1])])
                    .node("MaxPool", &[&up], &down, &[list("kernel_shape", &[kernel as i64])]);
                self.node("Squeeze", &[&down], &[list("axes", &[1])], maxima);
            }
        }
    }
}

#[test]
fn random_graphs_are_exact() {
    let (mut joined, mut passing) = (0, 0);
    for seed in 0..400 {
        let mut graph = Growing::new(seed);
        for _ in 0..graph.random.usize(3..20) {
            graph.grow();
        }
        let last = graph.values.pop().unwrap();
        if last.name == "x" {
            continue;
        }
        let model = graph.model.clone().node("Identity", &[&last.name], "y", &[]);
        let network = load(&model).unwrap_or_else(|error| panic!("seed {seed}: {error}"));
        assert!(is_exact(&network), "seed {seed}");
        joined += usize::from(network.layers.len() > 1);
        passing += usize::from(network.layers.iter().any(|layer| layer.through > 0));
        let inputs = if graph.values.is_empty() { continue } else { &graph.values[0].numbers };
        for (x, right) in inputs.iter().zip(&last.numbers) {
            assert_eq!(&forward(&network, x), right, "seed {seed}");
        }
    }
    assert!(joined > 200 && passing > 100, "{joined} {passing}");
}

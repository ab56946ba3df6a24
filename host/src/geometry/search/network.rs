//! The network in f64, with which of its neurons bend together.

use std::collections::HashMap;

use certus_engine::model::{self, Model};
use ndarray::Array2;

use super::round::{TINY, U, inflate};

/// The rounding error of a product above this is a float, `2^-960`.
const NO_UNDERFLOW: f64 = f64::from_bits(63 << 52);

/// A layer `z = W x + b`, and what follows.
pub(super) struct Layer {
    /// `[rows][cols]`.
    pub weights: Array2<f64>,
    pub bias: Vec<f64>,
    /// The original weights lie within this share of the stored ones.
    pub weight_error: f64,
    /// The original biases lie within this of the stored ones.
    pub bias_error: f64,
    /// Slope below zero, if it differs from the slope above, which is 1.
    pub below: Option<f64>,
    /// For a layer that bends, the flip of each neuron, and whether its sign is the opposite one.
    pub units: Vec<(usize, bool)>,
}

/// Neurons of one layer that are copies of each other, or opposites: all change their sides on one
/// hyperplane, that of `unit`.
pub(super) struct Flip {
    pub layer: usize,
    pub unit: usize,
}

/// A network up to the margins of one class. Where its weights are exact, the last layer is part of
/// them.
pub(super) struct Network {
    pub layers: Vec<Layer>,
    pub flips: Vec<Flip>,
    /// The rows that must stay positive, over the activations of the last layer that is left.
    pub margins: Layer,
}

/// Values in real arithmetic lie within `error` of these; what overflows has an infinite error, or NaN.
pub(super) struct Enclosed {
    pub value: Vec<f64>,
    pub error: Vec<f64>,
}

/// Which flips are on their positive side.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Pattern(Box<[u64]>);

impl Pattern {
    pub(super) fn new(flips: usize) -> Self {
        Self(vec![0; flips.div_ceil(64)].into())
    }

    pub(super) fn get(&self, flip: usize) -> bool {
        self.0[flip / 64] >> (flip % 64) & 1 == 1
    }

    /// The pattern with one flip on its other side.
    pub(super) fn flipped(&self, flip: usize) -> Self {
        let mut other = self.clone();
        other.0[flip / 64] ^= 1 << (flip % 64);
        other
    }
}

impl Network {
    /// Takes the weights out of a model. The activation of the last layer keeps the order of the
    /// outputs, and is left out; where it cuts them off at 0, `f_c > f_j` asks for `z_c > 0` too.
    pub(super) fn new(model: &Model<'_>, class: usize) -> Self {
        let mut flips = Vec::new();
        let mut layers = Vec::new();
        let mut cut = false;
        for (k, layer) in model.layers().enumerate() {
            let below = layer.leak().filter(|leak| *leak != 1.0).map(f64::from);
            let last = k + 1 == model.depth();
            cut = below == Some(0.0);
            let mut layer = convert(&layer, below.filter(|_| !last));
            layer.group(k, &mut flips);
            layers.push(layer);
        }
        let rows = margins(model.outputs(), class, cut);
        let margins = match layers.pop_if(|last| last.weight_error == 0.0) {
            Some(last) => last.combined(&rows),
            None => rows,
        };
        Self { layers, flips, margins }
    }

    /// The slopes of layer `k`'s activations in the region of `pattern`.
    pub(super) fn slopes(&self, k: usize, pattern: &Pattern) -> Vec<f64> {
        let layer = &self.layers[k];
        let Some(below) = layer.below else { return vec![1.0; layer.bias.len()] };
        let slope = |&(flip, opposed): &(usize, bool)| {
            if pattern.get(flip) != opposed { 1.0 } else { below }
        };
        layer.units.iter().map(slope).collect()
    }

    /// Pre-activations of all layers at a point, then the margins, each with its error; for the
    /// stored network and every one within its error fields.
    pub(super) fn enclose(&self, x: &[f64]) -> Vec<Enclosed> {
        let mut fed = Enclosed { value: x.to_vec(), error: vec![0.0; x.len()] };
        let mut all = Vec::new();
        for layer in &self.layers {
            let z = layer.enclose(&fed);
            fed = layer.activate(&z);
            all.push(z);
        }
        all.push(self.margins.enclose(&fed));
        all
    }
}

impl Layer {
    /// What each operation loses is computed with it, and is exactly 0 for small integers, so that
    /// ties are told: `|W* x* - W x| <= |W| e + rate |W| (|x| + e)`, rate being the original weights'.
    fn enclose(&self, fed: &Enclosed) -> Enclosed {
        let terms = 4 * fed.value.len() + 4;
        let (mut value, mut error) = (Vec::new(), Vec::new());
        for (row, bias) in self.weights.rows().into_iter().zip(&self.bias) {
            let (mut sum, mut off) = (*bias, self.bias_error);
            for (w, (x, e)) in row.iter().zip(fed.value.iter().zip(&fed.error)) {
                let (product, lost) = times(*w, *x);
                let (next, dropped) = plus(sum, product);
                sum = next;
                off += lost + dropped + w.abs() * (e + self.weight_error * (x.abs() + e));
            }
            value.push(sum);
            error.push(if off == 0.0 { 0.0 } else { inflate(off, terms) });
        }
        Enclosed { value, error }
    }

    /// Slopes do not exceed 1, so errors do not grow but by what a product loses.
    fn activate(&self, z: &Enclosed) -> Enclosed {
        let below = self.below.unwrap_or(1.0);
        let one = |(z, e): (&f64, &f64)| {
            if below == 0.0 && e.is_finite() && *z <= -e {
                return (0.0, 0.0);
            }
            let (x, lost) = if *z < 0.0 { times(below, *z) } else { (*z, 0.0) };
            (x, if lost == 0.0 { *e } else { inflate(e + lost, 2) })
        };
        let (value, error) = z.value.iter().zip(&z.error).map(one).unzip();
        Enclosed { value, error }
    }

    /// Differences of this layer's rows, as of `rows`: of equal weights nothing is left. They round
    /// once.
    fn combined(&self, rows: &Layer) -> Self {
        let (mut weight_error, mut bias_error) = (0.0f64, 0.0f64);
        let mut weights = Array2::zeros((rows.bias.len(), self.weights.ncols()));
        let mut bias = Vec::new();
        for (mut to, row) in weights.rows_mut().into_iter().zip(rows.weights.rows()) {
            let mut sum = 0.0;
            for (i, sign) in row.iter().enumerate().filter(|(_, sign)| **sign != 0.0) {
                for (to, w) in to.iter_mut().zip(self.weights.row(i)) {
                    let (next, lost) = plus(*to, sign * w);
                    *to = next;
                    if lost > 0.0 {
                        weight_error = U;
                    }
                }
                let (next, lost) = plus(sum, sign * self.bias[i]);
                sum = next;
                bias_error = bias_error.max(lost);
            }
            bias.push(sum);
        }
        if self.bias_error > 0.0 || bias_error > 0.0 {
            bias_error = inflate(2.0 * self.bias_error + bias_error, 2);
        }
        Self { weights, bias, weight_error, bias_error, below: None, units: Vec::new() }
    }

    /// Gathers the neurons with equal or opposite rows and biases. Where the original weights are
    /// only known to lie near, copies need not bend together.
    fn group(&mut self, k: usize, flips: &mut Vec<Flip>) {
        if self.below.is_none() {
            return;
        }
        let exact = self.weight_error == 0.0 && self.bias_error == 0.0;
        let mut known: HashMap<Vec<u64>, usize> = HashMap::new();
        for (unit, row) in self.weights.rows().into_iter().enumerate() {
            let numbers = || row.iter().chain(std::iter::once(&self.bias[unit]));
            // The first number that is not zero is made positive.
            let opposed = numbers().find(|x| **x != 0.0).is_some_and(|x| *x < 0.0);
            let sign = if opposed { -1.0 } else { 1.0 };
            // Adding 0 turns -0 into 0.
            let key = numbers().map(|x| (sign * x + 0.0).to_bits()).collect();
            let flip = *known.entry(key).or_insert(flips.len());
            if flip == flips.len() || !exact {
                self.units.push((flips.len(), false));
                flips.push(Flip { layer: k, unit });
            } else {
                let leader = flips[flip].unit;
                let first = self.weights.row(leader);
                let mut first = first.iter().chain(std::iter::once(&self.bias[leader]));
                let leads = first.find(|x| **x != 0.0).is_some_and(|x| *x < 0.0);
                self.units.push((flip, opposed != leads));
            }
        }
    }
}

/// A product and an upper bound of what it lost: the fused operation gives that exactly, unless it
/// underflows.
fn times(a: f64, b: f64) -> (f64, f64) {
    let product = a * b;
    let under = a != 0.0 && b != 0.0 && !(product.abs() > NO_UNDERFLOW);
    (product, a.mul_add(b, -product).abs() + if under { TINY } else { 0.0 })
}

/// A sum and what it lost, exactly (Knuth's TwoSum).
fn plus(a: f64, b: f64) -> (f64, f64) {
    let sum = a + b;
    let of_b = sum - a;
    let lost = (a - (sum - of_b)) + (b - of_b);
    (sum, lost.abs())
}

fn convert(layer: &model::Layer<'_>, below: Option<f64>) -> Layer {
    Layer {
        weights: Array2::from_shape_fn((layer.rows, layer.cols), |(i, j)| {
            f64::from(layer.row(i).get(j))
        }),
        bias: layer.bias.iter().map(|b| f64::from(*b)).collect(),
        weight_error: f64::from(layer.weight_error),
        bias_error: f64::from(layer.bias_error),
        below,
        units: Vec::new(),
    }
}

/// `z_c - z_j` for all other classes j; where outputs are cut off at 0, also `z_c`.
fn margins(outputs: usize, class: usize, cut: bool) -> Layer {
    let others: Vec<usize> = (0..outputs).filter(|j| *j != class).collect();
    let own = usize::from(cut && !others.is_empty());
    let mut weights = Array2::zeros((others.len() + own, outputs));
    for (mut row, j) in weights.rows_mut().into_iter().zip(&others) {
        row[*j] = -1.0;
    }
    weights.column_mut(class).fill(1.0);
    let bias = vec![0.0; weights.nrows()];
    Layer { weights, bias, weight_error: 0.0, bias_error: 0.0, below: None, units: Vec::new() }
}

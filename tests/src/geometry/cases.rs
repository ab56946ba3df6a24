//! Seeded networks with a point and its class, special ones among them.

use certus::network::{Affine, Network};
use certus_engine::model::Activation::{Identity, LeakyRelu, Relu};
use fastrand::Rng;

use super::Corners;
use crate::generate::network;
use crate::oracle::{forward, pre_activations};
use crate::rational::{Rational, compare, exact, floor_f32, from_slice};

/// A network, a point and a class, perhaps in a box.
#[derive(Clone, Debug, PartialEq)]
pub struct Case {
    /// Kind, seed and index.
    pub name: String,
    /// 2 to 4 inputs, 2 to 4 classes, 1 to 3 hidden layers of 12 units at most together.
    pub net: Network,
    /// The point.
    pub u: Vec<f32>,
    /// The class asked for: the largest output at `u` (the first of several), unless the kind says
    /// otherwise.
    pub class: usize,
    /// The box `lo`, `hi`; it has `u`.
    pub corners: Option<(Vec<f32>, Vec<f32>)>,
}

/// What a case is like. All but `Border` have a box half of the time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// ReLU units, gaussian weights.
    Gaussian,
    /// Leaky units: slopes tiny, ordinary, nearly 1, 1 and 0; identity layers.
    Leaky,
    /// Small integers: hyperplanes that meet in one point, ties, zeros.
    Integer,
    /// Units that are copies of others, or their opposites.
    Duplicated,
    /// Units of zero weights; also with a bias of zero.
    ZeroRows,
    /// A layer of which no unit is active at the point, perhaps nowhere in the box.
    Dead,
    /// The point lies exactly on the hyperplane of one unit at least.
    OnFacet,
    /// The class and another have equal outputs at the point, or everywhere.
    Tie,
    /// A class whose output is not the largest.
    Misclassified,
    /// The point lies on the border of its box, whose sides may be of width zero.
    Border,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Kind; 10] = [
        Kind::Gaussian,
        Kind::Leaky,
        Kind::Integer,
        Kind::Duplicated,
        Kind::ZeroRows,
        Kind::Dead,
        Kind::OnFacet,
        Kind::Tie,
        Kind::Misclassified,
        Kind::Border,
    ];

    fn is_integer(self) -> bool {
        matches!(self, Kind::Integer | Kind::OnFacet)
    }
}

impl Case {
    /// The box as slices.
    pub fn within(&self) -> Option<Corners<'_>> {
        self.corners.as_ref().map(|(lo, hi)| (&lo[..], &hi[..]))
    }
}

/// Case `index` of the sequence [`cases`].
pub fn case(seed: u64, kind: Kind, index: u64) -> Case {
    let mixed =
        seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ index.wrapping_mul(0xd1b5_4a32_d192_ed03);
    let mut rng = Rng::with_seed(mixed ^ ((kind as u64 + 16) << 56));
    let mut net = draw_network(&mut rng, kind);
    let u: Vec<f32> = (0..net.inputs).map(|_| number(&mut rng, kind)).collect();
    match kind {
        Kind::Duplicated => duplicate(&mut rng, &mut net),
        Kind::ZeroRows => zero_rows(&mut rng, &mut net),
        Kind::Dead => kill(&mut rng, &mut net, &u),
        Kind::OnFacet => put_on_facet(&mut rng, &mut net, &u),
        Kind::Tie => tie(&mut rng, &mut net, &u),
        _ => {}
    }
    let outputs = forward(&net, &from_slice(&u));
    let largest = first_largest(&outputs);
    let class = match kind {
        Kind::Misclassified => (largest + rng.usize(1..outputs.len())) % outputs.len(),
        _ => largest,
    };
    let corners = (kind == Kind::Border || rng.bool()).then(|| draw_box(&mut rng, kind, &u));
    Case { name: format!("{kind:?} seed {seed} index {index}"), net, u, class, corners }
}

/// An endless sequence of cases.
pub fn cases(seed: u64, kind: Kind) -> impl Iterator<Item = Case> {
    (0..).map(move |index| case(seed, kind, index))
}

fn first_largest(outputs: &[Rational]) -> usize {
    let most = outputs.iter().max();
    outputs.iter().position(|y| Some(y) == most).expect("a class")
}

/// Nearly normal, or a small integer.
fn number(rng: &mut Rng, kind: Kind) -> f32 {
    if kind.is_integer() {
        return rng.i32(-3..=3) as f32;
    }
    ((0..12).map(|_| rng.f64()).sum::<f64>() - 6.0) as f32
}

fn draw_network(rng: &mut Rng, kind: Kind) -> Network {
    let inputs = rng.usize(2..=4);
    let hidden = match rng.u8(0..5) {
        0 => vec![rng.usize(1..=12)],
        1 => vec![rng.usize(8..=12)],
        2 => vec![rng.usize(2..=6), rng.usize(2..=6)],
        3 => vec![rng.usize(5..=6), rng.usize(5..=6)],
        _ => vec![rng.usize(2..=5), rng.usize(2..=4), rng.usize(2..=3)],
    };
    let outputs = rng.usize(2..=4);
    let mut cols = inputs;
    let mut layers = Vec::new();
    for rows in hidden.into_iter().chain([outputs]) {
        layers.push(Affine {
            rows,
            cols,
            weights: (0..rows * cols).map(|_| number(rng, kind)).collect(),
            bias: (0..rows).map(|_| number(rng, kind)).collect(),
            activation: activation(rng, kind),
            through: 0,
            weight_error: 0.0,
            bias_error: 0.0,
        });
        cols = rows;
    }
    layers.last_mut().expect("an output layer").activation = Identity;
    network(layers)
}

const SLOPES: [f32; 8] = [0.0, 1e-30, 0.01, 0.1, 0.5, 0.7, 1.0 - f32::EPSILON / 2.0, 1.0];

fn activation(rng: &mut Rng, kind: Kind) -> certus_engine::model::Activation {
    match (kind, rng.u8(0..8)) {
        (Kind::Leaky, 0) => Identity,
        (Kind::Leaky, _) => LeakyRelu(SLOPES[rng.usize(0..SLOPES.len())]),
        (Kind::Integer | Kind::OnFacet, 0..=3) => LeakyRelu(0.25),
        (Kind::Duplicated | Kind::ZeroRows | Kind::Tie | Kind::Border, 0) => LeakyRelu(0.1),
        _ => Relu,
    }
}

fn hidden(rng: &mut Rng, net: &Network) -> usize {
    rng.usize(0..net.layers.len() - 1)
}

fn row(layer: &mut Affine, unit: usize) -> &mut [f32] {
    &mut layer.weights[unit * layer.cols..(unit + 1) * layer.cols]
}

fn duplicate(rng: &mut Rng, net: &mut Network) {
    for _ in 0..3 {
        let k = hidden(rng, net);
        let layer = &mut net.layers[k];
        let (from, to) = (rng.usize(0..layer.rows), rng.usize(0..layer.rows));
        let sign = if from != to && rng.u8(0..3) == 0 { -1.0 } else { 1.0 };
        let copy: Vec<f32> = row(layer, from).iter().map(|w| sign * w).collect();
        row(layer, to).copy_from_slice(&copy);
        layer.bias[to] = sign * layer.bias[from];
    }
}

fn zero_rows(rng: &mut Rng, net: &mut Network) {
    for _ in 0..2 {
        let k = hidden(rng, net);
        let layer = &mut net.layers[k];
        let unit = rng.usize(0..layer.rows);
        row(layer, unit).fill(0.0);
        if rng.bool() {
            layer.bias[unit] = 0.0;
        }
    }
}

/// Lowers biases until every unit of a layer is negative at `u`.
fn kill(rng: &mut Rng, net: &mut Network, u: &[f32]) {
    let k = hidden(rng, net);
    let far = rng.u8(0..4) == 0;
    let z = pre_activations(net, &from_slice(u)).swap_remove(k);
    for (bias, z) in net.layers[k].bias.iter_mut().zip(&z) {
        let excess = floor_f32(z).max(0.0);
        *bias -= 1.01 * excess + if far { 1000.0 } else { 0.1 + rng.f32() };
    }
}

/// Moves the bias of one unit or more so that it is exactly zero at `u`. The numbers are small
/// multiples of a power of two, which f32 holds.
fn put_on_facet(rng: &mut Rng, net: &mut Network, u: &[f32]) {
    for _ in 0..rng.usize(1..=2) {
        let k = hidden(rng, net);
        let unit = rng.usize(0..net.layers[k].rows);
        let z = &pre_activations(net, &from_slice(u))[k][unit];
        let moved = exact(net.layers[k].bias[unit]) - z;
        let bias = floor_f32(&moved);
        assert!(compare(bias, &moved).is_eq(), "{moved} is no f32");
        net.layers[k].bias[unit] = bias;
    }
}

/// Two equal outputs, lifted above the others. If some unit of the last hidden layer is zero at
/// `u`, they are, half of the time, equal only where it is.
fn tie(rng: &mut Rng, net: &mut Network, u: &[f32]) {
    let behind = zero_unit(net, u).filter(|_| rng.bool());
    let last = net.layers.last_mut().expect("an output layer");
    let (a, b) = (rng.usize(0..last.rows), rng.usize(0..last.rows - 1));
    let b = if b < a { b } else { b + 1 };
    let copy = row(last, a).to_vec();
    row(last, b).copy_from_slice(&copy);
    if let Some(unit) = behind {
        row(last, b)[unit] += 1.0;
    }
    let high = last.bias[a] + 100.0;
    (last.bias[a], last.bias[b]) = (high, high);
}

/// A unit of the last hidden layer, a ReLU, that is not active at `u`.
fn zero_unit(net: &Network, u: &[f32]) -> Option<usize> {
    let k = net.layers.len() - 2;
    let z = pre_activations(net, &from_slice(u)).swap_remove(k);
    let relu = net.layers[k].activation == Relu;
    z.iter().position(|z| relu && *z <= Rational::ZERO)
}

fn draw_box(rng: &mut Rng, kind: Kind, u: &[f32]) -> (Vec<f32>, Vec<f32>) {
    let size = [0.3, 1.0, 3.0][rng.usize(0..3)];
    let mut side = |u: f32, sign: f32| {
        if kind == Kind::Border && rng.u8(0..3) == 0 {
            return u;
        }
        match kind.is_integer() {
            true => u + sign * rng.u8(1..=4) as f32 / 2.0,
            false => u + sign * (size * rng.f32()),
        }
    };
    let (mut lo, mut hi): (Vec<f32>, Vec<f32>) =
        u.iter().map(|&u| (side(u, -1.0), side(u, 1.0))).unzip();
    if kind == Kind::Border {
        let i = rng.usize(0..u.len());
        if rng.bool() { lo[i] = u[i] } else { hi[i] = u[i] }
    }
    (lo, hi)
}

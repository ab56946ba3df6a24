//! The program: a network's ReLUs over a region as quadratic inequalities, for a solver.
//!
//! Everything is a function of `v = (1, t)`, where t are the free quantities, each between -1 and 1:
//! the inputs and the activations of unstable neurons. A neuron that is stable is a linear function of
//! those before it and adds none. The squares and products of a ReLU (paper 002, section 3.1),
//! `z (z - w) = 0`, `z >= 0`, `z >= w`, and the ends of all quantities are then [`Form`]s
//! `(p v) (q v)`, whose matrices are all that a solver sees.

use certus_engine::bounds::Semantics;
use certus_engine::model::{Activation, Layer, Model};
use certus_engine::num;
use certus_engine::region::Norm;
use certus_engine::relax;
use ndarray::linalg::general_mat_mul;
use ndarray::{Array1, Array2, Axis};

use super::dense;
use crate::slopes::Around;
use crate::slopes::live::{Live, gather};

/// A function of v: a row of coefficients and a constant.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Factor {
    /// The row: unit rows first, then [`Program::rows`].
    pub row: usize,
    /// What is added to its first coefficient.
    pub shift: f64,
}

/// `sign (p v) (q v)`, at most `right` or equal to it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Form {
    /// The first factor.
    pub p: Factor,
    /// The second.
    pub q: Factor,
    /// 1 or -1.
    pub sign: f64,
    /// What it is at most, or equal to.
    pub right: f64,
    /// Whether it is equal to that, so that its multiplier may have either sign.
    pub equal: bool,
    /// By how much roundings that the network itself is allowed may break it.
    pub loose: f64,
}

/// The sum of squares of the first quantities.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sphere {
    /// How many.
    pub inputs: usize,
    /// What the sum is at most.
    pub right: f64,
}

/// What may be asked of a network over a region.
#[derive(Clone, Debug)]
pub struct Program {
    /// Entries of `v`.
    pub order: usize,
    /// Rows of coefficients over `v`, beside the unit rows.
    pub rows: Array2<f64>,
    /// Upper bounds of the sums of their terms' magnitudes, for the unit rows too.
    pub sizes: Vec<f64>,
    /// The inequalities and equations; the first is `1 1 = 1`.
    pub forms: Vec<Form>,
    /// The ball, where it is not a box.
    pub sphere: Option<Sphere>,
    /// The last layer's pre-activations: rows over `v`, sums of magnitudes, and what they may be off by.
    last: Linear,
    /// Roundings that an entry has gone through at most.
    pub depth: usize,
}

/// What a program is asked for: the least value of `v' matrix v`.
#[derive(Clone, Debug)]
pub struct Objective {
    /// Symmetric.
    pub matrix: Array2<f64>,
    /// The sum of the magnitudes of the terms that make its entries up.
    pub size: f64,
    /// What is to be taken off the value.
    pub loose: f64,
}

/// Quantities as functions of `v`.
#[derive(Clone, Debug)]
struct Linear {
    rows: Array2<f64>,
    /// Upper bounds of the sums of terms' magnitudes.
    sizes: Vec<f64>,
    /// By how much the true quantities may differ from the functions.
    off: Vec<f64>,
    /// The most that their magnitudes can be.
    most: Vec<f64>,
}

/// Ends that are nearer to each other than this share of their size are left out.
const NARROW: f64 = 1e-4;

/// Covers what underflow takes from a sum of magnitudes, many times over.
const TINY: f64 = 1e-290;

/// A little more than any f64 sum of non-negative numbers that is less than 1e9 terms long.
fn up(x: f64) -> f64 {
    x * (1.0 + 1e-6) + TINY
}

/// As [`up`], of a deviation: where there is none, there is none after it. A NaN stays one.
fn still(x: f64) -> f64 {
    if x == 0.0 { 0.0 } else { up(x) }
}

/// The relative error of `depth` roundings in f64.
pub(super) fn gamma(depth: usize) -> f64 {
    let units = depth as f64 * f64::EPSILON;
    1.01 * units / (1.0 - units)
}

/// A quantity between ends: middle and half of the way, rounded so that they reach both.
fn between(lo: f64, hi: f64) -> (f64, f64) {
    let middle = 0.5 * (lo + hi);
    let reach = (hi - middle).next_up().max((middle - lo).next_up());
    // So that a constant has a scale too.
    (middle, reach.max(1e-9 * (1.0 + middle.abs())))
}

/// What the stored network's own errors, and its f32 sums under deployed semantics, add to a
/// pre-activation whose terms' magnitudes sum to `mass`.
fn disturbance(semantics: Semantics, layer: &Layer<'_>, mass: f64) -> f64 {
    let mut off = f64::from(layer.weight_error) * mass + f64::from(layer.bias_error);
    if semantics == Semantics::Deployed {
        let depth = layer.cols as u32 + 2;
        off += f64::from(num::gamma(depth)) * mass + f64::from(num::underflow(layer.cols));
    }
    still(off)
}

impl Program {
    /// Of a network up to its last layer's pre-activations; `ends` of all neurons.
    ///
    /// None where an activation is not one that [`knows`] has, where the region does not fit, and where ends
    /// are missing, not finite or the wrong way round.
    /// Memory: a row of 8 bytes times the order for each neuron, and three for each unstable one.
    pub fn new(
        model: &Model<'_>,
        around: &Around<'_>,
        semantics: Semantics,
        ends: (&[f32], &[f32]),
    ) -> Option<Self> {
        if !model.layers().take(model.depth() - 1).all(|layer| knows(layer.activation, semantics)) {
            return None;
        }
        let neurons = model.neurons();
        let (lo, hi) = (ends.0.get(..neurons)?, ends.1.get(..neurons)?);
        let finite = |(lo, hi): (&f32, &f32)| lo <= hi && lo.is_finite() && hi.is_finite();
        if !lo.iter().zip(hi).all(finite) || around.region().check(model.inputs()).is_err() {
            return None;
        }
        let layers = gather(model, (lo, hi));
        let inner = &layers[..layers.len() - 1];
        let unstable = |layer: &Live| (0..layer.index.len()).filter(|i| bends(layer, *i)).count();
        let inputs = around.center.len();
        let order = 1 + inputs + inner.iter().map(unstable).sum::<usize>();
        let mut build = Builder {
            order,
            rows: Vec::new(),
            sizes: vec![1.0; order],
            forms: vec![equation(ONE, ONE, 1.0)],
            next: 1,
        };
        let (mut quantities, sphere) = build.inputs(around);
        for (k, (layer, stored)) in inner.iter().zip(model.layers()).enumerate() {
            let sums = quantities.through(layer, &stored, semantics);
            quantities = build.activations(layer, sums, k == 0);
        }
        let stored = model.layer(model.depth() - 1)?;
        let last = quantities.through(&layers[layers.len() - 1], &stored, semantics);
        let widths: usize = model.layers().map(|layer| layer.cols + 8).sum();
        let depth = 2 * (widths + order + build.forms.len() + 64);
        let Builder { rows, sizes, forms, .. } = build;
        let count = sizes.len() - order;
        let rows = Array2::from_shape_vec((count, order), rows).ok()?;
        Some(Self { order, rows, sizes, forms, sphere, last, depth })
    }

    /// Of `inputs` and some more quantities between -1 and 1 alone; `ball`: the inputs' squares sum to 1
    /// at most. It has no outputs.
    pub(super) fn cube(inputs: usize, more: usize, ball: bool) -> Self {
        let order = 1 + inputs + more;
        let free = if ball { inputs } else { 0 };
        let mut forms = vec![equation(ONE, ONE, 1.0)];
        forms.extend((1 + free..order).map(square));
        let none = Array2::zeros((0, order));
        let last = Linear { rows: none.clone(), sizes: vec![], off: vec![], most: vec![] };
        let sphere = ball.then_some(Sphere { inputs, right: 1.0 });
        let (sizes, depth) = (vec![1.0; order], 2 * (2 * order + 64));
        Self { order, rows: none, sizes, forms, sphere, last, depth }
    }

    /// The quantity whose square a form is, if it is one: 0 for the constant.
    pub fn square(&self, k: usize) -> Option<usize> {
        let Form { p, q, .. } = self.forms.get(k)?;
        (p == q && p.shift == 0.0 && p.row < self.order).then_some(p.row)
    }

    /// The sum of the magnitudes of a factor's terms.
    pub fn size(&self, factor: Factor) -> f64 {
        self.sizes[factor.row] + factor.shift.abs()
    }

    /// How many multipliers there are: one for each form, and the sphere's.
    pub fn multipliers(&self) -> usize {
        self.forms.len() + usize::from(self.sphere.is_some())
    }

    /// What each form is at most, or equal to; and the sphere.
    pub fn rights(&self) -> Array1<f64> {
        let sphere = self.sphere.map(|sphere| sphere.right);
        self.forms.iter().map(|form| form.right).chain(sphere).collect()
    }

    /// The symmetric matrix of the forms, each as often as its multiplier says.
    ///
    /// Work: the square of the order for each product of two rows.
    pub fn sum(&self, multipliers: &Array1<f64>) -> Array2<f64> {
        let n = self.order;
        let mut sum = Array2::<f64>::zeros((n, n));
        let mut products: Vec<(usize, usize, f64)> = Vec::new();
        for (form, multiplier) in self.forms.iter().zip(multipliers) {
            let weight = form.sign * multiplier;
            let (p, q) = (form.p, form.q);
            sum[[0, 0]] += weight * p.shift * q.shift;
            match (p.row.checked_sub(n), q.row.checked_sub(n)) {
                (None, None) => {
                    sum[[p.row, q.row]] += weight;
                    sum[[0, q.row]] += weight * p.shift;
                    sum[[p.row, 0]] += weight * q.shift;
                }
                (None, Some(row)) | (Some(row), None) => {
                    let (unit, other) = if p.row < n { (p, q) } else { (q, p) };
                    sum.row_mut(unit.row).scaled_add(weight, &self.rows.row(row));
                    sum[[unit.row, 0]] += weight * other.shift;
                    if unit.shift != 0.0 {
                        sum.row_mut(0).scaled_add(weight * unit.shift, &self.rows.row(row));
                    }
                }
                (Some(first), Some(second)) => {
                    sum.row_mut(0).scaled_add(weight * p.shift, &self.rows.row(second));
                    sum.row_mut(0).scaled_add(weight * q.shift, &self.rows.row(first));
                    products.push((first, second, weight));
                }
            }
        }
        let p: Vec<usize> = products.iter().map(|(p, ..)| *p).collect();
        let q: Vec<usize> = products.iter().map(|(_, q, _)| *q).collect();
        let (p, mut q) = (self.rows.select(Axis(0), &p), self.rows.select(Axis(0), &q));
        q.rows_mut().into_iter().zip(&products).for_each(|(mut row, (.., weight))| row *= *weight);
        general_mat_mul(1.0, &p.t(), &q, 1.0, &mut sum);
        if let Some(sphere) = self.sphere {
            let weight = multipliers[self.forms.len()];
            (1..=sphere.inputs).for_each(|j| sum[[j, j]] += weight);
        }
        dense::symmetric(sum)
    }

    /// What a row over the last layer's pre-activations is.
    ///
    /// # Panics
    /// If the row is longer than the layer.
    pub fn objective(&self, row: &[f32]) -> Objective {
        let (mut sum, mut size, mut loose) = (Array1::zeros(self.order), 0.0, 0.0);
        for (i, c) in row.iter().enumerate().filter(|(_, c)| **c != 0.0) {
            let c = f64::from(*c);
            sum.scaled_add(c, &self.last.rows.row(i));
            size += c.abs() * self.last.sizes[i];
            loose += c.abs() * self.last.off[i];
        }
        let mut matrix = Array2::zeros((self.order, self.order));
        let half = sum * 0.5;
        matrix.row_mut(0).assign(&half);
        let mut first = matrix.column_mut(0);
        first += &half;
        Objective { matrix, size: up(size), loose: up(loose) }
    }
}

/// Whether activations are of two lines, of which the one below 0 is not steeper, and as exact in f32 as
/// in real arithmetic where that counts.
pub fn knows(activation: Activation, semantics: Semantics) -> bool {
    let exact = |leak: f32| leak == 0.0 || leak == 1.0;
    activation
        .leak()
        .is_some_and(|leak| leak.abs() <= 1.0 && (semantics == Semantics::Real || exact(leak)))
}

fn bends(layer: &Live, i: usize) -> bool {
    relax::is_unstable(layer.activation[i], layer.lo[i], layer.hi[i])
}

const ONE: Factor = Factor { row: 0, shift: 0.0 };

fn plain(row: usize) -> Factor {
    Factor { row, shift: 0.0 }
}

fn equation(p: Factor, q: Factor, right: f64) -> Form {
    Form { p, q, sign: 1.0, right, equal: true, loose: 0.0 }
}

fn at_most(p: Factor, q: Factor, right: f64) -> Form {
    Form { equal: false, ..equation(p, q, right) }
}

/// Of a quantity of v.
fn square(quantity: usize) -> Form {
    at_most(plain(quantity), plain(quantity), 1.0)
}

impl Linear {
    /// A layer's pre-activations.
    fn through(&self, layer: &Live, stored: &Layer<'_>, semantics: Semantics) -> Self {
        let weights = layer.weights.mapv(f64::from);
        let mut rows = weights.dot(&self.rows);
        let (mut sizes, mut off, mut most) = (Vec::new(), Vec::new(), Vec::new());
        for ((weights, bias), mut row) in
            weights.rows().into_iter().zip(&layer.bias).zip(rows.rows_mut())
        {
            row[0] += f64::from(*bias);
            let sum =
                |of: &[f64]| -> f64 { weights.iter().zip(of).map(|(w, x)| w.abs() * x).sum() };
            let bias = f64::from(bias.abs());
            sizes.push(up(sum(&self.sizes) + bias));
            let mass = up(sum(&self.most) + bias);
            off.push(still(sum(&self.off)) + disturbance(semantics, stored, mass));
            most.push(mass);
        }
        Self { rows, sizes, off, most }
    }
}

/// A program on the way.
struct Builder {
    order: usize,
    rows: Vec<f64>,
    sizes: Vec<f64>,
    forms: Vec<Form>,
    /// The next quantity of `v`.
    next: usize,
}

impl Builder {
    /// Adds a row of coefficients; `scale` > 0 makes it one of usual size.
    fn row(&mut self, row: &Array1<f64>, size: f64, scale: f64) -> usize {
        self.rows.extend(row.iter().map(|a| a / scale));
        self.sizes.push(up(size / scale));
        self.sizes.len() - 1
    }

    /// The inputs, and the ball where it is no box.
    fn inputs(&mut self, around: &Around<'_>) -> (Linear, Option<Sphere>) {
        let (count, epsilon) = (around.center.len(), around.epsilon);
        let mut rows = Array2::zeros((count, self.order));
        let (mut sizes, mut most) = (Vec::new(), Vec::new());
        for (j, x) in around.center.iter().enumerate() {
            let x = f64::from(*x);
            let ball = ((x - epsilon).next_down(), (x + epsilon).next_up());
            let cut = around.clip.map_or(ball, |(lo, hi)| {
                (f64::from(lo[j]).max(ball.0), f64::from(hi[j]).min(ball.1))
            });
            // An empty region has no points that could break anything.
            let cut = (cut.0, cut.1.max(cut.0));
            let (middle, reach) = if around.norm == Norm::Linf {
                between(cut.0, cut.1)
            } else {
                // The ball is round about its centre alone.
                (x, epsilon.max(1e-9 * (1.0 + x.abs())))
            };
            (rows[[j, 0]], rows[[j, self.next]]) = (middle, reach);
            sizes.push(up(middle.abs() + reach));
            most.push(up(cut.0.abs().max(cut.1.abs())));
            if around.norm == Norm::Linf {
                self.forms.push(square(self.next));
            } else if cut != ball {
                self.within(&rows.row(j).to_owned(), sizes[j], cut, 0.0);
            } else if !below_two(around.norm) {
                self.forms.push(square(self.next));
            }
            self.next += 1;
        }
        let sphere = match around.norm {
            Norm::Linf => None,
            // ||t||_2 <= ||t||_p.
            norm if below_two(norm) => Some(1.0),
            // By Hoelder's inequality ||t||_2 <= n^(1/2 - 1/p) ||t||_p.
            Norm::Lp(p) => Some(up((count as f64).powf(1.0 - 2.0 / f64::from(p.get())))),
            _ => None,
        };
        // What is smaller than the least scale lies deeper in the ball still.
        let sphere = sphere.map(|right| Sphere { inputs: count, right });
        (Linear { rows, sizes, off: vec![0.0; count], most }, sphere)
    }

    /// A layer's activations from its pre-activations.
    fn activations(&mut self, layer: &Live, sums: Linear, first: bool) -> Linear {
        let Linear { mut rows, mut sizes, mut off, mut most } = sums;
        for i in 0..layer.index.len() {
            let (activation, lo, hi) = (layer.activation[i], layer.lo[i], layer.hi[i]);
            let leak = activation.leak().map_or(1.0, f64::from);
            let (low, high) = relax::range(activation, lo, hi);
            let ends = (f64::from(low), f64::from(high));
            let w = rows.row(i).to_owned();
            let (size, slack) = (sizes[i], off[i]);
            let reaches = up(ends.0.abs().max(ends.1.abs()));
            if bends(layer, i) {
                let (middle, reach) = between(ends.0, ends.1);
                self.forms.push(square(self.next));
                let width = f64::from(hi) - f64::from(lo);
                self.bend(&w, size, (middle, reach, width), leak, slack);
                let mut row = rows.row_mut(i);
                row.fill(0.0);
                (row[0], row[self.next]) = (middle, reach);
                self.next += 1;
                (sizes[i], off[i]) = (up(middle.abs() + reach), 0.0);
            } else {
                // On one of its two lines.
                let slope = if lo >= 0.0 { 1.0 } else { leak };
                let mut row = rows.row_mut(i);
                row *= slope;
                let z = row.to_owned();
                (sizes[i], off[i]) = (up(slope.abs() * size), still(slope.abs() * slack));
                // That of the first layer follows from the inputs' squares.
                if !first {
                    self.within(&z, sizes[i], ends, off[i]);
                }
            }
            most[i] = reaches;
        }
        Linear { rows, sizes, off, most }
    }

    /// `(z - lo) (z - hi) <= 0`; not where that would be a difference of nearly equal numbers.
    fn within(&mut self, z: &Array1<f64>, size: f64, (lo, hi): (f64, f64), off: f64) {
        let scale = 0.5 * (hi - lo);
        if !(scale > NARROW * lo.abs().max(hi.abs())) {
            return;
        }
        let row = self.row(z, size, scale);
        let [p, q] = [lo, hi].map(|end| Factor { row, shift: -end / scale });
        let loose = still(off * (hi - lo + off) / scale / scale);
        self.forms.push(Form { loose, ..at_most(p, q, 0.0) });
    }

    /// An unstable neuron's activation `z = middle + reach t`, t the next quantity of v, over w, which
    /// goes from one side of 0 to the other over `width`: above both of its lines and on one of them.
    fn bend(
        &mut self,
        w: &Array1<f64>,
        size: f64,
        (middle, reach, width): (f64, f64, f64),
        leak: f64,
        off: f64,
    ) {
        let z = Factor { row: self.next, shift: middle / reach };
        let size = size + middle.abs() + reach;
        let scale = reach.max(0.5 * width);
        let above = |builder: &mut Self, slope: f64| {
            let mut row = w * -slope;
            row[0] += middle;
            row[builder.next] += reach;
            plain(builder.row(&row, size, scale))
        };
        let q = above(self, 1.0);
        let p = if leak == 0.0 { z } else { above(self, leak) };
        // The true pre-activation is w + e; where the ReLU is on w, e moves both factors.
        let [moved_p, moved_q] = [off * leak.abs() / scale, off / scale];
        let [size_p, size_q] = [p, q].map(|f| self.sizes[f.row] + f.shift.abs());
        let mut push = |form: Form, loose: f64| self.forms.push(Form { loose: up(loose), ..form });
        for (factor, moved) in [(p, moved_p), (q, moved_q)] {
            push(Form { sign: -1.0, ..at_most(ONE, factor, 0.0) }, moved);
        }
        let moved = moved_p * (size_q + 2.0 * moved_q) + moved_q * (size_p + 2.0 * moved_p);
        push(equation(p, q, 0.0), moved);
    }
}

/// Whether a p-norm's ball lies in the Euclidean one.
fn below_two(norm: Norm) -> bool {
    match norm {
        Norm::L1 | Norm::L2 => true,
        Norm::Lp(p) => p.get() <= 2.0,
        Norm::Linf => false,
    }
}

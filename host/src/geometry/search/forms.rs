//! The affine functions of a linear region, with what their computation lost.

use std::rc::Rc;

use certus_engine::region::Norm;
use ndarray::{Array2, Axis};

use super::network::{Layer, Network, Pattern};
use super::round::{TINY, gamma, inflate, norm_up};

/// A layer's functions `G d + h` of the step `d = x - u` from the point u.
pub(super) struct Form {
    /// G as computed, `[rows][inputs]`.
    rows: Array2<f64>,
    /// h as computed.
    value: Vec<f64>,
    /// Upper bounds of `||G_i||_q` as computed.
    norm: Vec<f64>,
    /// Upper bounds of the distance to the true `G_i` in the norm q.
    slope: Vec<f64>,
    /// Upper bounds of the distance to the true `h_i`.
    off: Vec<f64>,
    /// Functions that are 0 everywhere, exactly.
    zero: Vec<bool>,
}

/// One function `sign * (g.d + h)`.
#[derive(Clone, Copy)]
pub(super) struct Face<'a> {
    row: ndarray::ArrayView1<'a, f64>,
    sign: f64,
    value: f64,
    /// Upper bound of `||g||_q`.
    pub norm: f64,
    pub slope: f64,
    pub off: f64,
}

impl Face<'_> {
    /// h with its sign.
    pub(super) fn value(&self) -> f64 {
        self.sign * self.value
    }

    /// g with its sign.
    pub(super) fn row(&self) -> impl ExactSizeIterator<Item = f64> + '_ {
        self.row.iter().map(|g| self.sign * g)
    }

    /// `g.d + h` in floats.
    pub(super) fn at(&self, d: &[f64]) -> f64 {
        self.value() + self.row().zip(d).map(|(g, d)| g * d).sum::<f64>()
    }

    /// The function, higher by `shift` times its norm.
    pub(super) fn raised(mut self, shift: f64) -> Self {
        self.value += self.sign * shift * self.norm;
        self
    }

    /// Lower bound of the distance from u to where the function is `amount` lower or higher, and
    /// more: `|h| - off <= (norm + slope)*distance`.
    pub(super) fn distance(&self) -> f64 {
        quotient(self.value.abs() - self.off, self.norm + self.slope)
    }
}

/// Lower bound of a quotient whose operands have passed through one rounding each.
fn quotient(a: f64, b: f64) -> f64 {
    let ratio = a.next_down() / b.next_up();
    if ratio > 0.0 { ratio.next_down().min(f64::MAX) } else { 0.0 }
}

/// All functions of one region: the pre-activations of each layer, then the margins.
#[derive(Clone)]
pub(super) struct Forms(Vec<Rc<Form>>);

impl Forms {
    /// For the region of `pattern` around `u`, norms being measured by `dual`. The layers up to
    /// `shared.1` are taken from `shared.0`, a region whose pattern differs only from there on.
    ///
    /// Work: one product `[rows][live] * [live][inputs]` for each layer that is not shared.
    pub(super) fn new(
        net: &Network,
        pattern: &Pattern,
        u: &[f64],
        dual: Norm,
        shared: Option<(&Forms, usize)>,
    ) -> Self {
        let mut forms: Vec<Rc<Form>> =
            shared.map_or_else(Vec::new, |(from, layer)| from.0[..=layer].to_vec());
        for k in forms.len()..=net.layers.len() {
            let layer = net.layers.get(k).unwrap_or(&net.margins);
            let form = match forms.last() {
                None => Form::first(layer, u, dual),
                Some(below) => Form::next(layer, below, &net.slopes(k - 1, pattern), dual),
            };
            forms.push(Rc::new(form));
        }
        Self(forms)
    }

    /// The function of a flip, positive within its region.
    pub(super) fn flip(&self, net: &Network, pattern: &Pattern, flip: usize) -> Face<'_> {
        let at = &net.flips[flip];
        self.0[at.layer].face(at.unit, if pattern.get(flip) { 1.0 } else { -1.0 })
    }

    /// Whether a flip's function is 0 everywhere, exactly.
    pub(super) fn is_zero(&self, net: &Network, flip: usize) -> bool {
        let at = &net.flips[flip];
        self.0[at.layer].zero[at.unit]
    }

    /// Margin `row`.
    pub(super) fn margin(&self, row: usize) -> Face<'_> {
        self.0[self.0.len() - 1].face(row, 1.0)
    }

    /// Number of margins.
    pub(super) fn margins(&self) -> usize {
        self.0[self.0.len() - 1].value.len()
    }
}

impl Form {
    fn face(&self, i: usize, sign: f64) -> Face<'_> {
        Face {
            row: self.rows.row(i),
            sign,
            value: self.value[i],
            norm: self.norm[i],
            slope: self.slope[i],
            off: self.off[i],
        }
    }

    /// `W (u + d) + b`: the rows are exact.
    fn first(layer: &Layer, u: &[f64], dual: Norm) -> Self {
        let one = Self {
            rows: Array2::zeros((0, 0)),
            value: u.to_vec(),
            norm: Vec::new(),
            slope: Vec::new(),
            off: vec![0.0; u.len()],
            zero: Vec::new(),
        };
        let norm = norms(&layer.weights, dual);
        let lost = |norm: &f64| match layer.weight_error {
            0.0 => 0.0,
            error => inflate(error * norm, 1),
        };
        let slope = norm.iter().map(lost).collect();
        let rows = layer.weights.clone();
        let live: Vec<usize> = (0..u.len()).collect();
        let (value, off) = one.values(layer, &live, &layer.weights, &vec![1.0; u.len()]);
        let zero = zeros(layer, &layer.weights);
        Self { rows, value, norm, slope, off, zero }
    }

    /// `W S (G d + h) + b`, S being the slopes of the activations below.
    ///
    /// The true row i is `sum_j W*_ij s_j G*_j` with `|W* - W| <= e|W|` and `||G*_j - G_j||_q <=
    /// slope_j`; each computed coefficient passed through `n + 3` roundings at most. So, by the
    /// triangle inequality, it is off by at most `sum_j |W_ij| s_j (slope_j + rate (||G_j||_q +
    /// slope_j))` with `rate = gamma(n + 3) + e`; the constants likewise.
    fn next(layer: &Layer, below: &Form, slopes: &[f64], dual: Norm) -> Self {
        let live: Vec<usize> =
            (0..slopes.len()).filter(|j| slopes[*j] != 0.0 && !below.zero[*j]).collect();
        let weights = layer.weights.select(Axis(1), &live);
        let mut fed = below.rows.select(Axis(0), &live);
        for (mut row, j) in fed.rows_mut().into_iter().zip(&live) {
            if slopes[*j] != 1.0 {
                row *= slopes[*j];
            }
        }
        let rows = weights.dot(&fed);
        let rate = (gamma(live.len() + 3) + layer.weight_error).next_up();
        let lost: Vec<f64> = live
            .iter()
            .map(|&j| {
                let (norm, slope) = (below.norm[j], below.slope[j]);
                slopes[j] * (slope + rate * (norm + slope))
            })
            .collect();
        // Underflow, for every operation of every coefficient.
        let under = (4 * live.len() * rows.ncols()) as f64 * TINY;
        let slope = weights.rows().into_iter().map(|row| {
            let sum: f64 = row.iter().zip(&lost).map(|(w, lost)| w.abs() * lost).sum();
            if live.is_empty() { 0.0 } else { (inflate(sum, live.len() + 2) + under).next_up() }
        });
        let mut slope: Vec<f64> = slope.collect();
        let (value, mut off) = below.values(layer, &live, &weights, slopes);
        let zero = zeros(layer, &weights);
        for i in (0..zero.len()).filter(|i| zero[*i]) {
            (slope[i], off[i]) = (0.0, 0.0);
        }
        let norm = norms(&rows, dual);
        Self { rows, value, norm, slope, off, zero }
    }

    /// Constants `W S h + b` of the layer above, and how far they may be off.
    fn values(
        &self,
        layer: &Layer,
        live: &[usize],
        weights: &Array2<f64>,
        slopes: &[f64],
    ) -> (Vec<f64>, Vec<f64>) {
        if live.is_empty() {
            return (layer.bias.clone(), vec![layer.bias_error; layer.bias.len()]);
        }
        let terms = live.len() + 3;
        let rate = (gamma(terms) + layer.weight_error).next_up();
        let each = weights.rows().into_iter().zip(&layer.bias).map(|(row, bias)| {
            let (mut sum, mut off) = (*bias, gamma(terms) * bias.abs());
            for (w, &j) in row.iter().zip(live) {
                let (h, e) = (self.value[j], self.off[j]);
                sum += w * (slopes[j] * h);
                off += w.abs() * (slopes[j] * (e + rate * (h.abs() + e)));
            }
            (sum, (inflate(off, terms + 2) + layer.bias_error).next_up())
        });
        each.unzip()
    }
}

fn norms(rows: &Array2<f64>, dual: Norm) -> Vec<f64> {
    rows.rows().into_iter().map(|row| norm_up(row.iter(), dual)).collect()
}

/// Rows that nothing feeds and whose bias is 0, in every network that is meant.
fn zeros(layer: &Layer, weights: &Array2<f64>) -> Vec<bool> {
    let rows = weights.rows().into_iter().zip(&layer.bias);
    let zero = rows.map(|(row, bias)| *bias == 0.0 && row.iter().all(|w| *w == 0.0));
    zero.map(|zero| zero && layer.bias_error == 0.0).collect()
}

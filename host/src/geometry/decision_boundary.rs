//! The decision-boundary certificate of two-layer networks (paper 000, section 4.2).

mod local;

use std::sync::OnceLock;

use certus_engine::model::Activation;
use certus_engine::region::Norm;

use super::interval::{Interval, add_up, div_down, mul_up, norm_up, sqrt_up};
use super::spectral::spectral_norm_up;
use crate::error::{Error, Result};
use crate::network::{Affine, Network};

/// By what the margin is divided: an upper bound of `||c(theta)||_q`, `c(theta) =
/// (W2_c - W2_j) diag(theta) W1` the gradient of the margin of class c over class j, for all
/// `theta` in `[slope, 1]^N`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Denominator {
    /// `||W2_c - W2_j||_2 ||W1||_2`, as in paper 000, theorem 4. It bounds the Euclidean norm: an
    /// l1 ball lies in the l2 ball of its radius, an linf ball in one `sqrt(inputs)` times larger.
    Product,
    /// Ours, the smallest of that and, with `d = W2_c - W2_j`, `m = (1 + slope)/2`,
    /// `r = (1 - slope)/2`:
    /// * `m ||d W1||_2 + r ||d||_2 ||W1||_2`, from `theta = m + r s` with `|s| <= 1`: never above
    ///   the product;
    /// * the dual norm of `v`, `v_k = max over theta of |c(theta)_k|`, from the sums of the
    ///   positive and of the negative terms. It is exact for l1.
    Smallest,
}

/// A two-layer network, ready to be certified at many points.
///
/// Memory: what [`spectral_norm_up`] takes for a moment, then the network, four numbers a pair of
/// classes and one a neuron and norm.
#[derive(Clone, Debug)]
pub struct DecisionBoundary {
    hidden: Affine,
    output: Affine,
    slope: f64,
    /// Upper bound of `||W1||_2`.
    spectral: f64,
    /// `[class][other]`, found when first asked for.
    gradients: Vec<OnceLock<Gradient>>,
    /// Upper bounds of the hidden rows' norms dual to l1, l2, linf, found when first asked for.
    rows: [OnceLock<Vec<f64>>; 3],
}

/// Upper bounds of `||c(theta)||` of a pair of classes over all `theta`.
#[derive(Clone, Copy, Debug)]
struct Gradient {
    /// `||d||_2 ||W1||_2`.
    product: f64,
    /// The smallest of all bounds of the norms dual to l1, l2, linf.
    smallest: [f64; 3],
}

impl DecisionBoundary {
    /// Checks the network's form and bounds the norm of its first layer.
    ///
    /// # Errors
    /// A network that is not: one hidden layer of ReLU or leaky ReLU, then a linear layer of two
    /// outputs or more; or one with a weight that is not finite.
    pub fn new(network: Network) -> Result<Self> {
        let [hidden, output] = match <[Affine; 2]>::try_from(network.layers) {
            Ok(layers) => layers,
            Err(layers) => return refuse(format!("a network of {} layers", layers.len())),
        };
        let Some(slope) = hidden.activation.leak().filter(|_| hidden.through == 0) else {
            return refuse(format!("a hidden layer of {}", hidden.activation.name()));
        };
        if !(0.0..=1.0).contains(&slope) {
            return refuse(format!("a leaky ReLU of slope {slope}, outside [0, 1],"));
        }
        if output.activation != Activation::Identity {
            return refuse(format!("{:?} after the second layer", output.activation));
        }
        if output.rows < 2 {
            return refuse(format!("{} output", output.rows));
        }
        for (k, layer) in [&hidden, &output].into_iter().enumerate() {
            let numbers = layer.weights.iter().chain(&layer.bias);
            let errors = [&layer.weight_error, &layer.bias_error];
            if let Some(found) = numbers.chain(errors).find(|x| !x.is_finite()) {
                return refuse(format!("{found} among the numbers of layer {k}"));
            }
        }
        let norm = spectral_norm_up(hidden.rows, hidden.cols, &hidden.weights);
        // What the stored weights may lie off by: at most `e |W|`, entry by entry.
        let size = norm_up(hidden.weights.iter().map(|w| f64::from(*w)));
        let spectral = match f64::from(hidden.weight_error) {
            0.0 => norm,
            error => add_up(norm, mul_up(error, size)),
        };
        let gradients = vec![OnceLock::new(); output.rows * output.rows];
        let rows = Default::default();
        Ok(Self { hidden, output, slope: f64::from(slope), spectral, gradients, rows })
    }

    /// The upper bound of the first layer's spectral norm that the certificate rests on.
    pub fn spectral_norm(&self) -> f64 {
        self.spectral
    }

    /// A certified radius around `x`, in the input's units, with a sign.
    ///
    /// For every other class j the margin `(W2_c - W2_j) diag(theta) (W1 x + b1) + b2_c - b2_j` is
    /// linear in `theta`: over `[slope, 1]^N` it fills an interval whose ends are sums of least
    /// and of largest terms. Where the interval is above 0, its lower end over the [`Denominator`]
    /// is a radius within which class c stays above class j (paper 000, theorem 4; its proof holds
    /// for any norm and its dual). The least of them over all j is the result, `r > 0`: at every
    /// real input nearer than `r`, class c is strictly the largest output. 0 where an interval
    /// holds 0: nothing is proved. Below 0 where one lies below 0: at every input nearer than `-r`
    /// some class is above c. Infinite if no input whatsoever changes that.
    ///
    /// Everything is rounded outward; the original network is covered where import rounded. A general
    /// p has the radius of [`Norm::wider`].
    ///
    /// # Errors
    /// An `x` of another length or with an entry that is not finite, a class that is not there.
    /// Work: `N*inputs` multiply-adds a point, and once for each pair of classes.
    pub fn radius(
        &self,
        x: &[f32],
        class: usize,
        norm: Norm,
        denominator: Denominator,
    ) -> Result<f64> {
        let norm = norm.wider();
        self.check(x, class)?;
        let z = self.pre_activations(x);
        let radii = self.others(class).map(|other| {
            let margin = self.margin(class, other, &z);
            self.signed(margin, self.denominator(class, other, norm, denominator))
        });
        Ok(least(radii))
    }

    fn check(&self, x: &[f32], class: usize) -> Result<()> {
        let (inputs, outputs) = (self.hidden.cols, self.output.rows);
        if x.len() != inputs {
            let message = format!("a point of {} coordinates", x.len());
            return Err(Error::Usage(format!("{message}, expected the network's {inputs} inputs")));
        }
        if let Some(i) = x.iter().position(|x| !x.is_finite()) {
            let message = format!("{} in coordinate {i} of the point", x[i]);
            return Err(Error::Usage(format!("{message}, expected a finite number")));
        }
        if class >= outputs {
            let message = format!("class {class}, expected one below the {outputs} outputs");
            return Err(Error::Usage(message));
        }
        Ok(())
    }

    fn others(&self, class: usize) -> impl Iterator<Item = usize> + use<> {
        (0..self.output.rows).filter(move |other| *other != class)
    }

    /// `W1 x + b1`.
    fn pre_activations(&self, x: &[f32]) -> Vec<Interval> {
        let row = |i: usize| {
            let bias = Interval::stored(self.hidden.bias[i], 0.0, self.hidden.bias_error);
            let weights = row(&self.hidden, i).zip(x);
            weights.fold(bias, |sum, (w, x)| sum + w * Interval::stored(*x, 0.0, 0.0))
        };
        (0..self.hidden.rows).map(row).collect()
    }

    /// The margin of `class` over `other` for all `theta`.
    fn margin(&self, class: usize, other: usize, z: &[Interval]) -> Interval {
        let terms = self.difference(class, other).zip(z).map(|(d, z)| (d * *z).relaxed(self.slope));
        terms.fold(self.head_start(class, other), |sum, term| sum + term)
    }

    /// `b2_c - b2_j`.
    fn head_start(&self, class: usize, other: usize) -> Interval {
        let bias = |j: usize| Interval::stored(self.output.bias[j], 0.0, self.output.bias_error);
        bias(class) - bias(other)
    }

    /// `W2_c - W2_j`.
    fn difference(&self, class: usize, other: usize) -> impl Iterator<Item = Interval> + '_ {
        let pairs = row(&self.output, class).zip(row(&self.output, other));
        // Equal weights cancel without a rounding.
        pairs.map(|(c, j)| if c == j && c.lo == c.hi { ZERO } else { c - j })
    }

    /// Radius within which the sign of a margin does not change; 0 if it has none.
    fn signed(&self, margin: Interval, denominator: f64) -> f64 {
        let radius = |size: f64| match denominator {
            0.0 => f64::INFINITY,
            d if d.is_finite() => div_down(size, d),
            // A NaN or an overflow bounds nothing.
            _ => 0.0,
        };
        match margin {
            Interval { lo, .. } if lo > 0.0 && lo.is_finite() => radius(lo),
            Interval { hi, .. } if hi < 0.0 && hi.is_finite() => -radius(-hi),
            _ => 0.0,
        }
    }

    /// Upper bound of the gradient's norm dual to `norm`.
    fn denominator(&self, class: usize, other: usize, norm: Norm, which: Denominator) -> f64 {
        let slot = &self.gradients[class * self.output.rows + other];
        let gradient = slot.get_or_init(|| self.gradient(class, other));
        match which {
            Denominator::Product => self.widened(gradient.product, norm),
            Denominator::Smallest => gradient.smallest[slot_of(norm)],
        }
    }

    /// A bound of the norm dual to `norm` from one of the Euclidean norm:
    /// `||c||_inf <= ||c||_2` and `||c||_1 <= sqrt(inputs) ||c||_2`.
    fn widened(&self, euclidean: f64, norm: Norm) -> f64 {
        match norm {
            Norm::L1 | Norm::L2 => euclidean,
            Norm::Linf | Norm::Lp(_) => mul_up(sqrt_up(self.hidden.cols as f64), euclidean),
        }
    }

    fn gradient(&self, class: usize, other: usize) -> Gradient {
        let cols = self.hidden.cols;
        let difference: Vec<Interval> = self.difference(class, other).collect();
        let (mut whole, mut relaxed) = (vec![ZERO; cols], vec![ZERO; cols]);
        for (i, d) in difference.iter().enumerate().filter(|(_, d)| **d != ZERO) {
            let entries = row(&self.hidden, i).zip(whole.iter_mut().zip(&mut relaxed));
            for (w, (whole, relaxed)) in entries.filter(|(w, _)| *w != ZERO) {
                let term = *d * w;
                *whole = *whole + term;
                *relaxed = *relaxed + term.relaxed(self.slope);
            }
        }
        let euclidean = |x: &[Interval]| norm_up(x.iter().map(|x| x.magnitude()));
        let product = mul_up(euclidean(&difference), self.spectral);
        let (middle, radius) = (0.5 * (1.0 + self.slope), 0.5 * (1.0 - self.slope));
        let centred =
            add_up(mul_up(middle.next_up(), euclidean(&whole)), mul_up(radius.next_up(), product));
        let l2 = smallest(&[product, centred, euclidean(&relaxed)]);
        let bound = |norm| smallest(&[dual_up(&relaxed, norm), self.widened(l2, norm)]);
        Gradient { product, smallest: [Norm::L1, Norm::L2, Norm::Linf].map(bound) }
    }
}

const ZERO: Interval = Interval { lo: 0.0, hi: 0.0 };

/// A row of a layer's weights.
fn row(layer: &Affine, i: usize) -> impl Iterator<Item = Interval> + '_ {
    let row = &layer.weights[i * layer.cols..(i + 1) * layer.cols];
    row.iter().map(|w| Interval::stored(*w, layer.weight_error, 0.0))
}

/// The place of `norm` among l1, l2, linf.
fn slot_of(norm: Norm) -> usize {
    match norm {
        Norm::L1 => 0,
        Norm::L2 => 1,
        Norm::Linf | Norm::Lp(_) => 2,
    }
}

/// An upper bound of a vector's norm dual to `norm`: of its largest entry, its length, its sum of
/// magnitudes for l1, l2, linf.
fn dual_up(entries: &[Interval], norm: Norm) -> f64 {
    let magnitudes = entries.iter().map(|x| x.magnitude());
    match norm {
        Norm::L1 => magnitudes.fold(0.0, |most, x| if x > most || x.is_nan() { x } else { most }),
        Norm::L2 => norm_up(magnitudes),
        Norm::Linf | Norm::Lp(_) => magnitudes.filter(|x| *x != 0.0).fold(0.0, add_up),
    }
}

/// The least of radii, none of which is NaN.
fn least(radii: impl Iterator<Item = f64>) -> f64 {
    radii.fold(f64::INFINITY, f64::min)
}

/// The smallest of upper bounds, those that are NaN aside.
fn smallest(bounds: &[f64]) -> f64 {
    bounds.iter().copied().fold(f64::INFINITY, f64::min)
}

fn refuse<T>(found: String) -> Result<T> {
    let expected = "expected one hidden layer of ReLU or leaky ReLU, then a linear layer of at \
                    least 2 outputs, all numbers finite";
    Err(Error::Usage(format!("decision-boundary certificate: {found}; {expected}")))
}

#[cfg(test)]
mod tests;

//! The decision-boundary certificate of two-layer networks (paper 000, section 4.2).

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
/// Memory: what [`spectral_norm_up`] takes for a moment, then four numbers a pair of classes.
pub struct DecisionBoundary<'a> {
    hidden: &'a Affine,
    output: &'a Affine,
    slope: f64,
    /// Upper bound of `||W1||_2`.
    spectral: f64,
    /// `[class][other]`, found when first asked for.
    gradients: Vec<OnceLock<Gradient>>,
}

/// Upper bounds of `||c(theta)||` of a pair of classes over all `theta`.
#[derive(Clone, Copy, Debug)]
struct Gradient {
    /// `||d||_2 ||W1||_2`.
    product: f64,
    /// The smallest of all bounds of the largest entry, of the Euclidean norm, and of the sum of
    /// magnitudes: dual to l1, l2, linf.
    smallest: [f64; 3],
}

impl<'a> DecisionBoundary<'a> {
    /// Checks the network's form and bounds the norm of its first layer.
    ///
    /// # Errors
    /// A network that is not: one hidden layer of ReLU or leaky ReLU, then a linear layer of two
    /// outputs or more; or one with a weight that is not finite.
    pub fn new(network: &'a Network) -> Result<Self> {
        let [hidden, output] = &network.layers[..] else {
            return refuse(format!("a network of {} layers", network.layers.len()));
        };
        let slope = match hidden.activation {
            Activation::Identity => 1.0,
            Activation::Relu => 0.0,
            Activation::LeakyRelu(slope) => slope,
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
        for (k, layer) in network.layers.iter().enumerate() {
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
        Ok(Self { hidden, output, slope: f64::from(slope), spectral, gradients })
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
    /// Everything is rounded outward; the original network is covered where import rounded.
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
        let z = self.pre_activations(x);
        let radii = (0..outputs).filter(|other| *other != class).map(|other| {
            let margin = self.margin(class, other, &z);
            self.signed(margin, self.denominator(class, other, norm, denominator))
        });
        Ok(radii.fold(f64::INFINITY, |least, radius| if radius < least { radius } else { least }))
    }

    /// `W1 x + b1`.
    fn pre_activations(&self, x: &[f32]) -> Vec<Interval> {
        let row = |i: usize| {
            let bias = Interval::stored(self.hidden.bias[i], 0.0, self.hidden.bias_error);
            let weights = row(self.hidden, i).zip(x);
            weights.fold(bias, |sum, (w, x)| sum + w * Interval::stored(*x, 0.0, 0.0))
        };
        (0..self.hidden.rows).map(row).collect()
    }

    /// The margin of `class` over `other` for all `theta`.
    fn margin(&self, class: usize, other: usize, z: &[Interval]) -> Interval {
        let bias = |j: usize| Interval::stored(self.output.bias[j], 0.0, self.output.bias_error);
        let terms = self.difference(class, other).zip(z).map(|(d, z)| (d * *z).relaxed(self.slope));
        terms.fold(bias(class) - bias(other), |sum, term| sum + term)
    }

    /// `W2_c - W2_j`.
    fn difference(&self, class: usize, other: usize) -> impl Iterator<Item = Interval> + '_ {
        let pairs = row(self.output, class).zip(row(self.output, other));
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
        match (which, norm) {
            (Denominator::Product, Norm::L1 | Norm::L2) => gradient.product,
            (Denominator::Product, Norm::Linf) => self.sum_of_magnitudes(gradient.product),
            (Denominator::Smallest, Norm::L1) => gradient.smallest[0],
            (Denominator::Smallest, Norm::L2) => gradient.smallest[1],
            (Denominator::Smallest, Norm::Linf) => gradient.smallest[2],
            // Its ball lies in the wider norm's.
            (_, general @ Norm::Lp(_)) => self.denominator(class, other, general.wider(), which),
        }
    }

    /// `||c||_1 <= sqrt(inputs) ||c||_2`.
    fn sum_of_magnitudes(&self, euclidean: f64) -> f64 {
        mul_up(sqrt_up(self.hidden.cols as f64), euclidean)
    }

    fn gradient(&self, class: usize, other: usize) -> Gradient {
        let cols = self.hidden.cols;
        let difference: Vec<Interval> = self.difference(class, other).collect();
        let (mut whole, mut relaxed) = (vec![ZERO; cols], vec![ZERO; cols]);
        for (i, d) in difference.iter().enumerate().filter(|(_, d)| **d != ZERO) {
            let entries = row(self.hidden, i).zip(whole.iter_mut().zip(&mut relaxed));
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
        let magnitudes = || relaxed.iter().map(|x| x.magnitude());
        let largest = magnitudes().fold(0.0, |most, x| if x <= most { most } else { x });
        let sum = magnitudes().filter(|x| *x != 0.0).fold(0.0, add_up);
        let linf = smallest(&[sum, self.sum_of_magnitudes(l2)]);
        Gradient { product, smallest: [smallest(&[largest, l2]), l2, linf] }
    }
}

const ZERO: Interval = Interval { lo: 0.0, hi: 0.0 };

/// A row of a layer's weights.
fn row(layer: &Affine, i: usize) -> impl Iterator<Item = Interval> + '_ {
    let row = &layer.weights[i * layer.cols..(i + 1) * layer.cols];
    row.iter().map(|w| Interval::stored(*w, layer.weight_error, 0.0))
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
mod tests {
    use super::*;

    fn layer(rows: &[&[f32]], bias: &[f32], activation: Activation) -> Affine {
        Affine {
            rows: rows.len(),
            cols: rows[0].len(),
            weights: rows.concat(),
            bias: bias.to_vec(),
            activation,
            weight_error: 0.0,
            bias_error: 0.0,
        }
    }

    /// Hidden units `x + 1` and `-y + 2`; class 0 has their sum minus 1, class 1 has 0.
    fn network(activation: Activation) -> Network {
        let hidden = layer(&[&[1.0, 0.0], &[0.0, -1.0]], &[1.0, 2.0], activation);
        let output = layer(&[&[1.0, 1.0], &[0.0, 0.0]], &[-1.0, 0.0], Activation::Identity);
        Network { inputs: 2, layers: vec![hidden, output] }
    }

    #[track_caller]
    fn near(found: f64, expected: f64) {
        let expected_low = expected - 1e-3 * expected.abs();
        assert!(found <= expected && found >= expected_low, "{found}, not {expected}");
    }

    #[test]
    fn by_hand() {
        // Leak 1/2: the terms 3 and 5 shrink to at least 1.5 and 2.5; minus 1 leaves 3.
        let network = network(Activation::LeakyRelu(0.5));
        let certificate = DecisionBoundary::new(&network).unwrap();
        near(-certificate.spectral_norm(), -1.0);
        let ask = |norm, which| certificate.radius(&[2.0, -3.0], 0, norm, which).unwrap();
        let root = 2f64.sqrt();
        near(ask(Norm::L2, Denominator::Product), 3.0 / root);
        near(ask(Norm::L1, Denominator::Product), 3.0 / root);
        near(ask(Norm::Linf, Denominator::Product), 1.5);
        near(ask(Norm::L2, Denominator::Smallest), 3.0 / root);
        near(ask(Norm::L1, Denominator::Smallest), 3.0);
        near(ask(Norm::Linf, Denominator::Smallest), 1.5);
        // Those of l2 and of linf hold for what lies between.
        near(ask(Norm::new(1.5).unwrap(), Denominator::Smallest), 3.0 / root);
        near(ask(Norm::new(3.0).unwrap(), Denominator::Smallest), 1.5);
        // Class 1 is below class 0 for every theta.
        let wrong = certificate.radius(&[2.0, -3.0], 1, Norm::L1, Denominator::Smallest).unwrap();
        near(-wrong, 3.0);
        assert!(wrong < 0.0);
        // Terms 0 and 1, minus 1: from -1/2 to 0.
        let zero = certificate.radius(&[-1.0, 1.0], 0, Norm::L1, Denominator::Smallest).unwrap();
        assert_eq!(zero, 0.0);
    }

    #[test]
    fn relu_alone_switches_everything_off() {
        // Without a leak, theta = 0 leaves the biases: -1.
        let network = network(Activation::Relu);
        let certificate = DecisionBoundary::new(&network).unwrap();
        for which in [Denominator::Product, Denominator::Smallest] {
            assert_eq!(certificate.radius(&[2.0, -3.0], 0, Norm::L2, which).unwrap(), 0.0);
        }
    }

    #[test]
    fn what_never_changes_has_no_end() {
        let mut network = network(Activation::Relu);
        network.layers[1].weights.fill(0.0);
        let certificate = DecisionBoundary::new(&network).unwrap();
        for which in [Denominator::Product, Denominator::Smallest] {
            let ask = |class| certificate.radius(&[2.0, -3.0], class, Norm::Linf, which).unwrap();
            assert_eq!((ask(1), ask(0)), (f64::INFINITY, f64::NEG_INFINITY));
        }
        network.layers[1].bias.fill(0.0);
        let certificate = DecisionBoundary::new(&network).unwrap();
        let tie = certificate.radius(&[2.0, -3.0], 0, Norm::Linf, Denominator::Smallest).unwrap();
        assert_eq!(tie, 0.0);
    }

    #[test]
    fn huge_numbers_do_not_overflow() {
        let mut network = network(Activation::LeakyRelu(0.5));
        network.layers[0].weights = vec![f32::MAX; 4];
        network.layers[1].weights = vec![f32::MAX, f32::MAX, f32::MIN, f32::MIN];
        let certificate = DecisionBoundary::new(&network).unwrap();
        for norm in [Norm::L1, Norm::L2, Norm::Linf] {
            for which in [Denominator::Product, Denominator::Smallest] {
                let radius = certificate.radius(&[f32::MAX; 2], 0, norm, which).unwrap();
                assert!(radius > 1e37 && radius < 3.5e38, "{norm:?} {which:?} {radius}");
            }
        }
    }

    #[test]
    fn rounded_weights_are_covered() {
        let mut network = network(Activation::LeakyRelu(0.5));
        let e = 1.0 / 128.0;
        network.layers[0].weight_error = e;
        network.layers[1].bias_error = 0.25;
        let certificate = DecisionBoundary::new(&network).unwrap();
        let e = f64::from(e);
        assert!(certificate.spectral_norm() >= 1.0 + e);
        let radius = certificate.radius(&[2.0, -3.0], 0, Norm::L1, Denominator::Smallest).unwrap();
        let margin = 0.5 * (5.0 * (1.0 - e) + 3.0) - 1.0 - 2.0 * 0.25;
        near(radius, margin / (1.0 + e));
    }

    #[test]
    fn what_is_refused_is_named() {
        let wrong = |change: fn(&mut Network), words: &str| {
            let mut network = network(Activation::Relu);
            change(&mut network);
            let error = DecisionBoundary::new(&network).err().expect("refused").to_string();
            assert!(error.contains(words) && error.contains("expected one hidden"), "{error}");
        };
        wrong(|n| n.layers.truncate(1), "1 layers");
        wrong(|n| n.layers.push(n.layers[1].clone()), "3 layers");
        wrong(|n| n.layers[1].activation = Activation::Relu, "Relu after the second layer");
        wrong(|n| n.layers[0].activation = Activation::LeakyRelu(1.5), "slope 1.5");
        wrong(|n| n.layers[0].activation = Activation::LeakyRelu(f32::NAN), "slope NaN");
        wrong(|n| n.layers[0].weights[1] = f32::NAN, "NaN among the numbers of layer 0");
        wrong(|n| n.layers[1].bias[1] = f32::INFINITY, "inf among the numbers of layer 1");
        wrong(|n| n.layers[1].rows = 1, "1 output");
        let network = network(Activation::Relu);
        let certificate = DecisionBoundary::new(&network).unwrap();
        let ask = |x: &[f32], class| {
            let answer = certificate.radius(x, class, Norm::L2, Denominator::Product);
            answer.unwrap_err().to_string()
        };
        assert!(ask(&[1.0], 0).contains("1 coordinates, expected the network's 2 inputs"));
        assert!(ask(&[1.0, f32::NAN], 0).contains("NaN in coordinate 1"));
        assert!(ask(&[1.0, 2.0], 2).contains("class 2, expected one below the 2 outputs"));
    }
}

//! Distances to the nearest facet and decision boundary at a point, in f64.

use certus_engine::region::Norm;
use ndarray::{Array1, ArrayView1};

use super::forms::{Forms, Wide};
use crate::error::{Error, Result};
use crate::network::Network;

/// The simplex certificate's two distances (paper 000, theorem 3) as f64 has them: nothing is
/// rounded outward, so they are to be looked at, not to be relied on.
#[derive(Clone, Debug, PartialEq)]
pub struct Local {
    /// The largest output, the first of equal ones.
    pub class: usize,
    /// `dB`: distance to the nearest hyperplane on which a neuron bends; infinite if there is none.
    pub boundary: f64,
    /// `dD`: distance to the nearest hyperplane on which another class draws level with `class`;
    /// infinite if there is none.
    pub decision: f64,
    /// The point of that hyperplane nearest to `x`.
    pub projection: Option<Vec<f64>>,
}

impl Local {
    /// The distances at `x` in `norm`.
    ///
    /// # Errors
    /// An `x` of another length, fewer than two outputs, numbers that overflow.
    /// Work: `inputs` multiply-adds a weight.
    pub fn at(network: &Network, x: &[f64], norm: Norm) -> Result<Self> {
        if x.len() != network.inputs || network.outputs() < 2 {
            let found = format!("{} coordinates, {} outputs", x.len(), network.outputs());
            let expected = format!("expected {} and at least 2", network.inputs);
            return Err(Error::Usage(format!("{found}, {expected}")));
        }
        let mut forms = Forms::identity(x.len());
        let mut boundary = f64::INFINITY;
        for layer in Wide::all(network) {
            forms = forms.through(&layer);
            if layer.bends() {
                let z: Vec<f64> = (0..forms.len()).map(|i| forms.value(i, x)).collect();
                for (i, z) in z.iter().enumerate() {
                    boundary = nearer(boundary, distance(z.abs(), forms.linear.row(i), norm));
                }
                let positive: Vec<bool> = z.iter().map(|z| *z >= 0.0).collect();
                forms = forms.bend(layer.slope, &positive);
            }
        }
        let values: Vec<f64> = (0..forms.len()).map(|i| forms.value(i, x)).collect();
        if values.iter().any(|v| !v.is_finite()) {
            return Err(Error::Usage("the outputs at the centre overflow f64".into()));
        }
        let class = (1..values.len()).fold(0, |c, j| if values[j] > values[c] { j } else { c });
        let (mut decision, mut nearest) = (f64::INFINITY, None);
        for j in (0..values.len()).filter(|j| *j != class) {
            let gradient = &forms.linear.row(class) - &forms.linear.row(j);
            let found = distance(values[class] - values[j], gradient.view(), norm);
            if found < decision {
                (decision, nearest) = (found, Some((values[class] - values[j], gradient)));
            }
        }
        let projection = nearest.map(|(margin, gradient)| project(x, margin, &gradient, norm));
        Ok(Local { class, boundary, decision, projection })
    }
}

/// The smaller of two distances; a NaN counts as 0, so that it certifies nothing.
fn nearer(a: f64, b: f64) -> f64 {
    if b.is_nan() { 0.0 } else { a.min(b) }
}

/// `value / ||gradient||_q`: the distance to where the function is 0; infinite for a constant.
fn distance(value: f64, gradient: ArrayView1<'_, f64>, norm: Norm) -> f64 {
    let size = match norm {
        Norm::L1 => gradient.fold(0.0, |most: f64, g| most.max(g.abs())),
        Norm::L2 => gradient.dot(&gradient).sqrt(),
        Norm::Linf => gradient.fold(0.0, |sum, g| sum + g.abs()),
    };
    if size == 0.0 { f64::INFINITY } else { value / size }
}

/// The point nearest to `x` where a function with this value at `x` and this gradient is 0.
fn project(x: &[f64], value: f64, gradient: &Array1<f64>, norm: Norm) -> Vec<f64> {
    let step = match norm {
        Norm::L2 => gradient * (value / gradient.dot(gradient)),
        Norm::Linf => gradient.mapv(|g| {
            let sign = if g == 0.0 { 0.0 } else { g.signum() };
            sign * distance(value, gradient.view(), norm)
        }),
        Norm::L1 => {
            let larger = |best: usize, i: usize| {
                if gradient[i].abs() > gradient[best].abs() { i } else { best }
            };
            let steepest = (0..gradient.len()).fold(0, larger);
            let mut step = Array1::zeros(gradient.len());
            step[steepest] = value / gradient[steepest];
            step
        }
    };
    x.iter().zip(step).map(|(x, step)| x - step).collect()
}

#[cfg(test)]
mod tests {
    use certus_engine::model::Activation;

    use super::*;
    use crate::network::Affine;

    #[test]
    fn distances_by_hand() {
        let layer = |weights: [f32; 4], bias: [f32; 2], activation| Affine {
            rows: 2,
            cols: 2,
            weights: weights.to_vec(),
            bias: bias.to_vec(),
            activation,
            weight_error: 0.0,
            bias_error: 0.0,
        };
        // Units x + 5 and 3x - 4y + 10; outputs their sum, and 4: at the origin 15 against 4.
        let hidden = layer([1.0, 0.0, 3.0, -4.0], [5.0, 10.0], Activation::Relu);
        let output = layer([1.0, 1.0, 0.0, 0.0], [0.0, 4.0], Activation::Identity);
        let network = Network { inputs: 2, layers: vec![hidden, output] };
        let at = |norm| Local::at(&network, &[0.0, 0.0], norm).unwrap();
        // dB: 10 over (3, -4) or 5 over (1, 0); dD: 11 over (4, -4).
        let l2 = at(Norm::L2);
        assert_eq!((l2.class, l2.boundary), (0, 2.0));
        assert!((l2.decision - 11.0 / 32f64.sqrt()).abs() < 1e-12);
        assert_eq!(l2.projection, Some(vec![-1.375, 1.375]));
        assert_eq!((at(Norm::L1).boundary, at(Norm::L1).decision), (2.5, 2.75));
        assert_eq!(at(Norm::L1).projection, Some(vec![-2.75, 0.0]));
        assert_eq!((at(Norm::Linf).boundary, at(Norm::Linf).decision), (10.0 / 7.0, 1.375));
        assert_eq!(at(Norm::Linf).projection, Some(vec![-1.375, 1.375]));
        assert!(Local::at(&network, &[0.0], Norm::L2).is_err());
    }
}

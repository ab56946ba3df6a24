//! A normalisation `(x - mean) / std` before a network's first layer.

use super::chain::Chain;
use super::exact::Approx;
use super::limits::Limits;
use crate::error::{Error, Result};
use crate::network::Network;

/// The network that takes `x` where `network` takes `(x - mean) / std`.
///
/// `mean`, `std`: one value, or one for each of the equal parts (channels) that the inputs consist
/// of; an empty `mean` is 0, an empty `std` 1. The f64 given are taken as exact; what folding them
/// into the first layer rounds is in its error fields.
///
/// # Errors
/// [`Error::Usage`]: a value that is not finite, a `std` that is not positive, a number of values
/// that does not divide the inputs.
pub fn normalise(network: Network, mean: &[f64], std: &[f64]) -> Result<Network> {
    let inputs = network.inputs;
    let channel = |name: &str, values: &[f64]| {
        let bad = values.iter().find(|v| !v.is_finite() || (name == "--std" && **v <= 0.0));
        if let Some(v) = bad {
            return Err(Error::Usage(format!("{name} {v}, expected finite numbers, std above 0")));
        }
        match values.len() {
            0 => Ok(inputs),
            n if inputs.is_multiple_of(n) => Ok(inputs / n),
            n => Err(Error::Usage(format!(
                "{name} has {n} values, which do not divide the model's {inputs} inputs"
            ))),
        }
    };
    let (mean_part, std_part) = (channel("--mean", mean)?, channel("--std", std)?);
    let fold = || {
        let mut chain = Chain::new(inputs, Limits::default())?;
        chain.scale_and_shift(|i| {
            let m = Approx::exact(mean.get(i / mean_part).copied().unwrap_or(0.0));
            let s = Approx::exact(std.get(i / std_part).copied().unwrap_or(1.0));
            (Approx::ONE.div(s), m.neg().div(s))
        })?;
        for layer in &network.layers {
            chain.dense(layer.rows, f64::from(layer.weight_error), |r, row| {
                if let Some(from) = layer.weights.get(r * layer.cols..(r + 1) * layer.cols) {
                    row.copy_from_slice(from);
                }
            })?;
            chain.scale_and_shift(|r| {
                let value = layer.bias.get(r).copied().map_or(f64::NAN, f64::from);
                (Approx::ONE, Approx { value, error: f64::from(layer.bias_error) })
            })?;
            chain.activate_from(layer.through, layer.activation)?;
        }
        chain.finish()
    };
    fold().map_err(|message: String| Error::Usage(format!("normalisation: {message}")))
}

#[cfg(test)]
mod tests {
    use certus_engine::model::Activation;

    use super::*;
    use crate::network::Affine;

    fn network() -> Network {
        let layer = |rows: usize, cols: usize| Affine {
            rows,
            cols,
            weights: (0..rows * cols).map(|i| i as f32 - 2.0).collect(),
            bias: vec![1.0; rows],
            activation: Activation::Relu,
            through: 0,
            weight_error: 0.0,
            bias_error: 0.0,
        };
        Network { inputs: 4, layers: vec![layer(2, 4), layer(3, 2)] }
    }

    #[test]
    fn powers_of_two_fold_exactly() {
        let folded = normalise(network(), &[0.5, -1.0], &[0.25]).unwrap();
        let first = &folded.layers[0];
        assert_eq!(first.weights[..4], [-8.0, -4.0, 0.0, 4.0]);
        // -2*(-0.5/0.25) - 1*(-0.5/0.25) + 0 + 1*(1/0.25) + 1
        assert_eq!(first.bias[0], 4.0 + 2.0 + 4.0 + 1.0);
        assert_eq!((first.weight_error, first.bias_error), (0.0, 0.0));
        assert_eq!(folded.layers[1], network().layers[1]);
    }

    #[test]
    fn rounding_is_bounded() {
        let folded = normalise(network(), &[0.1307], &[0.3081]).unwrap();
        let first = &folded.layers[0];
        assert!(first.weight_error > 0.0 && first.weight_error < 1.3e-7);
        for (w, original) in first.weights.iter().zip(&network().layers[0].weights) {
            let exact = f64::from(*original) / 0.3081;
            let error = (f64::from(*w) - exact).abs();
            assert!(error <= f64::from(first.weight_error) * f64::from(w.abs()) * (1.0 + 1e-9));
        }
    }

    #[test]
    fn bad_values_are_refused() {
        for (mean, std) in [(vec![0.0; 3], vec![]), (vec![], vec![0.0]), (vec![f64::NAN], vec![])] {
            assert!(normalise(network(), &mean, &std).is_err());
        }
    }
}

//! Activations with parameters from a file: what the blob can hold, exactly as stated.

use certus_engine::model::Activation;
use certus_engine::model::blob::MAX_PARAMETER;

use super::chain::Checked;

/// An activation's parameter: it is no weight, no error is carried for it.
fn parameter(name: &str, value: f64) -> Checked<f32> {
    // A zero has no sign.
    let nearest = value as f32 + 0.0;
    let plain = nearest == 0.0 || nearest.is_normal() && nearest.abs() <= MAX_PARAMETER;
    if f64::from(nearest) == value && plain {
        Ok(nearest)
    } else {
        Err(format!("{name} {value}; expected an f32 that is 0 or normal, at most 2^60"))
    }
}

/// `min(max(z, lo), hi)`.
pub(super) fn clip(lo: f64, hi: f64) -> Checked<Activation> {
    if lo >= hi {
        return Err(format!("limits {lo} and {hi}; expected the lower one first"));
    }
    Ok(Activation::Clip(parameter("lower limit", lo)?, parameter("upper limit", hi)?))
}

/// `scale (e^z - 1)` below 0.
pub(super) fn elu(scale: f64) -> Checked<Activation> {
    match parameter("scale", scale)? {
        0.0 => Ok(Activation::Relu),
        scale if scale > 0.0 => Ok(Activation::Elu(scale)),
        scale => Err(format!("scale {scale}; expected 0 or more")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_exact_or_refused() {
        assert_eq!(clip(-1.0, 0.5), Ok(Activation::Clip(-1.0, 0.5)));
        assert_eq!(clip(-0.0, 6.0), Ok(Activation::Clip(0.0, 6.0)));
        assert_eq!(elu(0.0), Ok(Activation::Relu));
        for (lo, hi) in [(1.0, 1.0), (2.0, 1.0), (f64::NAN, 1.0), (0.1, 1.0), (0.0, 1e-40)] {
            assert!(clip(lo, hi).is_err(), "{lo} {hi}");
        }
        for scale in [-1.0, f64::NAN, 2f64.powi(61), 0.1] {
            assert!(elu(scale).is_err(), "{scale}");
        }
    }
}

//! Margins moved to the last bit.

use certus_engine::model::Activation;

use super::Case;
use super::draw::step;
use crate::oracle::minimum;
use crate::rational::{compare, exact, floor_f32};

/// Moves an output bias so that the exact margin is 0, or as near as f32 allows, and then `steps`
/// ulps of that bias further (up for a larger margin). `None` if the last layer bends, no
/// coefficient of the specification is 1 or -1, or the bias would overflow.
///
/// If the bias can be met exactly (integer nets, cancelling nets), `steps` tells the sign of the
/// exact margin; else the margin lies within `steps - 1..=steps + 1` ulps.
pub fn tighten(mut case: Case, steps: i32) -> Option<Case> {
    let row = case.spec_row.iter().position(|c| c.abs() == 1.0)?;
    let last = case.net.layers.last_mut()?;
    if last.activation != Activation::Identity {
        return None;
    }
    let sign = case.spec_row[row];
    let bias = last.bias[row];
    let margin = minimum(&case.net, &case.region, &case.spec_row)?.inner;
    let wanted = exact(bias) - margin * exact(sign);
    if compare(f32::MAX, &wanted).is_lt() {
        return None;
    }
    let met = step(floor_f32(&wanted), if sign > 0.0 { steps } else { -steps });
    if !met.is_finite() {
        return None;
    }
    case.net.layers.last_mut()?.bias[row] = met;
    Some(case)
}

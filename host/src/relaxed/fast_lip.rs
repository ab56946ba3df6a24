//! Fast-Lip: bounds from the local Lipschitz constant of each row (paper 003, tables 1 and 4, which
//! has it from Weng et al., "Towards fast computation of certified robustness for ReLU networks",
//! ICML 2018).

use certus_engine::bounds::{Error, Method, Options, Portable, Work};
use certus_engine::model::{Layer, Model, Row};
use certus_engine::num::from_f64_up;
use certus_engine::region::{Norm, Region};
use certus_engine::spec::Spec;
use ndarray::Array2;

use super::spread::{Spread, Wide};
use super::{ZERO, leak, narrow_down, rows, unfit};
use crate::cpu::Runner;
use crate::error;
use crate::geometry::interval::{Interval, add_up, mul_up};

/// Whether [`lower_bounds`] bounds such networks.
///
/// # Errors
/// An activation other than ReLU and leaky ReLU, or one after the last layer.
pub fn check(model: &Model<'_>) -> error::Result<()> {
    let expected = "expected ReLU or leaky ReLU between the layers, none after the last";
    unfit(model)
        .map_or(Ok(()), |found| Err(error::Error::Usage(format!("fast-lip: {found}; {expected}"))))
}

/// Lower bounds of the rows of `spec` over `region` into `out`, one each.
///
/// Let `y` be the region's middle, `x` any point of it. For each neuron
/// `sigma(z(x)) - sigma(z(y)) = t (z(x) - z(y))` with one `t`: the slope of its side if it keeps to
/// that over the region, by Fast-Lin's pre-activation bounds, else in `[leak, 1]`. Hence
/// `C f(x) - C f(y) = J (x - y)`, `J = C W_m T_{m-1} W_{m-1} .. T_1 W_1`, and with `v` the largest
/// magnitudes of J's entries over all those T, found layer by layer from the outputs,
/// `C f(x) >= C f(y) - max v . |x - y|`. Over a ball that is `C f(y) - eps ||v||_q`, Fast-Lip's bound:
/// `||v||_q` is at least the local Lipschitz constant. Each layer's unstable neurons widen J entry by
/// entry, as if no two entries had a neuron in common: below Fast-Lin, far below it in deep networks.
///
/// In f64, rounded outward; the original network is covered where import rounded. `-inf` where
/// there is no bound: for networks that [`check`] refuses, and for a ball whose centre is outside
/// its box.
///
/// # Errors
/// The engine's. Memory: 16 bytes a weight. Work: Fast-Lin's, then two products in f64 of the rows
/// and two of the middle with each layer's weights.
pub fn lower_bounds(
    runner: &mut Runner<'_>,
    region: &Region<'_>,
    spec: &Spec<'_>,
    out: &mut Vec<f32>,
) -> Result<Work, Error> {
    let model = *runner.model();
    let report = runner.report(region, spec, &Options::new(Method::FastLin))?;
    out.clear();
    out.resize(spec.count(model.outputs()), f32::NEG_INFINITY);
    let (mut mid, mut rad) = (vec![0.0; model.inputs()], vec![0.0; model.inputs()]);
    region.enclose(&mut mid, &mut rad);
    if unfit(&model).is_some() || !holds(region, &mid) {
        return Ok(report.work);
    }
    let layers: Vec<(Layer<'_>, Wide)> = model.layers().map(|l| (l, Wide::new(&l))).collect();
    let rows = rows(spec, model.outputs());
    let values = values(&layers, &mid, &rows);
    let jacobian = jacobian(&layers, &report.layers, rows);
    for (r, out) in out.iter_mut().enumerate() {
        let steepest: Vec<f64> =
            (0..mid.len()).map(|k| jacobian.interval(r, k).magnitude()).collect();
        let fall = fall(region, &steepest, &mid, &rad);
        *out = narrow_down((values[r].lo - fall).next_down());
    }
    Ok(report.work)
}

/// Whether the region has its middle. The box around an linf ball in a box, which is that region but
/// for rounding outward, counts as the region, as it does where the engine bounds pre-activations.
fn holds(region: &Region<'_>, mid: &[f32]) -> bool {
    match region {
        Region::Ball(_) => true,
        Region::Box { lo, hi } | Region::BallInBox { lo, hi, .. } => {
            mid.iter().zip(lo.iter().zip(*hi)).all(|(x, (lo, hi))| lo <= x && x <= hi)
        }
    }
}

/// `C f(y)`.
fn values(layers: &[(Layer<'_>, Wide)], y: &[f32], rows: &Spread) -> Vec<Interval> {
    let mut x = Spread::exact(Array2::from_shape_fn((1, y.len()), |(_, k)| f64::from(y[k])));
    for (layer, wide) in layers {
        let z = x.forward(wide);
        let leak = leak(layer);
        x = Spread::around((1, layer.rows), |_, i| {
            let bias = Interval::stored(layer.bias[i], 0.0, layer.bias_error);
            active(z.interval(0, i) + bias, f64::from(leak))
        });
    }
    let row = |r: usize| {
        (0..x.centre.ncols()).fold(ZERO, |sum, j| sum + rows.interval(r, j) * x.interval(0, j))
    };
    (0..rows.count()).map(row).collect()
}

/// `max(z, leak*z)`.
fn active(z: Interval, leak: f64) -> Interval {
    let least = |z: f64, rounded: fn(f64) -> f64| match leak {
        _ if !(z < 0.0) => z,
        0.0 => 0.0,
        1.0 => z,
        leak => rounded(leak * z),
    };
    Interval { lo: least(z.lo, f64::next_down), hi: least(z.hi, f64::next_up) }
}

/// `J`, `[rows][inputs]`, for all slopes that the neurons may have.
fn jacobian(layers: &[(Layer<'_>, Wide)], ends: &[Vec<(f32, f32)>], rows: Spread) -> Spread {
    let Some((last, inner)) = layers.split_last() else { return rows };
    let mut jacobian = rows.back(&last.1);
    for ((layer, wide), ends) in inner.iter().zip(ends).rev() {
        let leak = f64::from(leak(layer));
        let shape = (jacobian.count(), layer.rows);
        let sloped = Spread::around(shape, |r, i| {
            let a = jacobian.interval(r, i);
            match ends[i] {
                (lo, _) if lo >= 0.0 || leak == 1.0 => a,
                (_, hi) if hi <= 0.0 => a * Interval { lo: leak, hi: leak },
                _ => a.relaxed(leak),
            }
        });
        jacobian = sloped.back(wide);
    }
    jacobian
}

/// Upper bound of `v . |x - y|` over the region, `v >= 0`: over the box around it, or over its ball
/// by Hoelder, whichever is smaller.
fn fall(region: &Region<'_>, v: &[f64], mid: &[f32], rad: &[f32]) -> f64 {
    let in_box =
        v.iter().zip(rad).fold(0.0, |sum, (v, rad)| add_up(sum, mul_up(*v, f64::from(*rad))));
    let ball = match region {
        Region::Ball(ball) | Region::BallInBox { ball, .. } if ball.norm != Norm::Linf => ball,
        _ => return in_box,
    };
    let narrow: Vec<f32> = v.iter().map(|v| from_f64_up(*v)).collect();
    let reach = vec![ball.radius; rad.len()];
    // A ball is the same in all quadrants.
    let in_ball = Region::Ball(*ball).reach(&Portable, Row::F32(&narrow), mid, &reach, false);
    let in_ball = f64::from(in_ball.below);
    if in_ball < in_box { in_ball } else { in_box }
}

#[cfg(test)]
mod tests;

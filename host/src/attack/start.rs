//! Random ways to begin a restart with.

use certus_engine::region::Norm;
use fastrand::Rng;

/// The generator of one restart on one sample: nothing else has a part in it.
pub fn rng(seed: u64, index: usize, restart: usize) -> Rng {
    // Distinct odd multipliers keep neighbouring seeds, samples and restarts apart.
    let mixed = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15)
        ^ (index as u64).wrapping_mul(0xd1b5_4a32_d192_ed03)
        ^ (restart as u64).wrapping_mul(0x8cb9_2ba7_2f3d_8dd7);
    Rng::with_seed(mixed)
}

/// A way drawn from the ball of `radius` in `norm`, uniformly for l1, l2 and linf.
///
/// linf: each coordinate on its own. l2 and l1: a direction from normal or Laplace variables, at
/// `radius * u^(1/n)`. Another p takes the direction of l2, which is not uniform there.
pub fn draw(rng: &mut Rng, norm: Norm, radius: f64, way: &mut [f64]) {
    let n = way.len().max(1) as f64;
    // Never 0, for the logarithm.
    let unit = |rng: &mut Rng| 1.0 - rng.f64();
    match norm {
        Norm::Linf => way.iter_mut().for_each(|w| *w = radius * (2.0 * rng.f64() - 1.0)),
        Norm::L2 | Norm::Lp(_) => way.iter_mut().for_each(|w| {
            let angle = std::f64::consts::TAU * rng.f64();
            *w = (-2.0 * unit(rng).ln()).sqrt() * angle.cos();
        }),
        Norm::L1 => way.iter_mut().for_each(|w| {
            let size = -unit(rng).ln();
            *w = if rng.bool() { size } else { -size };
        }),
    }
    if norm == Norm::Linf {
        return;
    }
    let length = super::project::length(way, norm);
    if length > 0.0 {
        let scale = radius * unit(rng).powf(1.0 / n) / length;
        way.iter_mut().for_each(|w| *w *= scale);
    }
}

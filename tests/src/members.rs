//! f32 points of a region, for what runs in floats.

use crate::rational::{Rational, ceil_f32, exact, floor_f32, from_slice};
use crate::region::{Norm, Region};

/// Corners beyond these inputs are too many.
const MAX_CORNERS: usize = 10;

/// f32 points of `region`, each checked exactly: the centre, the corners and tips rounded
/// inward, the f32 neighbours of each of `hints` (say, an exact minimiser), and up to `random`
/// random ones, half of them near the border.
pub fn members(
    region: &Region,
    hints: &[Vec<Rational>],
    random: usize,
    rng: &mut fastrand::Rng,
) -> Vec<Vec<f32>> {
    let mut found: Vec<Vec<f32>> = Vec::new();
    let Some((lo, hi)) = region.bounding_box() else { return found };
    let mut offer = |x: Vec<f32>| {
        if region.contains(&x) && !found.contains(&x) {
            found.push(x);
        }
    };
    let middle: Vec<f32> =
        lo.iter().zip(&hi).map(|(lo, hi)| floor_f32(&((lo + hi) / Rational::from(2)))).collect();
    let center = region.as_ball().map_or(&middle[..], |(center, ..)| center);
    offer(middle.clone());
    offer(center.to_vec());
    for hint in hints.iter().chain(&tips(region)) {
        neighbours(hint, &mut offer);
    }
    let inner: Vec<(f32, f32)> =
        lo.iter().zip(&hi).map(|(lo, hi)| (ceil_f32(lo), floor_f32(hi))).collect();
    if inner.len() <= MAX_CORNERS {
        for corner in 0..1usize << inner.len() {
            let at = |(i, side): (usize, &(f32, f32))| {
                if corner >> i & 1 == 1 { side.1 } else { side.0 }
            };
            offer(inner.iter().enumerate().map(at).collect());
        }
    }
    for i in 0..random {
        offer(draw(region, center, &inner, i % 2 == 0, rng));
    }
    found
}

/// The smallest value of `run` over `points`, and where; a NaN is smaller than everything.
pub fn least(points: &[Vec<f32>], mut run: impl FnMut(&[f32]) -> f32) -> Option<(f32, &[f32])> {
    let mut best: Option<(f32, &[f32])> = None;
    for x in points {
        let value = run(x);
        if value.is_nan() {
            return Some((value, x));
        }
        if best.is_none_or(|(least, _)| value < least) {
            best = Some((value, x));
        }
    }
    best
}

/// The points where a ball touches the box around it, and its diagonal points.
fn tips(region: &Region) -> Vec<Vec<Rational>> {
    let Some((center, eps, norm)) = region.as_ball() else { return Vec::new() };
    let n = center.len();
    let real = from_slice(center);
    let mut tips = Vec::new();
    for i in 0..n {
        for sign in [1.0, -1.0] {
            let mut tip = real.clone();
            tip[i] = &tip[i] + exact(sign * eps);
            tips.push(tip);
        }
    }
    let share = match norm {
        Norm::L1 => eps / n as f64,
        Norm::L2 => eps / (n as f64).sqrt(),
        Norm::Linf => eps,
    };
    // A share that was rounded up may leave the ball: the neighbours below it do not.
    if n > 1 && n <= MAX_CORNERS && share.is_finite() {
        for corner in 0..1usize << n {
            let sign = |i: usize| if corner >> i & 1 == 1 { share } else { -share };
            tips.push((0..n).map(|i| &real[i] + exact(sign(i))).collect());
        }
    }
    tips
}

/// The f32 points around `x`: each coordinate rounded down and up (for many inputs, all down,
/// all up).
fn neighbours(x: &[Rational], offer: &mut impl FnMut(Vec<f32>)) {
    let sides: Vec<(f32, f32)> = x.iter().map(|x| (floor_f32(x), ceil_f32(x))).collect();
    let all = (1usize << sides.len().min(MAX_CORNERS)) - 1;
    for up in 0..=all {
        let high = |i: usize| if sides.len() > MAX_CORNERS { up == all } else { up >> i & 1 == 1 };
        let each = sides.iter().enumerate();
        offer(each.map(|(i, side)| if high(i) { side.1 } else { side.0 }).collect());
    }
}

fn draw(
    region: &Region,
    center: &[f32],
    inner: &[(f32, f32)],
    border: bool,
    rng: &mut fastrand::Rng,
) -> Vec<f32> {
    let clamp = |x: f64, side: &(f32, f32)| (x as f32).max(side.0).min(side.1);
    let Some((_, eps, norm)) = region.as_ball().filter(|&(_, _, norm)| norm != Norm::Linf) else {
        let mut coordinate = |side: &(f32, f32)| {
            let (lo, hi) = (f64::from(side.0), f64::from(side.1));
            match (border, rng.u8(0..4)) {
                (true, 0) => side.0,
                (true, 1) => side.1,
                _ => clamp(lo + rng.f64() * (hi - lo), side),
            }
        };
        return inner.iter().map(&mut coordinate).collect();
    };
    let direction: Vec<f64> = center.iter().map(|_| rng.f64() * 2.0 - 1.0).collect();
    let length = match norm {
        Norm::L1 => direction.iter().map(|d| d.abs()).sum::<f64>(),
        _ => direction.iter().map(|d| d * d).sum::<f64>().sqrt(),
    };
    // Just short of the border, so that rounding to f32 leaves most points inside.
    let reach = eps * if border { 1.0 - 1e-7 } else { rng.f64() } / length.max(f64::MIN_POSITIVE);
    let each = direction.iter().zip(center).zip(inner);
    each.map(|((d, &c), side)| clamp(f64::from(c) + d * reach, side)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_are_inside_and_reach_the_corners() {
        let mut rng = fastrand::Rng::with_seed(1);
        for norm in [Norm::L1, Norm::L2, Norm::Linf] {
            let region = Region::ball(&[0.3, -0.7], 0.1, norm);
            let points = members(&region, &[], 40, &mut rng);
            assert!(points.len() > 20, "{norm:?}: {}", points.len());
            assert!(points.iter().all(|x| region.contains(x)));
            let far =
                points.iter().map(|x| f64::from(x[0]) - f64::from(0.3f32)).fold(0.0, f64::max);
            assert!(far > 0.1 - 1e-7 && far <= 0.1, "{norm:?}: {far}");
        }
    }

    #[test]
    fn tiny_and_empty_regions() {
        let mut rng = fastrand::Rng::with_seed(2);
        let point = Region::ball(&[1.0, 2.0], 1e-9, Norm::L2);
        assert_eq!(members(&point, &[], 10, &mut rng), [[1.0, 2.0]]);
        let empty = Region::ball(&[0.0], 1.0, Norm::L1).cut(&[2.0], &[3.0]);
        assert!(members(&empty, &[], 10, &mut rng).is_empty());
    }

    #[test]
    fn least_reports_nan() {
        let points = [vec![1.0], vec![2.0], vec![3.0]];
        assert_eq!(least(&points, |x| -x[0]), Some((-3.0, &[3.0][..])));
        assert!(least(&points, |x| if x[0] == 2.0 { f32::NAN } else { 0.0 }).unwrap().0.is_nan());
    }
}

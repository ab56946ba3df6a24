//! Curved activations in f64, and how close two lines can come to them.

use certus_engine::model::Activation;
use certus_engine::relax::Relaxation;

/// Kinks, jumps, inflections, lowest points and ends of the activations' interesting parts.
pub const SPECIAL: [f32; 16] = [
    0.0,
    -1.0,
    1.0,
    6.0,
    -3.5,
    -0.25,
    std::f32::consts::SQRT_2,
    -std::f32::consts::SQRT_2,
    2.399_357_3,
    -2.399_357_3,
    -1.278_464_5,
    -0.751_791_5,
    88.0,
    -88.0,
    -104.0,
    9.0,
];

/// The activation at `z` within a few units of f64; from both sides where it jumps, else twice the
/// same.
///
/// # Panics
/// For activations that are not curved.
pub fn reference(activation: Activation, z: f32) -> [f64; 2] {
    let x = f64::from(z);
    let sigmoid = |x: f64| {
        if x < 0.0 { x.exp() / (1.0 + x.exp()) } else { 1.0 / (1.0 + (-x).exp()) }
    };
    let y = match activation {
        Activation::Abs => x.abs(),
        Activation::Sign if z == 0.0 => return [-1.0, 1.0],
        Activation::Sign => x.signum(),
        Activation::Step if z == 0.0 => return [1.0; 2],
        Activation::Step => f64::from(u8::from(z > 0.0)),
        Activation::Clip(lo, hi) => x.clamp(f64::from(lo), f64::from(hi)),
        Activation::Elu(scale) if x < 0.0 => f64::from(scale) * x.exp_m1(),
        Activation::Elu(_) => x,
        Activation::Softplus => x.max(0.0) + (-x.abs()).exp().ln_1p(),
        Activation::Sigmoid => sigmoid(x),
        Activation::Tanh => x.tanh(),
        Activation::Atan => x.atan(),
        Activation::Silu => x * sigmoid(x),
        Activation::Gelu => x * 0.5 * libm::erfc(-x * std::f64::consts::FRAC_1_SQRT_2),
        other => panic!("{other:?} is not curved"),
    };
    [y; 2]
}

/// All curved activations, with some parameters.
pub fn activations() -> Vec<Activation> {
    let mut all = vec![
        Activation::Abs,
        Activation::Sign,
        Activation::Step,
        Activation::Softplus,
        Activation::Sigmoid,
        Activation::Tanh,
        Activation::Atan,
        Activation::Silu,
        Activation::Gelu,
    ];
    all.extend([(0.0, 6.0), (-1.0, 1.0), (-3.5, -0.25)].map(|(lo, hi)| Activation::Clip(lo, hi)));
    all.extend([1.0, 0.3, 1.67, 20.0].map(Activation::Elu));
    all
}

/// An interval of some scale, often about 0 or a special point.
pub fn interval(rng: &mut fastrand::Rng) -> (f32, f32) {
    let scale = 10f32.powf(rng.f32() * 8.0 - 5.0);
    let centre = match rng.usize(0..4) {
        0 => 0.0,
        1 => SPECIAL[rng.usize(0..SPECIAL.len())],
        2 => 10.0 * (rng.f32() - 0.5),
        _ => 100.0 * scale * (rng.f32() - 0.5),
    };
    let (a, b) = (centre - scale * rng.f32(), centre + scale * rng.f32());
    if rng.usize(0..20) == 0 { (a, a) } else { (a, b) }
}

/// Points of `[lo, hi]` where lines may fail: ends, kinks, inflections, tangent points (wherever the
/// function comes nearest to a line), and their neighbours.
pub fn points(activation: Activation, lo: f32, hi: f32, line: &Relaxation) -> Vec<f32> {
    let mut all = vec![lo, hi];
    all.extend(SPECIAL);
    if let Activation::Clip(a, b) = activation {
        all.extend([a, b]);
    }
    let grid =
        |i: usize| (f64::from(lo) + (f64::from(hi) - f64::from(lo)) * i as f64 / 64.0) as f32;
    let gap = |z: f32, above: bool| {
        let y = reference(activation, z)[0];
        if above {
            f64::from(line.slope_up) * f64::from(z) + f64::from(line.icpt_up) - y
        } else {
            y - f64::from(line.slope_lo) * f64::from(z) - f64::from(line.icpt_lo)
        }
    };
    for above in [true, false] {
        let nearest = (1..64).min_by(|i, j| gap(grid(*i), above).total_cmp(&gap(grid(*j), above)));
        let i = nearest.expect("63 of them");
        // Halve the bracket around the nearest of the grid.
        let (mut a, mut b) = (grid(i - 1), grid(i + 1));
        for _ in 0..40 {
            let (c, d) = (a + (b - a) * 0.382, a + (b - a) * 0.618);
            if gap(c, above) < gap(d, above) { b = d } else { a = c }
        }
        all.push(a);
    }
    let mut near = Vec::new();
    for z in all {
        let (mut down, mut up) = (z, z);
        for _ in 0..8 {
            near.extend([down, up]);
            (down, up) = (down.next_down(), up.next_up());
        }
    }
    near.extend((0..=64).map(grid));
    near.retain(|z| lo <= *z && *z <= hi);
    near
}

/// The least distance, at the middle of `[lo, hi]`, between a line above the activation and one
/// below, from the hulls of a fine grid: a little below the truth. The area between two lines is
/// that distance times the width.
pub fn hull_gap(activation: Activation, lo: f32, hi: f32) -> f64 {
    const GRID: usize = 4000;
    let (a, b) = (f64::from(lo), f64::from(hi));
    let mut points: Vec<f32> =
        (0..=GRID).map(|i| (a + (b - a) * i as f64 / GRID as f64) as f32).collect();
    points.extend(SPECIAL);
    if let Activation::Clip(lo, hi) = activation {
        points.extend([lo, hi]);
    }
    // Wide intervals bend in a small part of themselves.
    points.extend((0..400).flat_map(|i| {
        let z = 1e-3 * 1.04f32.powi(i);
        [z, -z]
    }));
    points.retain(|z| lo <= *z && *z <= hi);
    points.sort_by(f32::total_cmp);
    points.dedup();
    let m = 0.5 * a + 0.5 * b;
    let values: Vec<[f64; 3]> = points
        .iter()
        .map(|z| {
            let [y, other] = reference(activation, *z);
            [f64::from(*z), y.max(other), y.min(other)]
        })
        .collect();
    let height = |above: bool| {
        let point = |p: &[f64; 3]| (p[0], if above { p[1] } else { -p[2] });
        // The upper hull (Andrew's chain), then its height at m.
        let mut hull: Vec<(f64, f64)> = Vec::new();
        for (x, y) in values.iter().map(point) {
            while let [.., p, q] = hull[..]
                && (q.0 - p.0) * (y - p.1) >= (q.1 - p.1) * (x - p.0)
            {
                hull.pop();
            }
            hull.push((x, y));
        }
        let k = hull.partition_point(|p| p.0 < m).clamp(1, hull.len().max(2) - 1);
        match (hull.get(k - 1), hull.get(k)) {
            (Some(p), Some(q)) => p.1 + (q.1 - p.1) * (m - p.0) / (q.0 - p.0),
            _ => hull[0].1,
        }
    };
    height(true) + height(false)
}

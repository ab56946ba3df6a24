//! Twins of the kernels of a search: `climb_pass`, `climb_back`, `climb_aim`, `climb_step` and `climb_best`.

use super::step::row_sums;
use crate::layout::Climb;

/// A layer's activations.
pub fn climb_pass(p: &Climb, w: &[f32], bias: &[f32], fed: &[f32], out: &mut [f32]) {
    let (neurons, cols) = (p.neurons as usize, p.cols as usize);
    for (fed, out) in fed.chunks_exact(cols).zip(out.chunks_exact_mut(neurons)) {
        for (i, out) in out.iter_mut().enumerate() {
            let terms = w[i * cols..].iter().zip(fed);
            let z = terms.fold(0.0, |sum, (w, x)| sum + w * x) + bias[i];
            *out = if z > 0.0 || i < p.through as usize { z } else { p.leak * z };
        }
    }
}

/// Gradients by what feeds a layer.
pub fn climb_back(p: &Climb, w: &[f32], out: &[f32], above: &[f32], below: &mut [f32]) {
    let (neurons, cols) = (p.neurons as usize, p.cols as usize);
    let rows = out.chunks_exact(neurons).zip(above.chunks_exact(neurons));
    for ((out, above), below) in rows.zip(below.chunks_exact_mut(cols)) {
        for (j, below) in below.iter_mut().enumerate() {
            let terms = out.iter().zip(above).enumerate().map(|(i, (out, g))| {
                let straight = *out > 0.0 || i < p.through as usize;
                let slope = if straight { 1.0 } else { p.leak };
                g * slope * w[i * cols + j]
            });
            *below = terms.fold(0.0, |sum, term| sum + term);
        }
    }
}

/// Leads, the points that are kept, and what is to be raised.
pub fn climb_aim(
    p: &Climb,
    tasks: &[[u32; 4]],
    out: &[f32],
    points: &[f32],
    seeds: &mut [f32],
    leads: &mut [f32],
    kept: &mut [f32],
) {
    let (neurons, inputs) = (p.neurons as usize, p.inputs as usize);
    for (row, [_, class, target, _]) in tasks.iter().enumerate() {
        let out = &out[row * neurons..][..neurons];
        let seeds = &mut seeds[row * neurons..][..neurons];
        seeds.fill(0.0);
        let ahead = |j: usize| out[j] - out[*class as usize];
        let mut best: Option<usize> = None;
        for j in (0..neurons).filter(|j| *j != *class as usize) {
            if best.is_none_or(|best| ahead(j) > ahead(best)) {
                best = Some(j);
            }
        }
        let numbers = (0..neurons).all(|j| ahead(j).is_finite());
        let Some(best) = best.filter(|_| numbers) else { continue };
        let raised = if *target < p.neurons { *target as usize } else { best };
        (seeds[raised], seeds[*class as usize]) = (1.0, -1.0);
        if ahead(best) > leads[row] {
            leads[row] = ahead(best);
            let point = &points[row * inputs..][..inputs];
            kept[row * inputs..][..inputs].copy_from_slice(point);
        }
    }
}

/// A step of each point.
pub fn climb_step(
    p: &Climb,
    tasks: &[[u32; 4]],
    bases: &[f32],
    radii: &[f32],
    gradients: &[f32],
    ahead: &mut [f32],
    points: &mut [f32],
) {
    let n = p.inputs as usize;
    for (row, [sample, ..]) in tasks.iter().enumerate() {
        let base = &bases[*sample as usize * n..][..n];
        let radius = radii[*sample as usize];
        let gradient = &gradients[row * n..][..n];
        let (ahead, point) = (&mut ahead[row * n..][..n], &mut points[row * n..][..n]);
        let [size] = row_sums::<256, 1>(n, |k| [gradient[k].abs()]);
        for (ahead, g) in ahead.iter_mut().zip(gradient) {
            let turned = if size > 0.0 && size.is_finite() { g / size } else { 0.0 };
            *ahead = p.momentum * *ahead + turned;
        }
        let room = |k: usize, way: f32| {
            let side = if way > 0.0 { p.hi - base[k] } else { base[k] - p.lo };
            side.min(radius)
        };
        let (mut factor, mut scale) = (0.0, 1.0);
        if p.norm == 2 {
            let [square] = row_sums::<256, 1>(n, |k| [ahead[k] * ahead[k]]);
            if square > 0.0 {
                factor = p.length / square.sqrt();
            }
            scale = shrink(n, radius, |k| {
                let way = point[k] - base[k] + factor * ahead[k];
                [way.abs(), room(k, way)]
            });
        }
        for k in 0..n {
            let mut way = point[k] - base[k] + factor * ahead[k];
            if p.norm == 0 && ahead[k] != 0.0 {
                way += if ahead[k] > 0.0 { p.length } else { -p.length };
            }
            let moved = (way.abs() * scale).min(room(k, way));
            point[k] = base[k] + if way > 0.0 { moved } else { -moved };
        }
    }
}

/// By what ways are scaled that shall stay in the ball; `of`: length and room of each coordinate.
fn shrink(n: usize, radius: f32, of: impl Fn(usize) -> [f32; 2]) -> f32 {
    let mut scale = 0.0f32;
    for _ in 0..12 {
        let [stopped, free] = row_sums::<256, 2>(n, |k| {
            let [way, room] = of(k);
            let stops = way * scale > room;
            let share = if stops { room } else { way } / radius;
            if stops { [share * share, 0.0] } else { [0.0, share * share] }
        });
        let next = ((1.0 - stopped).max(0.0) / free).sqrt();
        scale = if next < 1.0 { scale.max(next) } else { 1.0 };
    }
    scale
}

/// Of each sample the point with the largest lead.
pub fn climb_best(p: &Climb, firsts: &[u32], leads: &[f32], kept: &[f32], found: &mut [f32]) {
    let n = p.inputs as usize;
    for (of, found) in firsts.windows(2).zip(found.chunks_exact_mut(n + 1)) {
        let mut best = of[0] as usize;
        for row in of[0] as usize..of[1] as usize {
            if leads[row] > leads[best] {
                best = row;
            }
        }
        found[..n].copy_from_slice(&kept[best * n..][..n]);
        found[n] = leads[best];
    }
}

//! `climb_step`: a step up, and the nearest point in the ball and the box.

use certus::gpu::Device;
use certus_engine::num::gamma;
use certus_shaders::kernel::{CLIMB_STEP, Kernel};
use certus_shaders::layout::Climb;
use certus_shaders::{ETA, U, twin};
use fastrand::Rng;

use super::climb::run;
use super::{Draw, Outcome, bytes, row_grid};

/// Roundings of a device's division or root: at most 4.5 units of the last place.
const ROUGH: f64 = 4.5 * U;

/// Points on their way, three of each sample.
pub(super) struct Steps {
    pub(super) p: Climb,
    tasks: Vec<[u32; 4]>,
    bases: Vec<f32>,
    pub(super) radii: Vec<f32>,
    gradients: Vec<f32>,
    ahead: Vec<f32>,
    points: Vec<f32>,
}

impl Steps {
    pub(super) fn draw(rng: &mut Rng, [samples, n]: [usize; 2], norm: u32, cut: bool) -> Self {
        let rows = 3 * samples;
        let (lo, hi) = if cut { (-1.0, 1.0) } else { (-2f32.powi(120), 2f32.powi(120)) };
        let p = Climb {
            rows: rows as u32,
            inputs: n as u32,
            norm,
            length: [0.02, 0.5][rng.usize(0..2)],
            momentum: [0.0, 0.75][rng.usize(0..2)],
            lo,
            hi,
            ..Climb::default()
        };
        // Some on a side of the box.
        let bases: Vec<f32> = (0..samples * n)
            .map(|_| if rng.u8(0..4) == 0 { 1.0 } else { rng.f32() * 2.0 - 1.0 })
            .collect();
        let radii: Vec<f32> = (0..samples).map(|_| [0.01, 0.3, 3.0][rng.usize(0..3)]).collect();
        let tasks: Vec<[u32; 4]> = (0..rows).map(|row| [(row % samples) as u32, 0, 0, 0]).collect();
        let mut points = Vec::new();
        for [sample, ..] in &tasks {
            let radius = radii[*sample as usize] / if norm == 2 { (n as f32).sqrt() } else { 1.0 };
            let base = &bases[*sample as usize * n..][..n];
            let near = base.iter().map(|b| (b + radius * (rng.f32() - 0.5)).clamp(lo, hi));
            points.extend(near);
        }
        let mut gradients = Draw::Even.many(rng, rows * n);
        for (row, gradient) in gradients.chunks_exact_mut(n).enumerate() {
            match row % 5 {
                1 => gradient.fill(0.0),
                2 => gradient.iter_mut().for_each(|g| *g *= 2f32.powi(90)),
                3 => gradient[0] = [f32::NAN, f32::INFINITY][rng.usize(0..2)],
                _ => {}
            }
        }
        let scale = 1.0 / n as f32;
        let ahead = Draw::Even.many(rng, rows * n).into_iter().map(|a| scale * a).collect();
        Self { p, tasks, bases, radii, gradients, ahead, points }
    }

    pub(super) fn check(&self, device: &Device, kernel: &Kernel) -> Outcome {
        let Self { p, tasks, bases, radii, gradients, ahead, points } = self;
        let grid = row_grid(tasks.len());
        let grid = [grid[0] as usize, grid[1] as usize];
        let read = [bytes(tasks), bytes(bases), bytes(radii), bytes(gradients)];
        let written = [bytes(ahead), bytes(points)];
        let found = run(device, kernel, p, &read, &written, grid);
        let n = p.inputs as usize;
        for (row, [sample, ..]) in tasks.iter().enumerate() {
            let of =
                |x: &[f32]| x[row * n..][..n].iter().map(|x| f64::from(*x)).collect::<Vec<_>>();
            let base = bases[*sample as usize * n..][..n].iter().map(|x| f64::from(*x));
            let base: Vec<f64> = base.collect();
            let (turned, point) = (of(&found[0]), of(&found[1]));
            let name = |why: String| format!("row {row}, {why}");
            self.turned(&of(gradients), &of(ahead), &turned).map_err(name)?;
            let radius = f64::from(radii[*sample as usize]);
            self.moved(&base, radius, &of(points), &turned, &point).map_err(name)?;
        }
        let (mut ahead, mut points) = (ahead.clone(), points.clone());
        twin::climb_step(p, tasks, bases, radii, gradients, &mut ahead, &mut points);
        // The twin does no other: its roundings are half the size.
        for (row, [sample, ..]) in tasks.iter().enumerate() {
            let of =
                |x: &[f32]| x[row * n..][..n].iter().map(|x| f64::from(*x)).collect::<Vec<_>>();
            let base = bases[*sample as usize * n..][..n].iter().map(|x| f64::from(*x));
            let radius = f64::from(radii[*sample as usize]);
            let before = of(&self.points);
            self.turned(&of(gradients), &of(&self.ahead), &of(&ahead))?;
            self.moved(&base.collect::<Vec<_>>(), radius, &before, &of(&ahead), &of(&points))?;
        }
        Ok(())
    }

    /// Relative error of a sum by 256 threads.
    fn sum(&self) -> f64 {
        f64::from(gamma(2 * (self.p.inputs.div_ceil(256) + 10)))
    }

    /// `momentum * ahead + gradient / ||gradient||_1`.
    fn turned(&self, gradient: &[f64], ahead: &[f64], found: &[f64]) -> Outcome {
        let size: f64 = gradient.iter().map(|g| g.abs()).sum();
        let usual = size > 0.0 && size.is_finite();
        for (k, ((g, a), found)) in gradient.iter().zip(ahead).zip(found).enumerate() {
            let kept = f64::from(self.p.momentum) * a;
            let new = if usual { g / size } else { 0.0 };
            let allowed = new.abs() * (self.sum() + ROUGH) + 2.0 * U * (kept.abs() + new.abs());
            let expected = kept + new;
            if !((found - expected).abs() <= allowed + 4.0 * ETA) {
                return Err(format!("direction {k}: {found:e} for {expected:e}"));
            }
        }
        Ok(())
    }

    /// The step along a direction, and the conditions of the nearest point in the ball and the box: linf each
    /// coordinate on its own, l2 with one scale for all that do not meet the box.
    fn moved(
        &self,
        base: &[f64],
        radius: f64,
        before: &[f64],
        ahead: &[f64],
        found: &[f64],
    ) -> Outcome {
        let p = &self.p;
        let (lo, hi, length) = (f64::from(p.lo), f64::from(p.hi), f64::from(p.length));
        let square: f64 = ahead.iter().map(|a| a * a).sum();
        let factor = if p.norm == 2 && square > 0.0 { length / square.sqrt() } else { 0.0 };
        let step = |a: f64| match p.norm {
            2 => factor * a,
            _ if a == 0.0 => 0.0,
            _ => length.copysign(a),
        };
        let n = base.len();
        let ways: Vec<f64> = (0..n).map(|k| before[k] - base[k] + step(ahead[k])).collect();
        let room = |k: usize| {
            let side = if ways[k] > 0.0 { hi - base[k] } else { base[k] - lo };
            side.min(radius)
        };
        // Of a way: the difference, the factor by its root and quotient, the sum; then the scale, by sums,
        // quotient and root; in the end the point itself rounds.
        let each = self.sum() + 3.0 * ROUGH + 6.0 * U;
        let allowed = |k: usize| {
            let size = (before[k] - base[k]).abs() + step(ahead[k]).abs();
            2.0 * each * size + 2.0 * U * (base[k].abs() + radius.min(size)) + 8.0 * ETA
        };
        let moved: Vec<f64> = (0..n).map(|k| found[k] - base[k]).collect();
        // The scale by the coordinate that moved the most and did not meet the box.
        let free = |k: &usize| moved[*k].abs() + 4.0 * allowed(*k) < room(*k);
        let most = (0..n).filter(free).max_by(|a, b| moved[*a].abs().total_cmp(&moved[*b].abs()));
        let scale = match most {
            Some(k) if p.norm == 2 && ways[k] != 0.0 => (moved[k] / ways[k]).abs().min(1.0),
            _ => 1.0,
        };
        let error = most.map_or(0.0, |k| allowed(k) / ways[k].abs().max(allowed(k)));
        for k in 0..n {
            let size = (ways[k].abs() * scale).min(room(k));
            let off = (moved[k] - size.copysign(ways[k])).abs();
            // A way too small to have a side goes either way.
            if !(off <= 2.0 * allowed(k) + error * ways[k].abs()) {
                return Err(format!("point {k}: {:e} for {size:e}", moved[k]));
            }
        }
        let total = moved.iter().map(|way| way * way).sum::<f64>().sqrt();
        let off: f64 = (0..n).map(|k| allowed(k) * allowed(k)).sum::<f64>().sqrt();
        let slack = 2.0 * off + radius * each;
        if p.norm == 2 && total > radius + slack {
            return Err(format!("a way of {total:e}, the radius is {radius:e}"));
        }
        // Scaled no more than the ball asks for.
        if p.norm == 2 && scale < 1.0 - error - each && total < radius - slack - n as f64 * off {
            return Err(format!("a way of {total:e} by {scale}, the radius is {radius:e}"));
        }
        Ok(())
    }
}

#[test]
fn steps_lead_up_and_stay_inside() {
    let Some(device) = crate::device("steps_lead_up_and_stay_inside") else { return };
    let mut rng = Rng::with_seed(43);
    for n in [1, 3, 31, 33, 1000, 1025] {
        for norm in [0, 2] {
            for cut in [false, true] {
                let steps = Steps::draw(&mut rng, [4, n], norm, cut);
                steps
                    .check(&device, &CLIMB_STEP)
                    .unwrap_or_else(|why| panic!("{n} inputs, norm {norm}, {cut}: {why}"));
            }
        }
    }
}

//! The kernels of a search. They may be wrong and prove nothing, but shall do what their twins do.

use certus::gpu::Device;
use certus_engine::num::{gamma, underflow};
use certus_shaders::kernel::{CLIMB_AIM, CLIMB_BACK, CLIMB_BEST, CLIMB_PASS, CLIMB_STEP, Kernel};
use certus_shaders::layout::Climb;
use certus_shaders::{ETA, U, twin};
use certus_tests::rational::{dot, exact};
use fastrand::Rng;

use super::{Draw, LEFT, Outcome, bytes, floats, near, normal, planted, row_grid, run_with, same};

/// Points, neurons, inputs of a layer.
const SHAPES: [[usize; 3]; 6] =
    [[1, 1, 1], [3, 31, 33], [33, 3, 31], [2, 33, 1000], [40, 2, 1025], [31, 65, 64]];

/// Roundings of a device's division or root: at most 4.5 units of the last place.
const ROUGH: f64 = 4.5 * U;

fn run(
    device: &Device,
    kernel: &Kernel,
    p: &Climb,
    read: &[&[u8]],
    written: &[&[u8]],
    groups: [usize; 2],
) -> Vec<Vec<f32>> {
    let groups = [groups[0] as u32, groups[1] as u32, 1];
    let found = run_with(device, kernel, bytes(std::slice::from_ref(p)), read, written, groups);
    found.iter().map(|words| floats(words)).collect()
}

/// What a layer's kernels read: outputs are of the layer, gradients by them.
struct Layer {
    p: Climb,
    w: Vec<f32>,
    bias: Vec<f32>,
    fed: Vec<f32>,
    out: Vec<f32>,
    above: Vec<f32>,
}

impl Layer {
    /// `alive`: the share of activations above 0.
    fn draw(rng: &mut Rng, [rows, neurons, cols]: [usize; 3], draw: Draw, alive: f32) -> Self {
        let p = Climb {
            rows: rows as u32,
            neurons: neurons as u32,
            cols: cols as u32,
            through: rng.u32(0..=neurons as u32 / 3),
            leak: [0.0, 0.1, 1.0][rng.usize(0..3)],
            ..Climb::default()
        };
        let out = (0..rows * neurons).map(|_| {
            let size = rng.f32() + 0.1;
            if rng.f32() < alive { size } else { [-size, 0.0][rng.usize(0..2)] }
        });
        let out = out.collect();
        let w = draw.rows(rng, [neurons, cols], 1);
        let bias = draw.many(rng, neurons);
        let fed = draw.many(rng, rows * cols).into_iter().map(normal).collect();
        let above = draw.many(rng, rows * neurons).into_iter().map(normal).collect();
        Self { p, w, bias, fed, out, above }
    }

    fn pass(&self, device: &Device, kernel: &Kernel) -> Outcome {
        let Self { p, w, bias, fed, .. } = self;
        let [rows, neurons, cols] = [p.rows, p.neurons, p.cols].map(|n| n as usize);
        let room = vec![LEFT; rows * neurons + 1];
        let groups = [neurons.div_ceil(32), rows.div_ceil(32)];
        let read = [bytes(w), bytes(bias), bytes(fed)];
        let found = run(device, kernel, p, &read, &[bytes(&room)], groups).remove(0);
        let mut expected = room;
        twin::climb_pass(p, w, bias, fed, &mut expected[..rows * neurons]);
        let sizes = |x: &[f32]| x.iter().map(|x| x.abs()).collect::<Vec<f32>>();
        // Sums in any order, the bias, the slope; a flushed weight meets an input, and the other way.
        let terms = cols as u32 + 3;
        let allowed = |of: u32, i: usize| {
            let (w, x) = (&w[i % neurons * cols..][..cols], &fed[i / neurons * cols..][..cols]);
            let size = dot(&sizes(w), &sizes(x)).to_f64_fast() + f64::from(bias[i % neurons].abs());
            let met: f64 = w.iter().chain(x).map(|x| f64::from(x.abs())).sum();
            f64::from(gamma(of)) * size + 2.0 * f64::from(underflow(cols)) + ETA * met
        };
        near("activation", &found, &expected, |i| match i < rows * neurons {
            true => allowed(2 * terms, i) + allowed(terms, i),
            false => 0.0,
        })?;
        // Exactly, of some.
        for i in (0..rows * neurons).step_by((rows * neurons * cols / 30_000).max(1) | 1) {
            let (w, x) = (&w[i % neurons * cols..][..cols], &fed[i / neurons * cols..][..cols]);
            let z = (dot(w, x) + exact(bias[i % neurons])).to_f64_fast();
            let straight = z > 0.0 || i % neurons < p.through as usize;
            let expected = if straight { z } else { f64::from(p.leak) * z };
            let off = (f64::from(found[i]) - expected).abs();
            if !(off <= allowed(2 * terms, i) * (1.0 + 1e-9)) {
                return Err(format!("activation {i}: {:e} for {expected:e}", found[i]));
            }
        }
        Ok(())
    }

    fn back(&self, device: &Device, kernel: &Kernel) -> Outcome {
        let Self { p, w, out, above, .. } = self;
        let [rows, neurons, cols] = [p.rows, p.neurons, p.cols].map(|n| n as usize);
        let room = vec![LEFT; rows * cols + 1];
        let groups = [cols.div_ceil(32), rows.div_ceil(32)];
        let read = [bytes(w), bytes(out), bytes(above)];
        let found = run(device, kernel, p, &read, &[bytes(&room)], groups).remove(0);
        let mut expected = room;
        twin::climb_back(p, w, out, above, &mut expected[..rows * cols]);
        // The slope, the product, sums in any order.
        let terms = neurons as u32 + 2;
        near("gradient", &found, &expected, |at| {
            let (row, j) = (at / cols, at % cols);
            if row >= rows {
                return 0.0;
            }
            let (mut size, mut met) = (0.0, 0.0);
            for i in 0..neurons {
                let (g, w) = (f64::from(above[row * neurons + i]), f64::from(w[i * cols + j]));
                size += (g * w).abs();
                met += g.abs() + w.abs();
            }
            let share = f64::from(gamma(2 * terms)) + f64::from(gamma(terms));
            share * size + 4.0 * f64::from(underflow(neurons)) + 2.0 * ETA * met
        })
    }
}

#[test]
fn layers_are_their_twins() {
    let Some(device) = crate::device("layers_are_their_twins") else { return };
    let mut rng = Rng::with_seed(41);
    for shape in SHAPES {
        for draw in Draw::ALL {
            // Some, all and none of the neurons are alive.
            for alive in [0.5, 2.0, -1.0] {
                let layer = Layer::draw(&mut rng, shape, draw, alive);
                let fail = |why: String| panic!("{shape:?} {draw:?} {alive}: {why}");
                layer.pass(&device, &CLIMB_PASS).unwrap_or_else(fail);
                layer.back(&device, &CLIMB_BACK).unwrap_or_else(fail);
            }
        }
    }
}

/// Outputs of some points, eighths of small numbers: no device rounds their differences.
struct Aims {
    p: Climb,
    tasks: Vec<[u32; 4]>,
    out: Vec<f32>,
    points: Vec<f32>,
    leads: Vec<f32>,
}

impl Aims {
    fn draw(rng: &mut Rng, [rows, neurons, inputs]: [usize; 3]) -> Self {
        let p = Climb {
            rows: rows as u32,
            neurons: neurons as u32,
            inputs: inputs as u32,
            ..Climb::default()
        };
        let mut out = Vec::new();
        let mut tasks = Vec::new();
        for row in 0..rows {
            let range = [2, 1000][row % 2];
            out.extend((0..neurons).map(|_| rng.i32(-range..=range) as f32 / 8.0));
            if row % 7 == 3 {
                let wrong = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY][rng.usize(0..3)];
                out[row * neurons + rng.usize(0..neurons)] = wrong;
            }
            let class = rng.u32(0..neurons as u32);
            let target = if rng.bool() { u32::MAX } else { (class + 1) % neurons as u32 };
            tasks.push([rng.u32(..), class, target, rng.u32(..)]);
        }
        let points = Draw::Even.many(rng, rows * inputs);
        let leads = (0..rows).map(|_| [f32::MIN, 0.0, 1e9][rng.usize(0..3)]).collect();
        Self { p, tasks, out, points, leads }
    }

    fn check(&self, device: &Device, kernel: &Kernel) -> Outcome {
        let Self { p, tasks, out, points, leads } = self;
        let (mut seeds, mut leads) = (vec![LEFT; out.len()], leads.clone());
        let mut kept = vec![LEFT; points.len()];
        let read = [bytes(tasks), bytes(out), bytes(points)];
        let written = [bytes(&seeds), bytes(&leads), bytes(&kept)].map(<[u8]>::to_vec);
        let written = written.each_ref().map(|bytes| &bytes[..]);
        let grid = row_grid(tasks.len());
        let grid = [grid[0] as usize, grid[1] as usize];
        let found = run(device, kernel, p, &read, &written, grid);
        twin::climb_aim(p, tasks, out, points, &mut seeds, &mut leads, &mut kept);
        same("seed", &found[0], &seeds)?;
        same("lead", &found[1], &leads)?;
        same("kept", &found[2], &kept)
    }
}

#[test]
fn aims_are_their_twins() {
    let Some(device) = crate::device("aims_are_their_twins") else { return };
    let mut rng = Rng::with_seed(42);
    for shape in SHAPES.into_iter().chain([[33000, 3, 1]]) {
        for _ in 0..4 {
            let aims = Aims::draw(&mut rng, shape);
            aims.check(&device, &CLIMB_AIM).unwrap_or_else(|why| panic!("{shape:?}: {why}"));
        }
    }
}

/// Points on their way, three of each sample.
struct Steps {
    p: Climb,
    tasks: Vec<[u32; 4]>,
    bases: Vec<f32>,
    radii: Vec<f32>,
    gradients: Vec<f32>,
    ahead: Vec<f32>,
    points: Vec<f32>,
}

impl Steps {
    fn draw(rng: &mut Rng, [samples, n]: [usize; 2], norm: u32, cut: bool) -> Self {
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

    fn check(&self, device: &Device, kernel: &Kernel) -> Outcome {
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

fn best(rng: &mut Rng, device: &Device, kernel: &Kernel, n: usize) -> Outcome {
    let mut firsts = vec![0u32];
    for _ in 0..5 {
        firsts.push(firsts[firsts.len() - 1] + rng.u32(1..9));
    }
    let rows = firsts[5] as usize;
    let p = Climb { rows: rows as u32, inputs: n as u32, ..Climb::default() };
    let leads: Vec<f32> = (0..rows).map(|_| rng.i32(-9..9) as f32).collect();
    let kept = Draw::Even.many(rng, rows * n);
    let mut expected = vec![LEFT; 5 * (n + 1)];
    let read = [bytes(&firsts), bytes(&leads), bytes(&kept)];
    let found = run(device, kernel, &p, &read, &[bytes(&expected)], [5, 1]);
    twin::climb_best(&p, &firsts, &leads, &kept, &mut expected);
    same("best", &found[0], &expected)
}

#[test]
fn the_best_is_its_twins() {
    let Some(device) = crate::device("the_best_is_its_twins") else { return };
    let mut rng = Rng::with_seed(44);
    for n in [1, 3, 31, 33, 1000, 1025] {
        best(&mut rng, &device, &CLIMB_BEST, n).unwrap_or_else(|why| panic!("{n}: {why}"));
    }
}

#[test]
fn mistakes_in_searches_are_found() {
    let Some(device) = crate::device("mistakes_in_searches_are_found") else { return };
    let device = &device;
    let mut rng = Rng::with_seed(45);
    type Check<'a> = Box<dyn FnMut(&Kernel) -> Outcome + 'a>;
    let each = |kernel: &Kernel, name, from: &str, to: &str, mut check: Check<'_>| {
        let wrong = planted(kernel, name, from, to);
        for _ in 0..3 {
            check(kernel).unwrap_or_else(|why| panic!("{}: {why}", kernel.name));
        }
        let why = (0..3).find_map(|_| check(&wrong).err());
        println!("{name}: {}", why.unwrap_or_else(|| panic!("{name}: not found")));
    };
    let shape = [33, 34, 35];
    for (name, from, to) in [
        ("climb_pass_short", "k < p.cols", "k + DEPTH < p.cols"),
        ("climb_pass_free", "+ bias[neuron]", "+ 0.0 * bias[neuron]"),
        ("climb_pass_straight", "neuron < p.through", "neuron <= p.through"),
    ] {
        let mut rng = rng.fork();
        each(
            &CLIMB_PASS,
            name,
            from,
            to,
            Box::new(move |kernel| {
                let mut layer = Layer::draw(&mut rng, shape, Draw::Even, 0.5);
                layer.p.leak = 0.1;
                layer.pass(device, kernel)
            }),
        );
    }
    for (name, from, to) in [
        ("climb_back_dead", "out[at] > 0.0", "out[at] < 0.0"),
        ("climb_back_short", "k < p.neurons", "k + DEPTH < p.neurons"),
        ("climb_back_across", "of_layer * p.cols", "of_layer * p.neurons"),
    ] {
        let mut rng = rng.fork();
        each(
            &CLIMB_BACK,
            name,
            from,
            to,
            Box::new(move |kernel| {
                let mut layer = Layer::draw(&mut rng, shape, Draw::Even, 0.5);
                layer.p.leak = 0.1;
                layer.back(device, kernel)
            }),
        );
    }
    for (name, from, to) in [
        ("climb_aim_own", "if j != task.y && (", "if (true || j == 0u) && ("),
        ("climb_aim_last", "its < firsts[t])", "its > firsts[t])"),
        ("climb_aim_worse", "known && bests[0] > before", "known"),
        ("climb_aim_wrong", "wrong[0] == 0u && ", ""),
    ] {
        let mut rng = rng.fork();
        each(
            &CLIMB_AIM,
            name,
            from,
            to,
            Box::new(move |kernel| Aims::draw(&mut rng, [40, 100, 9]).check(device, kernel)),
        );
    }
    for (norm, name, from, to) in [
        (
            0,
            "climb_step_out",
            "min(abs(way) * scale, room(middle, way, radius))",
            "abs(way) * scale",
        ),
        (0, "climb_step_down", "select(-p.length, p.length, ", "select(p.length, -p.length, "),
        (0, "climb_step_still", "p.momentum * ahead[at + k]", "0.0"),
        (2, "climb_step_long", "abs(way) * scale, room", "abs(way), room"),
        (2, "climb_step_half", "p.length / sqrt(square)", "0.5 * p.length / sqrt(square)"),
        (2, "climb_step_once", "round < ROUNDS", "round < 1u"),
    ] {
        let mut rng = rng.fork();
        each(
            &CLIMB_STEP,
            name,
            from,
            to,
            Box::new(move |kernel| {
                let mut steps = Steps::draw(&mut rng, [4, 33], norm, true);
                (steps.p.momentum, steps.p.length) = (0.75, 0.5);
                steps.radii = vec![0.3, 3.0, 3.0, 0.3];
                steps.check(device, kernel)
            }),
        );
    }
    each(
        &CLIMB_BEST,
        "climb_best_worst",
        "leads[row] > leads[best]",
        "leads[row] < leads[best]",
        Box::new(move |kernel| best(&mut rng, device, kernel, 9)),
    );
}

//! The default solver: a primal-dual interior-point method (Helmberg, Rendl, Vanderbei, Wolkowicz 1996;
//! Mehrotra's predictor and corrector), in f64.
//!
//! Every matrix of the program is a product of two rows, so that the system for a step of the
//! multipliers comes from two products `rows X rows'` and a pass over its entries; nothing sparse is
//! gained or lost by depth. All iterates of the multipliers are feasible, so that each of them is a bound.

use ndarray::{Array1, Array2};

use super::dense::{self, cholesky, inner, invert, part, part_mut, product, symmetric};
use super::program::{Factor, Form, Objective, Program};
use super::{Solution, Solver, Stand};
use crate::offline::lp::Trouble;

/// Settings.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Interior {
    /// Steps at most.
    pub iterations: usize,
    /// The gap, of the value's size, at which it ends.
    pub gap: f64,
}

impl Default for Interior {
    fn default() -> Self {
        Self { iterations: 60, gap: 1e-7 }
    }
}

/// How far a step goes towards the boundary.
const STEP: f64 = 0.95;
/// By how much a step that leaves the cones is shortened: of a predictor, and of a step to be gone.
const SHORTER: [f64; 2] = [0.6, 0.85];
/// How near to the equations the matrix must be for its value to be one.
const NEAR: f64 = 1e-6;

/// Iterates.
struct Point {
    /// The matrix of `v v'`, and what its forms leave of their right-hand sides.
    x: Array2<f64>,
    slack: Array1<f64>,
    multipliers: Array1<f64>,
    /// The objective's matrix and the forms'.
    z: Array2<f64>,
}

/// A step of them.
struct Way {
    x: Array2<f64>,
    slack: Array1<f64>,
    multipliers: Array1<f64>,
    z: Array2<f64>,
}

/// What an iteration needs of its point.
struct Here<'p> {
    program: &'p Program,
    point: &'p Point,
    /// The inverse of z.
    inverse: Array2<f64>,
    /// The forms' values at x and at the inverse.
    at: [Array1<f64>; 2],
    rights: &'p Array1<f64>,
    /// Whether each multiplier is one of an inequality.
    unequal: &'p [bool],
    /// The system for a step of the multipliers, of which the lower triangle counts, and its factor.
    system: [Array2<f64>; 2],
}

impl Solver for Interior {
    fn solve(
        &mut self,
        program: &Program,
        objective: &Objective,
        watch: &mut dyn FnMut(Stand, &Array1<f64>) -> bool,
    ) -> Solution {
        let (mut point, unequal) = start(program, objective);
        let rights = program.rights();
        let mut macs = 0;
        let none = f64::NEG_INFINITY;
        let ends = |point: &Point, value: f64, trouble, macs| {
            let multipliers = point.multipliers.clone();
            let products = value.is_finite().then(|| point.x.clone());
            Solution { multipliers, value, products, trouble, macs }
        };
        let Some(mut factor) = cholesky(point.z.clone()) else {
            return ends(&point, none, Some(Trouble::Overflow), macs);
        };
        let degree = program.order + unequal.iter().filter(|unequal| **unequal).count();
        for _ in 0..self.iterations {
            let bound = -rights.dot(&point.multipliers);
            let at_x = values(program, &point.x);
            let off = (&rights - &at_x - &point.slack).iter().fold(0.0f64, |m, r| m.max(r.abs()));
            let rest = inner(&point.x, &point.z) + point.slack.dot(&point.multipliers);
            let value = if off < NEAR { inner(&objective.matrix, &point.x) } else { f64::INFINITY };
            if !(bound.is_finite() && rest.is_finite()) {
                return ends(&point, none, Some(Trouble::Numbers), macs);
            }
            let enough = self.gap * bound.abs().max(1e-3 * objective.size);
            if watch(Stand { bound, value }, &point.multipliers) || rest < enough && off < NEAR {
                return ends(&point, value, None, macs);
            }
            // Roundings keep the equations from what complementarity has reached long since.
            if rest < 1e-3 * enough {
                return ends(&point, value, Some(Trouble::Close), macs);
            }
            macs += work(program);
            let inverse = {
                let root = invert(&factor.view());
                symmetric(product(&root.t(), &root.view()))
            };
            let Some((system, at_inverse)) = system(program, &point, &inverse, &unequal) else {
                return ends(&point, value, Some(Trouble::Numbers), macs);
            };
            let here = Here {
                program,
                point: &point,
                inverse,
                at: [at_x, at_inverse],
                rights: &rights,
                unequal: &unequal,
                system,
            };
            let mean = rest / degree as f64;
            // Predictor, centred as far as it shows to be necessary, corrector.
            let ahead = here.way(0.0, None);
            let [a, b] = here.reach(&ahead, SHORTER[0]);
            let mean_ahead = here.complement(&ahead, a, b) / degree as f64;
            let share = if a.min(b) > 0.1 { (mean_ahead.max(0.0) / mean).powi(2) } else { 0.5 };
            let way = here.way(share.clamp(1e-3, 1.0) * mean, Some(&ahead));
            let [a, b] = here
                .reach(&way, SHORTER[1])
                .map(|reach| if reach < 1.0 { STEP * reach } else { 1.0 });
            drop(ahead);
            let Some(z) = step(&mut point, &way, [a, b]) else {
                return ends(&point, value, Some(Trouble::Numbers), macs);
            };
            factor = z;
        }
        ends(&point, none, Some(Trouble::Iterations), macs)
    }
}

/// Multiply-adds of an iteration's products and factors.
fn work(program: &Program) -> u64 {
    let [n, r, m] = [program.order, program.rows.nrows(), program.multipliers()].map(|n| n as u64);
    let (grams, products, factors) =
        (2 * r * n * (n + r), 7 * n * n * n, n * n * n + m * m * m / 6);
    grams + products + factors
}

/// A feasible point: squares so large that they dominate the rest.
fn start(program: &Program, objective: &Objective) -> (Point, Vec<bool>) {
    let count = program.multipliers();
    let size = objective.matrix.iter().fold(0.0f64, |most, a| most.max(a.abs()));
    let size = 0.2 * size.max(1e-12 * objective.size).max(1e-30);
    let mut unequal: Vec<bool> = program.forms.iter().map(|form| !form.equal).collect();
    unequal.resize(count, true);
    let mut multipliers = Array1::from_elem(count, size);
    for k in (0..count).filter(|k| program.square(*k).is_some() || *k >= program.forms.len()) {
        multipliers[k] = 0.0;
    }
    let rest = program.sum(&multipliers) + &objective.matrix;
    let lacks: Vec<f64> = rest
        .rows()
        .into_iter()
        .enumerate()
        .map(|(i, row)| row.iter().map(|a| a.abs()).sum::<f64>() - row[i].abs() - row[i])
        .collect();
    let mut covered = vec![false; program.order];
    for k in 0..count {
        if let Some(i) = program.square(k) {
            let least = if i == 0 { lacks[i] } else { lacks[i].max(0.0) };
            (multipliers[k], covered[i]) = (least + size, true);
        }
    }
    if program.sphere.is_some() {
        let lack = (0..program.order).filter(|i| !covered[*i]).map(|i| lacks[i]);
        multipliers[count - 1] = lack.fold(0.0, f64::max) + size;
    }
    let z = program.sum(&multipliers) + &objective.matrix;
    let mut x = Array2::eye(program.order) * 0.1;
    x[[0, 0]] = 1.0;
    let left = program.rights() - values(program, &x);
    let slack = left.iter().zip(&unequal).map(|(l, u)| if *u { l.max(0.1) } else { 0.0 });
    (Point { slack: slack.collect(), x, multipliers, z }, unequal)
}

/// The forms' values at a symmetric matrix, and the sphere's.
fn values(program: &Program, x: &Array2<f64>) -> Array1<f64> {
    let n = program.order;
    let by_rows = product(&x.view(), &program.rows.t());
    let value = |p: usize, q: usize| match (p.checked_sub(n), q.checked_sub(n)) {
        (None, None) => x[[p, q]],
        (None, Some(q)) => by_rows[[p, q]],
        (Some(p), None) => by_rows[[q, p]],
        (Some(p), Some(q)) => program.rows.row(p).dot(&by_rows.column(q)),
    };
    let value = |Form { p, q, sign, .. }: &Form| {
        let shifted = p.shift * value(0, q.row) + q.shift * value(p.row, 0);
        sign * (value(p.row, q.row) + shifted + p.shift * q.shift * x[[0, 0]])
    };
    let sphere = program.sphere.map(|sphere| x.diag().iter().skip(1).take(sphere.inputs).sum());
    program.forms.iter().map(value).chain(sphere).collect()
}

/// `rows x rows'`, the unit rows first.
fn gram(program: &Program, x: &Array2<f64>) -> Array2<f64> {
    let (n, r) = (program.order, program.rows.nrows());
    let mut gram = Array2::zeros((n + r, n + r));
    let by_rows = product(&program.rows.view(), &x.view());
    part_mut(&mut gram, 0..n, 0..n).assign(x);
    part_mut(&mut gram, n..n + r, 0..n).assign(&by_rows);
    part_mut(&mut gram, 0..n, n..n + r).assign(&by_rows.t());
    part_mut(&mut gram, n..n + r, n..n + r).assign(&product(&by_rows.view(), &program.rows.t()));
    gram
}

/// The system for a step of the multipliers with its factor, and the forms' values at the inverse.
fn system(
    program: &Program,
    point: &Point,
    inverse: &Array2<f64>,
    unequal: &[bool],
) -> Option<([Array2<f64>; 2], Array1<f64>)> {
    let (forms, count) = (&program.forms, program.multipliers());
    let mut system = Array2::<f64>::zeros((count, count));
    let at = {
        let (x, g) = (gram(program, &point.x), gram(program, inverse));
        let row = |m: &Array2<f64>, Factor { row, shift }| -> Vec<f64> {
            m.row(row).iter().zip(m.row(0)).map(|(a, first)| a + shift * first).collect()
        };
        let at = |row: &[f64], f: Factor| row[f.row] + f.shift * row[0];
        for (k, form) in forms.iter().enumerate() {
            let [xp, xq] = [form.p, form.q].map(|factor| row(&x, factor));
            let [gp, gq] = [form.p, form.q].map(|factor| row(&g, factor));
            let mut entries = system.row_mut(k);
            for (entry, Form { p, q, sign, .. }) in entries.iter_mut().zip(&forms[..=k]) {
                let sum = at(&xq, *p) * at(&gp, *q)
                    + at(&xq, *q) * at(&gp, *p)
                    + at(&xp, *p) * at(&gq, *q)
                    + at(&xp, *q) * at(&gq, *p);
                *entry = 0.25 * form.sign * sign * sum;
            }
        }
        if let Some(sphere) = program.sphere {
            let last = count - 1;
            let inputs = |m: &Array2<f64>, factor: Factor| -> Array1<f64> {
                row(m, factor).into_iter().skip(1).take(sphere.inputs).collect()
            };
            for (k, form) in forms.iter().enumerate() {
                let cross = |p: Factor, q: Factor| inputs(&x, q).dot(&inputs(&g, p));
                system[[last, k]] =
                    0.5 * form.sign * (cross(form.p, form.q) + cross(form.q, form.p));
            }
            let of =
                |m: &Array2<f64>| part(m, 1..sphere.inputs + 1, 1..sphere.inputs + 1).to_owned();
            system[[last, last]] = inner(&of(&x), &of(&g));
        }
        let sphere = program.sphere.map(|sphere| g.diag().iter().skip(1).take(sphere.inputs).sum());
        let value = |Form { p, q, sign, .. }: &Form| sign * at(&row(&g, *p), *q);
        forms.iter().map(value).chain(sphere).collect()
    };
    for k in (0..count).filter(|k| unequal[*k]) {
        system[[k, k]] += point.slack[k] / point.multipliers[k];
    }
    // Near the end it is as good as singular.
    let mut lift = 1e-14;
    loop {
        let mut lifted = system.clone();
        lifted.diag_mut().map_inplace(|a| *a *= 1.0 + lift);
        match cholesky(lifted) {
            Some(factor) => return Some(([system, factor], at)),
            None if lift < 1e-7 => lift *= 100.0,
            None => return None,
        }
    }
}

impl Here<'_> {
    /// The step towards complementarity `mean`, corrected by what another left out.
    fn way(&self, mean: f64, ahead: Option<&Way>) -> Way {
        let Self { program, point, inverse, rights, unequal, .. } = self;
        let [_, at_inverse] = &self.at;
        let each = |f: &dyn Fn(usize) -> f64| -> Array1<f64> {
            (0..rights.len()).map(|k| if unequal[k] { f(k) } else { 0.0 }).collect()
        };
        let by = &point.multipliers;
        let mut right = at_inverse * mean + each(&|k| mean / by[k]) - *rights;
        let mut second = None;
        if let Some(ahead) = ahead {
            let twice = symmetric(product(
                &product(&ahead.x.view(), &ahead.z.view()).view(),
                &inverse.view(),
            ));
            let slack = each(&|k| ahead.slack[k] * ahead.multipliers[k] / by[k]);
            right = right - values(program, &twice) - &slack;
            second = Some((twice, slack));
        }
        let [system, factor] = &self.system;
        let mut multipliers = dense::solve(factor, &right);
        // The factor is of a system that was lifted.
        for _ in 0..2 {
            let left = &right - &dense::times(system, &multipliers);
            multipliers += &dense::solve(factor, &left);
        }
        let z = program.sum(&multipliers);
        let moved = product(&product(&point.x.view(), &z.view()).view(), &inverse.view());
        let mut x = inverse * mean - &point.x - symmetric(moved);
        let mut slack = each(&|k| mean / by[k] - point.slack[k] * (1.0 + multipliers[k] / by[k]));
        if let Some((twice, less)) = second {
            x = x - twice;
            slack = slack - less;
        }
        Way { x, slack, multipliers, z }
    }

    /// About how far x and the slack, and the multipliers and z, can go; not beyond 1.
    fn reach(&self, way: &Way, shorter: f64) -> [f64; 2] {
        let ray = |from: &Array1<f64>, d: &Array1<f64>| {
            let shares = (0..from.len()).filter(|k| self.unequal[*k]).map(|k| -d[k] / from[k]);
            1.0 / shares.fold(0.0, f64::max).max(1.0)
        };
        let Point { x, z, slack, multipliers } = self.point;
        let (a, b) = (ray(slack, &way.slack), ray(multipliers, &way.multipliers));
        [far(x, &way.x, a, shorter), far(z, &way.z, b, shorter)]
    }

    /// What is left of complementarity after a step.
    fn complement(&self, way: &Way, a: f64, b: f64) -> f64 {
        let Point { x, slack, multipliers, z } = self.point;
        let matrices = inner(x, z)
            + a * inner(&way.x, z)
            + b * inner(x, &way.z)
            + a * b * inner(&way.x, &way.z);
        let slack = slack + &(&way.slack * a);
        matrices + slack.dot(&(multipliers + &(&way.multipliers * b)))
    }
}

/// The first of ever shorter steps, from `most` on, at which a matrix stays definite.
fn far(from: &Array2<f64>, d: &Array2<f64>, most: f64, shorter: f64) -> f64 {
    let mut length = most;
    for _ in 0..40 {
        if cholesky(from + &(d * length)).is_some() {
            return length;
        }
        length *= shorter;
    }
    0.0
}

/// Goes a step; the factor of z there, none where z is not definite.
fn step(point: &mut Point, way: &Way, [a, b]: [f64; 2]) -> Option<Array2<f64>> {
    let z = &point.z + &(&way.z * b);
    let factor = cholesky(z.clone()).filter(|_| a > 0.0 && b > 0.0)?;
    point.z = z;
    point.x.scaled_add(a, &way.x);
    point.slack.scaled_add(a, &way.slack);
    point.multipliers.scaled_add(b, &way.multipliers);
    Some(factor)
}

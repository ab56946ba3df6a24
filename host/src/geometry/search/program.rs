//! The nearest point of a part of a linear region, as a convex program.
//!
//! The solver is a searcher: its multipliers are weighed anew in [`Combination::distance`], and its
//! point is only where a violation is looked for.

use certus_engine::region::Norm;
use clarabel::algebra::CscMatrix;
use clarabel::solver::{
    DefaultSettings, DefaultSolver, IPSolver, NonnegativeConeT, SolverStatus, ZeroConeT,
};

use super::bound::{Combination, Sides};
use super::forms::Face;

/// What the points of the part that is asked for have in common, beside lying in the region.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Part {
    /// The function is 0: a facet.
    On,
    /// The function is at most 0: where a decision is lost.
    Beyond,
}

/// What the solver found.
pub(super) struct Solution {
    /// Lower bound of the distance.
    pub bound: f64,
    /// A step to a point near the nearest, unless the solver says that there is none.
    pub step: Option<Vec<f64>>,
}

/// The least `||d||_p` with `inside.d + h >= 0` for all rows, `part` of `face`, and the box.
pub(super) struct Program<'a> {
    pub norm: Norm,
    pub sides: Option<&'a Sides>,
    pub face: Face<'a>,
    pub part: Part,
    /// About the distance: what lengths are measured in.
    pub scale: f64,
}

/// Gaps that the solver is to reach; the next where it does not.
const TOLERANCES: [f64; 2] = [1e-10, 1e-8];

/// Entries of a sparse matrix.
#[derive(Default)]
struct Rows {
    at: Vec<usize>,
    column: Vec<usize>,
    entry: Vec<f64>,
    right: Vec<f64>,
}

impl Rows {
    /// `sum entries*x <= right`.
    fn push(&mut self, entries: impl Iterator<Item = (usize, f64)>, right: f64) {
        for (column, entry) in entries.filter(|(_, entry)| *entry != 0.0) {
            self.at.push(self.right.len());
            self.column.push(column);
            self.entry.push(entry);
        }
        self.right.push(right);
    }
}

impl Program<'_> {
    /// Solves it over the given rows of the region.
    pub(super) fn solve(&self, inside: &[Face<'_>], inputs: usize) -> Solution {
        let n = inputs;
        let (objective, quadratic) = self.objective(n);
        let columns = objective.len();
        let mut rows = Rows::default();
        self.push(&mut rows, &self.face, if self.part == Part::On { -1.0 } else { 1.0 });
        inside.iter().for_each(|face| self.push(&mut rows, face, -1.0));
        if let Some(sides) = self.sides {
            for j in 0..n {
                rows.push([(j, -1.0)].into_iter(), sides.down[j] / self.scale);
            }
            for j in 0..n {
                rows.push([(j, 1.0)].into_iter(), sides.up[j] / self.scale);
            }
        }
        if self.norm != Norm::L2 {
            for j in 0..n {
                let length = if self.norm == Norm::L1 { n + j } else { n };
                rows.push([(j, 1.0), (length, -1.0)].into_iter(), 0.0);
                rows.push([(j, -1.0), (length, -1.0)].into_iter(), 0.0);
            }
        }
        // What has overflowed bounds nothing.
        if rows.entry.iter().chain(&rows.right).any(|x| !x.is_finite()) {
            return Solution { bound: 0.0, step: None };
        }
        let count = rows.right.len();
        let a = CscMatrix::new_from_triplets(count, columns, rows.at, rows.column, rows.entry);
        let equal = usize::from(self.part == Part::On);
        let cones = [ZeroConeT(equal), NonnegativeConeT(count - equal)];
        let cones = if equal == 1 { &cones[..] } else { &cones[1..] };
        let mut best = Solution { bound: 0.0, step: None };
        for tolerance in TOLERANCES {
            let settings = settings(tolerance);
            let solver =
                DefaultSolver::new(&quadratic, &objective, &a, &rows.right, cones, settings);
            let Ok(mut solver) = solver else { return best };
            solver.solve();
            let (z, x, status) = (&solver.solution.z, &solver.solution.x, solver.solution.status);
            best.bound = best.bound.max(self.weigh(inside, z, n));
            let shut = matches!(
                status,
                SolverStatus::PrimalInfeasible | SolverStatus::AlmostPrimalInfeasible
            );
            let step: Vec<f64> = x.iter().take(n).map(|x| x * self.scale).collect();
            best.step = (!shut && step.iter().all(|x| x.is_finite())).then_some(step);
            if matches!(status, SolverStatus::Solved | SolverStatus::PrimalInfeasible) {
                break;
            }
        }
        best
    }

    /// A face's constraint, its row divided by its norm and lengths by the scale.
    fn push(&self, rows: &mut Rows, face: &Face<'_>, sign: f64) {
        let size = unit(face);
        let entries = face.row().enumerate().map(|(j, g)| (j, sign * g / size));
        rows.push(entries, -sign * face.value() / (size * self.scale));
    }

    /// Linear and quadratic part: half the square in l2, else the variables that bound the step.
    fn objective(&self, n: usize) -> (Vec<f64>, CscMatrix<f64>) {
        let (lengths, quadratic) = match self.norm {
            Norm::L2 => (0, CscMatrix::identity(n)),
            // No search is in another lp.
            Norm::Linf | Norm::Lp(_) => (1, CscMatrix::zeros((n + 1, n + 1))),
            Norm::L1 => (n, CscMatrix::zeros((2 * n, 2 * n))),
        };
        let mut linear = vec![0.0; n + lengths];
        linear[n..].fill(1.0);
        (linear, quadratic)
    }

    /// The bound by the solver's multipliers, those of the wrong sign being left out.
    fn weigh(&self, inside: &[Face<'_>], z: &[f64], n: usize) -> f64 {
        let mut sum = Combination::new(n);
        let first = match self.part {
            Part::On => z[0],
            Part::Beyond => -z[0].max(0.0),
        };
        sum.add(first / unit(&self.face), &self.face);
        for (face, z) in inside.iter().zip(&z[1..]).filter(|(_, z)| **z > 0.0) {
            sum.add(z / unit(face), face);
        }
        let from = 1 + inside.len();
        let moved = match self.sides {
            Some(_) => (&z[from..from + n], &z[from + n..from + 2 * n]),
            None => (&z[..0], &z[..0]),
        };
        sum.distance(self.norm.dual(), self.sides, moved)
    }
}

/// What a row is divided by.
fn unit(face: &Face<'_>) -> f64 {
    if face.norm > 0.0 && face.norm.is_finite() { face.norm } else { 1.0 }
}

fn settings(tolerance: f64) -> DefaultSettings<f64> {
    DefaultSettings {
        verbose: false,
        tol_gap_abs: tolerance,
        tol_gap_rel: tolerance,
        tol_feas: tolerance,
        max_threads: 1,
        ..DefaultSettings::default()
    }
}

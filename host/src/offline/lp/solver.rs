//! Solvers of the program: searchers, whose word on anything counts for nothing.

use clarabel::algebra::CscMatrix;
use clarabel::solver::{
    DefaultSettings, DefaultSolver, IPSolver, NonnegativeConeT, PowerConeT, SecondOrderConeT,
    SolverStatus, SupportedConeT, ZeroConeT,
};

use super::program::{Cone, Constraints, Program};

/// Something that minimises functions over a program's columns.
pub trait Solver {
    /// The least of `objective . columns + constant`.
    fn solve(&mut self, objective: &[f64], constant: f64) -> Solution;
}

/// What a solver found.
#[derive(Clone, Debug, PartialEq)]
pub struct Solution {
    /// The least value, as far as the solver knows; no bound.
    pub value: f64,
    /// Multipliers of [`Program::below`], any floats.
    pub multipliers: Vec<f64>,
    /// What kept it from an answer.
    pub trouble: Option<Trouble>,
}

/// What keeps a solver from an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
pub enum Trouble {
    /// Accuracy fell short of what was asked for.
    #[error("the solver came close to an optimum only")]
    Close,
    /// Too many iterations.
    #[error("the solver reached its limit of iterations")]
    Iterations,
    /// It ran out of time.
    #[error("the solver ran out of time")]
    Time,
    /// Its arithmetic failed.
    #[error("the solver's arithmetic failed")]
    Numbers,
    /// It says that no point meets the rows; the sample itself does.
    #[error("the solver took the program for infeasible")]
    Infeasible,
    /// It says that there is no least value; over a ball there is.
    #[error("the solver took the program for unbounded")]
    Unbounded,
    /// The program itself is not finite.
    #[error("the program has numbers that are not finite")]
    Overflow,
}

/// Clarabel's interior-point method.
pub struct Clarabel {
    /// `matrix . columns + slack = right`, the slack in `cones`; none where a number is not finite.
    matrix: Option<CscMatrix<f64>>,
    right: Vec<f64>,
    cones: Vec<SupportedConeT<f64>>,
    /// One for each of [`STEPS`], begun when it is needed.
    solvers: [Option<DefaultSolver<f64>>; 2],
    /// Where the multipliers of `below` are.
    below: std::ops::Range<usize>,
}

/// Gap and feasibility that are asked for.
const TOLERANCE: f64 = 1e-8;

/// With less, factors of deep networks' programs lose too many digits to come to an optimum.
const REGULARIZATION: f64 = 1e-7;

/// How far a step goes towards the cones' boundary, in a first attempt and in a second where that
/// fails, as it does for some balls in lp.
const STEPS: [f64; 2] = [0.99, 0.9];

impl Clarabel {
    /// For the columns of a program.
    ///
    /// Memory: the program once more, and a factor of its rows and columns.
    pub fn new(program: &Program<'_>) -> Self {
        let columns = program.columns();
        let (mut at, mut column, mut entry, mut right) = (vec![], vec![], vec![], vec![]);
        let mut push = |rows: &Constraints| {
            let from = right.len();
            for (row, col, a) in &rows.entries {
                at.push(from + row);
                column.push(*col);
                entry.push(*a);
            }
            right.extend_from_slice(&rows.right);
        };
        push(&program.equal);
        push(&program.below);
        push(&ends(&program.ends));
        let (equal, below) = (program.equal.right.len(), program.below.right.len());
        let mut cones = vec![ZeroConeT(equal), NonnegativeConeT(right.len() - equal)];
        // The solver's rows are `right - row` in a cone.
        for cone in &program.cones {
            match cone {
                Cone::Length(range) => {
                    cones.push(SecondOrderConeT(1 + range.len()));
                    right.push(1.0);
                    for j in range.clone() {
                        at.push(right.len());
                        column.push(j);
                        entry.push(-1.0);
                        right.push(0.0);
                    }
                }
                Cone::Powers { share, pairs } => {
                    for (power, d) in pairs {
                        cones.push(PowerConeT(*share));
                        for (j, value) in [(Some(*power), 0.0), (None, 1.0), (Some(*d), 0.0)] {
                            if let Some(j) = j {
                                at.push(right.len());
                                column.push(j);
                                entry.push(-1.0);
                            }
                            right.push(value);
                        }
                    }
                }
            }
        }
        let finite = entry.iter().chain(&right).all(|a| a.is_finite());
        let matrix =
            finite.then(|| CscMatrix::new_from_triplets(right.len(), columns, at, column, entry));
        Self { matrix, right, cones, solvers: [None, None], below: equal..equal + below }
    }

    /// Solves it for an objective, anew where there is no solver yet.
    fn run(&mut self, attempt: usize, objective: &Vec<f64>) -> Option<&DefaultSolver<f64>> {
        let Self { matrix, right, cones, solvers, .. } = self;
        if solvers[attempt].is_none() {
            solvers[attempt] = start(matrix.as_ref()?, right, cones, STEPS[attempt]);
        }
        let solver = solvers[attempt].as_mut()?;
        solver.update_q(objective).ok()?;
        solver.solve();
        Some(solver)
    }
}

/// The columns' ends as rows.
fn ends(ends: &[(f64, f64)]) -> Constraints {
    let mut rows = Constraints::default();
    for (j, (lo, hi)) in ends.iter().enumerate() {
        for (side, end) in [(-1.0, -lo), (1.0, *hi)] {
            if end.is_finite() {
                rows.entries.push((rows.right.len(), j, side));
                rows.right.push(end);
            }
        }
    }
    rows
}

fn start(
    matrix: &CscMatrix<f64>,
    right: &[f64],
    cones: &[SupportedConeT<f64>],
    step: f64,
) -> Option<DefaultSolver<f64>> {
    let settings = DefaultSettings {
        verbose: false,
        tol_gap_abs: TOLERANCE,
        tol_gap_rel: TOLERANCE,
        tol_feas: TOLERANCE,
        max_threads: 1,
        static_regularization_constant: REGULARIZATION,
        max_step_fraction: step,
        // The objective is replaced, which neither allows.
        presolve_enable: false,
        input_sparse_dropzeros: false,
        ..DefaultSettings::default()
    };
    let quadratic = CscMatrix::zeros((matrix.n, matrix.n));
    // Scaled by a neutral objective: what a row's answer is must not depend on the rows before.
    let neutral = vec![1.0; matrix.n];
    DefaultSolver::new(&quadratic, &neutral, matrix, right, cones, settings).ok()
}

impl Solver for Clarabel {
    fn solve(&mut self, objective: &[f64], constant: f64) -> Solution {
        let failed = |trouble| Solution {
            value: f64::NEG_INFINITY,
            multipliers: Vec::new(),
            trouble: Some(trouble),
        };
        let size = objective.iter().fold(0.0f64, |most, a| most.max(a.abs()));
        if self.matrix.is_none() || !size.is_finite() {
            return failed(Trouble::Overflow);
        }
        let size = if size > 0.0 { size } else { 1.0 };
        let scaled: Vec<f64> = objective.iter().map(|a| a / size).collect();
        let below = self.below.clone();
        let mut solution = failed(Trouble::Numbers);
        for attempt in 0..STEPS.len() {
            let Some(solver) = self.run(attempt, &scaled) else { break };
            let found = &solver.solution;
            solution = Solution {
                value: found.obj_val * size + constant,
                multipliers: found.z.get(below.clone()).unwrap_or(&[]).to_vec(),
                trouble: trouble(found.status),
            };
            if solution.trouble.is_none() {
                break;
            }
        }
        solution
    }
}

fn trouble(status: SolverStatus) -> Option<Trouble> {
    match status {
        SolverStatus::Solved => None,
        SolverStatus::AlmostSolved => Some(Trouble::Close),
        SolverStatus::MaxIterations => Some(Trouble::Iterations),
        SolverStatus::MaxTime => Some(Trouble::Time),
        SolverStatus::PrimalInfeasible | SolverStatus::AlmostPrimalInfeasible => {
            Some(Trouble::Infeasible)
        }
        SolverStatus::DualInfeasible | SolverStatus::AlmostDualInfeasible => {
            Some(Trouble::Unbounded)
        }
        _ => Some(Trouble::Numbers),
    }
}

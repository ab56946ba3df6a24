//! The distance to a face within its closed region.

use certus_engine::region::Norm;

use super::bound::Sides;
use super::forms::{Face, Forms};
use super::network::{Network, Pattern};
use super::program::{Part, Program};

/// With no more rows than this all go into the first program.
const FEW: usize = 48;

/// Rows that enter a program at a time.
const ENTER: usize = 24;

/// Relative violation of a row that is taken for none.
const CLOSE: f64 = 1e-9;

/// A region with its functions.
pub(super) struct Cell<'a> {
    pub net: &'a Network,
    pub pattern: &'a Pattern,
    pub forms: &'a Forms,
    pub norm: Norm,
    pub sides: Option<&'a Sides>,
    pub inputs: usize,
}

/// A face's distance, tightened.
#[derive(Default)]
pub(super) struct Tight {
    /// Lower bound of the distance.
    pub bound: f64,
    /// A step to a point close to the nearest.
    pub step: Option<Vec<f64>>,
    /// Programs solved.
    pub programs: usize,
}

impl<'a> Cell<'a> {
    /// The functions that are at least 0 in the region.
    fn inside(&self) -> Vec<Face<'a>> {
        (0..self.net.flips.len())
            .filter(|flip| !self.forms.is_zero(self.net, *flip))
            .map(|flip| self.forms.flip(self.net, self.pattern, flip))
            .collect()
    }

    /// Lower bound of the distance to `part` of `face` in the region and the box, and a point.
    ///
    /// If the projection on the hyperplane alone lies in the region, `known` is the distance. Else
    /// programs over few rows at first, those violated most being added; each is a bound. It stops
    /// at a bound of `enough`, and after `programs`.
    pub(super) fn tighten(
        &self,
        face: Face<'a>,
        part: Part,
        known: f64,
        enough: f64,
        programs: usize,
    ) -> Tight {
        let all = self.inside();
        let mut best = Tight { bound: known, ..Tight::default() };
        let alone = self.project(&face, part);
        let mut entered: Vec<usize> =
            if all.len() <= FEW { (0..all.len()).collect() } else { Vec::new() };
        let most = match &alone {
            Some(step) if self.holds(step) => {
                let out = violated(&all, step);
                if out.is_empty() {
                    best.step = alone;
                    return best;
                }
                out
            }
            _ => Vec::new(),
        };
        if all.len() > FEW {
            entered.extend(most.iter().take(ENTER));
        }
        let program =
            Program { norm: self.norm, sides: self.sides, face, part, scale: scale(&all, known) };
        while best.programs < programs {
            let rows: Vec<Face<'_>> = entered.iter().map(|i| all[*i]).collect();
            let found = program.solve(&rows, self.inputs);
            best.programs += 1;
            best.bound = best.bound.max(found.bound);
            let Some(step) = found.step.filter(|_| best.bound < enough) else { break };
            let out = violated(&all, &step);
            let before = entered.len();
            for i in out.into_iter().take(ENTER) {
                if !entered.contains(&i) {
                    entered.push(i);
                }
            }
            best.step = Some(step);
            if entered.len() == before {
                break;
            }
        }
        best
    }

    /// The nearest point beyond a face by a margin of `shift` times its norm.
    pub(super) fn beyond(&self, face: Face<'a>, shift: f64, known: f64) -> Option<Vec<f64>> {
        let all = self.inside();
        let (norm, sides) = (self.norm, self.sides);
        let (scale, part) = (scale(&all, known), Part::Beyond);
        let program = Program { norm, sides, face: face.raised(shift), part, scale };
        program.solve(&all, self.inputs).step
    }

    /// The step to the nearest point of the hyperplane alone; none where that has no say.
    pub(super) fn project(&self, face: &Face<'_>, part: Part) -> Option<Vec<f64>> {
        let h = face.value();
        if h == 0.0 || (part == Part::Beyond && h < 0.0) {
            return Some(vec![0.0; self.inputs]);
        }
        let row: Vec<f64> = face.row().collect();
        let mut step = vec![0.0; row.len()];
        match self.norm {
            Norm::L2 => {
                let square: f64 = row.iter().map(|g| g * g).sum();
                step.iter_mut().zip(&row).for_each(|(d, g)| *d = -h * g / square);
            }
            Norm::Linf => {
                let sum: f64 = row.iter().map(|g| g.abs()).sum();
                let length = -h / sum;
                let signed = step.iter_mut().zip(&row).filter(|(_, g)| **g != 0.0);
                signed.for_each(|(d, g)| *d = length * g.signum());
            }
            // Refused by the search.
            Norm::Lp(_) => return None,
            Norm::L1 => {
                let heaviest =
                    (0..row.len()).max_by(|a, b| row[*a].abs().total_cmp(&row[*b].abs()));
                let j = heaviest?;
                step[j] = -h / row[j];
            }
        }
        step.iter().all(|d| d.is_finite()).then_some(step)
    }

    /// Whether the step stays in the box.
    fn holds(&self, step: &[f64]) -> bool {
        self.sides.is_none_or(|sides| {
            let ends = sides.down.iter().zip(&sides.up);
            step.iter().zip(ends).all(|(d, (down, up))| -down <= *d && d <= up)
        })
    }
}

/// The distance that programs are scaled by: of those known, the largest.
fn scale(all: &[Face<'_>], known: f64) -> f64 {
    let out = all.iter().filter(|face| face.value() < 0.0).map(Face::distance);
    let scale = out.fold(known, f64::max);
    if scale > 0.0 && scale < f64::MAX { scale } else { 1.0 }
}

/// The rows that a step violates, the worst first.
fn violated(all: &[Face<'_>], step: &[f64]) -> Vec<usize> {
    let length = step.iter().fold(0.0f64, |most, d| most.max(d.abs()));
    let mut out: Vec<(usize, f64)> = all
        .iter()
        .enumerate()
        .map(|(i, face)| (i, face.at(step) / face.norm))
        .filter(|(_, at)| *at < -CLOSE * length)
        .collect();
    out.sort_by(|a, b| a.1.total_cmp(&b.1));
    out.into_iter().map(|(i, _)| i).collect()
}

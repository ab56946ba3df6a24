//! Stages that tell a radius at once: every input nearer than that keeps the class.

use certus_engine::bounds::{Error, Semantics, Work};
use certus_engine::model::Model;
use certus_engine::region::{Norm, Region};
use certus_engine::simplex;

use super::{Ball, Done, Known, Stage};
use crate::attack::Worker;
use crate::error::Result;
use crate::geometry::{DecisionBoundary, check_two_lines, search};
use crate::question::{Answer, LARGEST_RADIUS, closed};

/// The simplex certificate.
#[derive(Clone, Copy, Debug)]
pub struct Simplex {
    /// What it covers.
    pub semantics: Semantics,
}

impl Stage for Simplex {
    fn name(&self) -> &'static str {
        "simplex"
    }

    fn check(&self, model: &Model<'_>, _norm: Norm) -> Result<()> {
        check_layers(self.name(), model)
    }

    fn uses_norms(&self) -> bool {
        true
    }

    fn settle(&self, worker: &mut Worker<'_>, ball: &Ball<'_>, known: &mut Known) -> Done {
        let found: simplex::Simplex<1> = worker.runner.simplex(&ball.query(self.semantics))?;
        let work = found.work;
        known.clear = known.clear.max(f64::from(found.radius()));
        known.simplex = Some(found).filter(|_| self.semantics == Semantics::Real);
        Ok(work)
    }

    fn radius(&self, worker: &mut Worker<'_>, ball: &Ball<'_>, answer: &mut Answer) -> Option<f64> {
        let mut known = Known::default();
        answer.add(self.settle(worker, ball, &mut known));
        answer.simplex = known.simplex;
        Some(closed(known.clear as f32))
    }
}

/// Search of linear regions.
#[derive(Clone, Copy, Debug)]
pub struct RegionSearch {
    /// Up to so many of them.
    pub regions: usize,
}

impl RegionSearch {
    /// What it finds up to `limit`: nothing where it refuses what the engine would not.
    fn search(
        &self,
        worker: &Worker<'_>,
        ball: &Ball<'_>,
        limit: f64,
    ) -> std::result::Result<Option<search::Found>, Error> {
        let Ball { x, class, clip, question, .. } = *ball;
        Region::ball(x, 0.0, question.norm).check(x.len())?;
        let regions = self.regions;
        let budget = search::Budget { regions, programs: 10 * regions, limit };
        let model = worker.runner.model();
        Ok(search::search(model, x, class, question.norm, clip, &budget).ok())
    }
}

impl Stage for RegionSearch {
    fn name(&self) -> &'static str {
        "region-search"
    }

    fn check(&self, model: &Model<'_>, norm: Norm) -> Result<()> {
        search::check_norm(norm)?;
        check_layers(self.name(), model)
    }

    fn settle(&self, worker: &mut Worker<'_>, ball: &Ball<'_>, known: &mut Known) -> Done {
        // A little beyond, so that the radius asked for can be reached.
        let found = self.search(worker, ball, 1.01 * ball.epsilon)?;
        known.clear = found.map_or(known.clear, |found| known.clear.max(found.radius));
        Ok(Work::default())
    }

    fn radius(&self, worker: &mut Worker<'_>, ball: &Ball<'_>, answer: &mut Answer) -> Option<f64> {
        answer.record.exact = Some(false);
        match self.search(worker, ball, LARGEST_RADIUS) {
            Ok(None) => Some(0.0),
            Ok(Some(found)) => {
                let admitted = |point: &[f32]| ball.question.admits(point);
                let violation = found.violation.filter(|found| admitted(&found.point));
                answer.record.exact = Some(found.exact && violation.is_some());
                answer.record.attacked = violation.map(|found| found.distance);
                Some(found.radius.next_down().clamp(0.0, LARGEST_RADIUS))
            }
            Err(error) => {
                answer.refused = Some(error);
                Some(0.0)
            }
        }
    }
}

/// The decision-boundary certificate. It takes no heed of a box, and so holds within any.
#[derive(Debug)]
pub struct LocalBoundary {
    /// Of the very weights that the runner has.
    pub certificate: DecisionBoundary,
}

impl LocalBoundary {
    /// The radius; 0 if there is none.
    fn clear(&self, ball: &Ball<'_>) -> f64 {
        self.certificate.local(ball.x, ball.class, ball.question.norm).unwrap_or(0.0)
    }
}

impl Stage for LocalBoundary {
    fn name(&self) -> &'static str {
        "decision-boundary"
    }

    fn settle(&self, _worker: &mut Worker<'_>, ball: &Ball<'_>, known: &mut Known) -> Done {
        known.clear = known.clear.max(self.clear(ball));
        Ok(Work::default())
    }

    fn radius(
        &self,
        _worker: &mut Worker<'_>,
        ball: &Ball<'_>,
        _answer: &mut Answer,
    ) -> Option<f64> {
        Some(self.clear(ball).next_down().clamp(0.0, LARGEST_RADIUS))
    }
}

/// Linear regions need activations of two lines.
fn check_layers(name: &str, model: &Model<'_>) -> Result<()> {
    let layers = model.layers().map(|layer| (layer.activation, layer.through));
    check_two_lines(&format!("--method {name}"), layers)
}

//! Exact distances: the simplex certificate with the nearest other answer, replayed.

use certus_engine::bounds::Semantics;
use certus_engine::simplex::Simplex;

use crate::attack::{Threat, Witness, Worker, replay};
use crate::question::{Answer, Question, closed};
use crate::report::Verdict;

/// How far apart the two sides of an exact distance may be, relative to it.
pub(crate) const ROUNDING: f64 = 1e-3;

/// Looks for the nearest input with another answer at the projection on the nearest decision
/// boundary, where the simplex certificate shows that boundary to be nearer than any facet.
///
/// Sets `exact` of a record that `x` was certified in. Where it is true, the distance of the nearest
/// input with another answer lies from `radius` to `attacked` (paper 001, lemma 3.2), and the
/// witness is such an input.
pub fn exact(
    question: &Question,
    worker: &mut Worker<'_>,
    x: &[f32],
    answer: &mut Answer,
) -> Option<Witness> {
    let record = &mut answer.record;
    let class = record.predicted.filter(|_| record.verdict != Verdict::Misclassified)?;
    record.exact = Some(false);
    let ends = question.ends(x.len());
    let query = question.ball(record.index, x, class, 0.0, &ends).query(Semantics::Real);
    let found = match answer.simplex.take() {
        // What the certificate rests on: the runner's last.
        Some(found) => found,
        None => {
            let found: Simplex<1> = worker.runner.simplex(&query).ok()?;
            answer.work += found.work;
            found
        }
    };
    if !found.is_exact() {
        return None;
    }
    let (_, point) = worker.runner.nearest_violation(&query, &found).ok()??;
    let threat =
        Threat { center: x, epsilon: f64::INFINITY, norm: question.norm, clip: question.inner };
    let witness = replay(&mut worker.runner, &threat, class, &point).ok()?;
    // Under deployed semantics less than the real distance may be certified.
    let least = record.radius.unwrap_or(0.0).min(closed(found.decision()));
    record.attacked = Some(witness.distance());
    record.exact = Some(witness.distance() <= least * (1.0 + ROUNDING));
    Some(witness)
}

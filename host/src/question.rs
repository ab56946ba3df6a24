//! What is asked of each sample, and how it is answered: cheapest method first.

use std::time::Instant;

use certus_engine::bounds::{Error, Work};
use certus_engine::region::Norm;
use certus_engine::simplex::Simplex;

use crate::attack::{Witness, Worker};
use crate::cpu::Runner;
use crate::geometry::Norms;
use crate::offline::lp::Solved;
use crate::plan::{Ball, Done, Known, SharedStage, Tally};
use crate::radius::{Found, Search};
use crate::report::{Record, Verdict};

/// The question about a classifier that is put to every sample: does the class stay the same in a
/// ball around it?
#[derive(Clone, Debug)]
pub struct Question {
    /// The ball's norm.
    pub norm: Norm,
    /// The box that cuts the ball, if any.
    pub clip: Option<(f32, f32)>,
    /// The box that witnesses lie in, within `clip`.
    pub inner: Option<(f32, f32)>,
    /// The methods, tried in this order until one settles it; none for an attack alone.
    pub stages: Vec<SharedStage>,
    /// `real` or `deployed`, for the records.
    pub semantics: &'static str,
    /// What computes, for the records.
    pub backend: &'static str,
    /// Norms of the model's weights, which spare the simplex certificate work.
    pub norms: Option<Norms>,
}

/// A record with the work it took.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The record.
    pub record: Record,
    /// The work.
    pub work: Work,
    /// Why there are no bounds, if the engine refused.
    pub refused: Option<Error>,
    /// What solvers did.
    pub solved: Solved,
    /// What each of the question's stages did, in their order.
    pub stages: Vec<Tally>,
    /// The input that falsifies it, where one of the stages found it.
    pub witness: Option<Witness>,
    /// The simplex certificate in real semantics, where it was asked for.
    pub simplex: Option<Simplex<1>>,
    /// Seconds that stages took ahead, less those that were waited for them.
    pub ahead: f64,
}

impl Answer {
    /// Takes a stage's work, or why there is none.
    pub fn add(&mut self, done: Done) -> Work {
        match done {
            Ok(work) => {
                self.work += work;
                work
            }
            Err(error) => {
                self.refused = Some(error);
                Work::default()
            }
        }
    }
}

impl Question {
    /// In this norm, without a box, answered by these stages in real semantics.
    pub fn new(norm: Norm, stages: impl IntoIterator<Item = SharedStage>) -> Self {
        let stages = stages.into_iter().collect();
        let (semantics, backend) = ("real", "cpu");
        Self { norm, clip: None, inner: None, stages, semantics, backend, norms: None }
    }

    /// Settles one radius around `x`.
    ///
    /// `certified` means: every input of the ball (cut by the box) has `label`, or the predicted
    /// class where there is no label, as its strictly largest output; `falsified`: one of them was
    /// replayed and has not.
    pub fn certify(
        &self,
        worker: &mut Worker<'_>,
        index: usize,
        x: &[f32],
        label: Option<usize>,
        epsilon: f64,
    ) -> Answer {
        let begun = Instant::now();
        let mut answer = self.begin(&mut worker.runner, index, x, label);
        answer.record.epsilon = Some(epsilon);
        if let (Verdict::Unknown, Some(class)) = (answer.record.verdict, answer.record.predicted) {
            let ends = self.ends(x.len());
            let ball = self.ball(index, x, class, epsilon, &ends);
            let known = self.settle(worker, &ball, &mut answer);
            answer.record.margin = known.margin().map(f64::from);
            if known.proves(epsilon) {
                answer.record.verdict = Verdict::Certified;
            } else if let Some(witness) = &known.witness {
                answer.record.verdict = witness.verdict();
            }
            answer.witness = known.witness;
            answer.simplex = known.simplex;
        }
        answer.record.seconds = (begun.elapsed().as_secs_f64() + answer.ahead).max(0.0);
        answer
    }

    /// Finds the largest radius around `x` that certifies.
    pub fn radius(
        &self,
        worker: &mut Worker<'_>,
        index: usize,
        x: &[f32],
        label: Option<usize>,
        search: &Search,
    ) -> (Answer, Found) {
        let begun = Instant::now();
        let mut answer = self.begin(&mut worker.runner, index, x, label);
        let mut found = Found::default();
        if let (Verdict::Unknown, Some(class)) = (answer.record.verdict, answer.record.predicted) {
            let ends = self.ends(x.len());
            let ball = self.ball(index, x, class, 0.0, &ends);
            let first = self.stages.first();
            let waiting = Instant::now();
            let at_once = first.and_then(|stage| stage.radius(worker, &ball, &mut answer));
            if let (Some(_), Some(seconds)) = (at_once, first.and_then(|s| s.seconds(index))) {
                answer.ahead += seconds - waiting.elapsed().as_secs_f64();
            }
            found = match at_once {
                Some(radius) => {
                    if let Some(backend) = first.and_then(|stage| stage.backend(index)) {
                        answer.record.backend = backend.to_owned();
                    }
                    Found { radius, ..Found::default() }
                }
                None => search.run(|epsilon| {
                    let ball = Ball { epsilon, ..ball };
                    self.settle(worker, &ball, &mut answer).proves(epsilon)
                }),
            };
            answer.record.radius = Some(found.radius);
            if found.radius > 0.0 {
                answer.record.verdict = Verdict::Certified;
            }
        } else if answer.record.verdict == Verdict::Misclassified {
            answer.record.radius = Some(0.0);
        }
        answer.record.seconds = (begun.elapsed().as_secs_f64() + answer.ahead).max(0.0);
        (answer, found)
    }

    /// Asks one stage after the other about a ball until it is settled; the record names the last.
    fn settle(&self, worker: &mut Worker<'_>, ball: &Ball<'_>, answer: &mut Answer) -> Known {
        let mut known = Known::default();
        for (k, stage) in self.stages.iter().enumerate() {
            let begun = Instant::now();
            known.ahead = None;
            let done = stage.settle(worker, ball, &mut known);
            let work = answer.add(done);
            let ahead = known.ahead.as_deref();
            let backend = ahead.or(stage.backend(ball.index)).unwrap_or(self.backend);
            if answer.record.backend != backend {
                answer.record.backend = backend.to_owned();
            }
            let waited = begun.elapsed().as_secs_f64();
            let seconds = stage.seconds(ball.index).unwrap_or(waited);
            answer.ahead += seconds - waited;
            let (proved, violated) = (known.proves(ball.epsilon), known.witness.is_some());
            if let Some(tally) = answer.stages.get_mut(k) {
                *tally += Tally {
                    tried: 1,
                    certified: usize::from(proved),
                    falsified: usize::from(violated && !proved),
                    seconds,
                    work,
                };
            }
            if proved || violated {
                answer.record.method = stage.name().to_owned();
                answer.refused = None;
                break;
            }
        }
        answer.solved += known.solved;
        known
    }

    /// The ball around a sample; `ends`: of [`Question::ends`].
    pub(crate) fn ball<'a>(
        &'a self,
        index: usize,
        x: &'a [f32],
        class: usize,
        epsilon: f64,
        ends: &'a Option<(Vec<f32>, Vec<f32>)>,
    ) -> Ball<'a> {
        let clip = ends.as_ref().map(|(lo, hi)| (&lo[..], &hi[..]));
        Ball { question: self, index, x, class, epsilon, clip }
    }

    /// The box with an end for each of `inputs` coordinates.
    pub(crate) fn ends(&self, inputs: usize) -> Option<(Vec<f32>, Vec<f32>)> {
        self.clip.map(|(lo, hi)| (vec![lo; inputs], vec![hi; inputs]))
    }

    /// Whether a witness may lie there.
    pub(crate) fn admits(&self, point: &[f32]) -> bool {
        self.inner.is_none_or(|(lo, hi)| point.iter().all(|x| lo <= *x && *x <= hi))
    }

    /// A record with the prediction, `unknown` unless that is not the label.
    pub(crate) fn begin(
        &self,
        runner: &mut Runner<'_>,
        index: usize,
        x: &[f32],
        label: Option<usize>,
    ) -> Answer {
        let waiting = Instant::now();
        let found = self.stages.first().and_then(|stage| stage.predicted(index));
        let ahead = found.map_or(0.0, |of| of.seconds - waiting.elapsed().as_secs_f64());
        let predicted = found.map_or_else(|| runner.predict(x), |of| of.class);
        let wrong = matches!((label, predicted), (Some(l), Some(p)) if l != p);
        let last = self.stages.last().map_or("", |stage| stage.name());
        let record = Record {
            index,
            label,
            predicted,
            verdict: if wrong { Verdict::Misclassified } else { Verdict::Unknown },
            method: if wrong { "forward" } else { last }.to_owned(),
            margin: None,
            radius: None,
            attacked: None,
            exact: None,
            epsilon: None,
            norm: self.norm.to_string(),
            semantics: self.semantics.to_owned(),
            backend: self.backend.to_owned(),
            seconds: 0.0,
        };
        Answer {
            record,
            work: Work::default(),
            refused: None,
            solved: Solved::default(),
            stages: vec![Tally::default(); self.stages.len()],
            witness: None,
            simplex: None,
            ahead,
        }
    }
}

/// The radius of a closed ball within an open one, at most what a search would try.
pub(crate) fn closed(radius: f32) -> f64 {
    f64::from(radius.next_down()).clamp(0.0, LARGEST_RADIUS)
}

/// Radii are not told beyond this: above any input's scale.
pub(crate) const LARGEST_RADIUS: f64 = 1e12;

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use certus_engine::model::{Activation, Model};

    use super::*;
    use crate::blob::{self, WeightKind};
    use crate::network::{Affine, Network};
    use crate::plan::{Predicted, Stage};

    /// Knows the class of every second row, and nothing else.
    #[derive(Debug)]
    struct Ahead;

    impl Stage for Ahead {
        fn name(&self) -> &'static str {
            "ahead"
        }

        fn settle(&self, _: &mut Worker<'_>, ball: &Ball<'_>, known: &mut Known) -> Done {
            known.margins = vec![ball.class as f32];
            Ok(Work::default())
        }

        fn predicted(&self, index: usize) -> Option<Predicted> {
            let class = if index == 2 { None } else { Some(1) };
            index.is_multiple_of(2).then_some(Predicted { class, seconds: 100.0 })
        }
    }

    #[test]
    fn a_class_that_was_found_ahead_is_not_found_again() {
        let (activation, through) = (Activation::Identity, 0);
        let (weight_error, bias_error) = (0.0, 0.0);
        let (weights, bias) = (vec![0.0; 2], vec![1.0, 0.0]);
        let (rows, cols) = (2, 1);
        let layers = vec![Affine {
            rows,
            cols,
            weights,
            bias,
            activation,
            through,
            weight_error,
            bias_error,
        }];
        let words = blob::pack(&Network { inputs: 1, layers }, WeightKind::F32).unwrap();
        let mut worker = Worker::new(Model::from_words(&words).unwrap(), false);
        let question = Question::new(Norm::Linf, [Arc::new(Ahead) as SharedStage]);
        let mut ask =
            |index, label| question.certify(&mut worker, index, &[0.0], label, 0.1).record;
        // The network's own answer is 0.
        for (index, label, predicted, verdict) in [
            (0, None, Some(1), Verdict::Certified),
            (1, None, Some(0), Verdict::Unknown),
            (2, None, None, Verdict::Unknown),
            (4, Some(0), Some(1), Verdict::Misclassified),
            (5, Some(0), Some(0), Verdict::Unknown),
        ] {
            let record = ask(index, label);
            assert_eq!((record.predicted, record.verdict), (predicted, verdict), "{index}");
            // Its time counts as the sample's own.
            assert_eq!(record.seconds > 99.0, index.is_multiple_of(2), "{index}");
        }
    }
}

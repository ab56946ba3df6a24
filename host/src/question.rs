//! What is asked of each sample, and how it is answered: cheapest method first.

use std::time::Instant;

use certus_engine::bounds::{Error, Options, Semantics, Work};
use certus_engine::certificate::{Verdict as Proof, margin, verdict};
use certus_engine::region::{Norm, Region};
use certus_engine::simplex::{Query, Simplex};
use certus_engine::spec::Spec;

use crate::alpha::{self, Around, Settings};
use crate::cpu::Runner;
use crate::geometry::{DecisionBoundary, Norms, search};
use crate::radius::{Found, Search};
use crate::relaxed::{fast_lip, quad};
use crate::report::{Record, Verdict};

/// A method with the name it has on the command line.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Stage {
    /// The name.
    pub name: &'static str,
    /// What the engine does.
    pub how: How,
}

/// What the engine does.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum How {
    /// Bounds over the ball.
    Bounds(Options),
    /// CROWN, then its slopes optimised.
    Alpha(Options),
    /// The simplex certificate: a radius at once.
    Simplex(Semantics),
    /// Search of up to so many linear regions: a radius at once.
    Search(usize),
    /// The decision-boundary certificate of the question: a radius at once. It takes no heed of a
    /// box, and so holds within any.
    DecisionBoundary,
    /// CROWN-Quad over the ball.
    Quad,
    /// Fast-Lip over the ball.
    FastLip,
}

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
    /// The methods, tried in this order until one proves it; at least one.
    pub stages: Vec<Stage>,
    /// `real` or `deployed`, for the records.
    pub semantics: &'static str,
    /// What computes, for the records.
    pub backend: &'static str,
    /// Norms of the model's weights, which spare the simplex certificate work.
    pub norms: Option<Norms>,
    /// The certificate of the stages [`How::DecisionBoundary`], which prove nothing without it; of
    /// the very weights that the runner has.
    pub decision_boundary: Option<DecisionBoundary>,
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
    /// The simplex certificate in real semantics, where it was asked for.
    pub simplex: Option<Simplex<1>>,
}

impl Question {
    /// Certifies one radius around `x`.
    ///
    /// `certified` means: every input of the ball (cut by the box) has `label`, or the predicted
    /// class where there is no label, as its strictly largest output.
    pub fn certify(
        &self,
        runner: &mut Runner<'_>,
        index: usize,
        x: &[f32],
        label: Option<usize>,
        epsilon: f64,
    ) -> Answer {
        let begun = Instant::now();
        let mut answer = self.begin(runner, index, x, label);
        answer.record.epsilon = Some(epsilon);
        if let (Verdict::Unknown, Some(class)) = (answer.record.verdict, answer.record.predicted) {
            let mut prover = Prover::new(self, x, class);
            let proved = prover.prove(runner, epsilon, &mut answer);
            answer.record.margin = prover.margin.map(f64::from);
            if proved {
                answer.record.verdict = Verdict::Certified;
            }
        }
        answer.record.seconds = begun.elapsed().as_secs_f64();
        answer
    }

    /// Finds the largest radius around `x` that certifies.
    pub fn radius(
        &self,
        runner: &mut Runner<'_>,
        index: usize,
        x: &[f32],
        label: Option<usize>,
        search: &Search,
    ) -> (Answer, Found) {
        let begun = Instant::now();
        let mut answer = self.begin(runner, index, x, label);
        let mut found = Found::default();
        if let (Verdict::Unknown, Some(class)) = (answer.record.verdict, answer.record.predicted) {
            let mut prover = Prover::new(self, x, class);
            found = match self.stages.first().map(|stage| stage.how) {
                Some(How::Simplex(semantics)) => {
                    let radius = prover.simplex(runner, semantics, &mut answer);
                    Found { radius: closed(radius), ..Found::default() }
                }
                Some(How::Search(regions)) => {
                    let searched = prover.search(runner, regions, LARGEST_RADIUS, &mut answer);
                    let violation = searched.violation.filter(|found| self.admits(&found.point));
                    answer.record.exact = Some(searched.exact && violation.is_some());
                    answer.record.attacked = violation.map(|found| found.distance);
                    let radius = searched.radius.next_down().clamp(0.0, LARGEST_RADIUS);
                    Found { radius, ..Found::default() }
                }
                Some(How::DecisionBoundary) => {
                    let radius = prover.decision_boundary().next_down();
                    Found { radius: radius.clamp(0.0, LARGEST_RADIUS), ..Found::default() }
                }
                _ => search.run(|epsilon| prover.prove(runner, epsilon, &mut answer)),
            };
            answer.record.radius = Some(found.radius);
            if found.radius > 0.0 {
                answer.record.verdict = Verdict::Certified;
            }
        } else if answer.record.verdict == Verdict::Misclassified {
            answer.record.radius = Some(0.0);
        }
        answer.record.seconds = begun.elapsed().as_secs_f64();
        (answer, found)
    }

    /// Whether a witness may lie there.
    fn admits(&self, point: &[f32]) -> bool {
        self.inner.is_none_or(|(lo, hi)| point.iter().all(|x| lo <= *x && *x <= hi))
    }

    /// What the simplex certificate is asked about `x`.
    pub(crate) fn query<'a>(
        &'a self,
        x: &'a [f32],
        class: usize,
        clip: Option<(&'a [f32], &'a [f32])>,
        semantics: Semantics,
    ) -> Query<'a> {
        let known = self.norms.as_ref().map(Norms::known);
        Query { clip, semantics, known, ..Query::margins(x, self.norm, class) }
    }

    /// A record with the prediction, `unknown` unless that is not the label.
    pub(crate) fn begin(
        &self,
        runner: &mut Runner<'_>,
        index: usize,
        x: &[f32],
        label: Option<usize>,
    ) -> Answer {
        let predicted = runner.predict(x);
        let wrong = matches!((label, predicted), (Some(l), Some(p)) if l != p);
        let last = self.stages.last().map_or("", |stage| stage.name);
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
        Answer { record, work: Work::default(), refused: None, simplex: None }
    }
}

/// The radius of a closed ball within an open one, at most what a search would try.
pub(crate) fn closed(radius: f32) -> f64 {
    f64::from(radius.next_down()).clamp(0.0, LARGEST_RADIUS)
}

/// Radii are not told beyond this: above any input's scale.
const LARGEST_RADIUS: f64 = 1e12;

/// The stages at work on one sample.
struct Prover<'a> {
    question: &'a Question,
    x: &'a [f32],
    class: usize,
    clip: Option<(Vec<f32>, Vec<f32>)>,
    bounds: Vec<f32>,
    margin: Option<f32>,
    /// The radius of the simplex certificate, once it is known.
    certificate: Option<f32>,
}

impl<'a> Prover<'a> {
    fn new(question: &'a Question, x: &'a [f32], class: usize) -> Self {
        let clip = question.clip.map(|(lo, hi)| (vec![lo; x.len()], vec![hi; x.len()]));
        Self { question, x, class, clip, bounds: Vec::new(), margin: None, certificate: None }
    }

    /// The radius of the simplex certificate, computed once; 0 if the engine refuses.
    fn simplex(
        &mut self,
        runner: &mut Runner<'_>,
        semantics: Semantics,
        answer: &mut Answer,
    ) -> f32 {
        if let Some(radius) = self.certificate {
            return radius;
        }
        let clip = self.clip.as_ref().map(|(lo, hi)| (&lo[..], &hi[..]));
        let query = self.question.query(self.x, self.class, clip, semantics);
        let found: Result<Simplex<1>, Error> = runner.simplex(&query);
        let radius = match found {
            Ok(found) => {
                answer.work += found.work;
                let radius = found.radius();
                answer.simplex = Some(found).filter(|_| semantics == Semantics::Real);
                radius
            }
            Err(error) => {
                answer.refused = Some(error);
                0.0
            }
        };
        self.certificate = Some(radius);
        radius
    }

    /// What a search of linear regions finds up to `limit`; nothing where the engine refuses the
    /// point.
    fn search(
        &self,
        runner: &Runner<'_>,
        regions: usize,
        limit: f64,
        answer: &mut Answer,
    ) -> search::Found {
        let clip = self.clip.as_ref().map(|(lo, hi)| (&lo[..], &hi[..]));
        let budget = search::Budget { regions, programs: 10 * regions, limit };
        let norm = self.question.norm;
        let nothing =
            search::Found { radius: 0.0, violation: None, exact: false, regions: 0, programs: 0 };
        let found = search::search(runner.model(), self.x, self.class, norm, clip, &budget);
        found.unwrap_or_else(|_| {
            let point = Region::ball(self.x, 0.0, norm).check(self.x.len());
            answer.refused = point.err().map(Error::Region);
            nothing
        })
    }

    /// The radius of the decision-boundary certificate; 0 if there is none.
    fn decision_boundary(&self) -> f64 {
        let certificate = self.question.decision_boundary.as_ref();
        let radius = certificate.map(|c| c.local(self.x, self.class, self.question.norm));
        radius.and_then(Result::ok).unwrap_or(0.0)
    }

    /// Tries the stages in turn; keeps the best margin and the name of the one that proved it.
    fn prove(&mut self, runner: &mut Runner<'_>, epsilon: f64, answer: &mut Answer) -> bool {
        let spec = Spec::Margins { class: self.class };
        self.margin = None;
        for stage in &self.question.stages {
            let radius = match stage.how {
                How::Bounds(_) | How::Alpha(_) | How::Quad | How::FastLip => None,
                How::Simplex(semantics) => Some(self.simplex(runner, semantics, answer).into()),
                How::DecisionBoundary => Some(self.decision_boundary()),
                // A little beyond, so that the radius asked for can be reached.
                How::Search(regions) => {
                    Some(self.search(runner, regions, 1.01 * epsilon, answer).radius)
                }
            };
            match radius {
                None => {}
                // These certify an open ball.
                Some(radius) if epsilon < radius => {
                    answer.record.method = stage.name.to_owned();
                    answer.refused = None;
                    return true;
                }
                Some(_) => continue,
            }
            let region = match &self.clip {
                Some((lo, hi)) => Region::ball_in_box(self.x, epsilon, self.question.norm, lo, hi),
                None => Region::ball(self.x, epsilon, self.question.norm),
            };
            let bounds = &mut self.bounds;
            let done = match &stage.how {
                How::Bounds(options) => runner.lower_bounds(&region, &spec, options, bounds),
                How::Alpha(options) => {
                    let around = Around {
                        center: self.x,
                        epsilon,
                        norm: self.question.norm,
                        clip: self.clip.as_ref().map(|(lo, hi)| (&lo[..], &hi[..])),
                    };
                    let settings = Settings::default();
                    alpha::lower_bounds(runner, &around, self.class, options, &settings, bounds)
                }
                How::Quad => {
                    let effort = quad::Effort { enough: 0.0, ..quad::Effort::default() };
                    quad::lower_bounds(runner, &region, &spec, &effort, bounds)
                }
                How::FastLip => fast_lip::lower_bounds(runner, &region, &spec, bounds),
                How::Simplex(_) | How::Search(_) | How::DecisionBoundary => continue,
            };
            match done {
                Ok(work) => answer.work += work,
                // A later stage's tighter bounds may stay within range.
                Err(error) => {
                    answer.refused = Some(error);
                    continue;
                }
            }
            let least = margin(&self.bounds);
            if least > self.margin {
                self.margin = least;
            }
            if verdict(&self.bounds) == Proof::Certified {
                answer.record.method = stage.name.to_owned();
                answer.refused = None;
                return true;
            }
        }
        false
    }
}

//! What is asked of each sample, and how it is answered: cheapest method first.

use std::time::Instant;

use certus_engine::bounds::{Error, Options, Work};
use certus_engine::certificate::{Verdict as Proof, margin, verdict};
use certus_engine::region::{Norm, Region};
use certus_engine::spec::Spec;

use crate::cpu::Runner;
use crate::radius::{Found, Search};
use crate::report::{Record, Verdict};

/// A method with the name it has on the command line.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Stage {
    /// The name.
    pub name: &'static str,
    /// What the engine does.
    pub options: Options,
}

/// The question about a classifier that is put to every sample: does the class stay the same in a
/// ball around it?
#[derive(Clone, Debug)]
pub struct Question {
    /// The ball's norm.
    pub norm: Norm,
    /// The box that cuts the ball, if any.
    pub clip: Option<(f32, f32)>,
    /// The methods, tried in this order until one proves it; at least one.
    pub stages: Vec<Stage>,
    /// `real` or `deployed`, for the records.
    pub semantics: &'static str,
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
}

/// The name of a norm.
pub fn norm_name(norm: Norm) -> &'static str {
    match norm {
        Norm::L1 => "l1",
        Norm::L2 => "l2",
        Norm::Linf => "linf",
    }
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
            found = search.run(|epsilon| prover.prove(runner, epsilon, &mut answer));
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
            epsilon: None,
            norm: norm_name(self.norm).to_owned(),
            semantics: self.semantics.to_owned(),
            backend: "cpu".to_owned(),
            seconds: 0.0,
        };
        Answer { record, work: Work::default(), refused: None }
    }
}

/// The stages at work on one sample.
struct Prover<'a> {
    question: &'a Question,
    x: &'a [f32],
    class: usize,
    clip: Option<(Vec<f32>, Vec<f32>)>,
    bounds: Vec<f32>,
    margin: Option<f32>,
}

impl<'a> Prover<'a> {
    fn new(question: &'a Question, x: &'a [f32], class: usize) -> Self {
        let clip = question.clip.map(|(lo, hi)| (vec![lo; x.len()], vec![hi; x.len()]));
        Self { question, x, class, clip, bounds: Vec::new(), margin: None }
    }

    /// Tries the stages in turn; keeps the best margin and the name of the one that proved it.
    fn prove(&mut self, runner: &mut Runner<'_>, epsilon: f64, answer: &mut Answer) -> bool {
        let region = match &self.clip {
            Some((lo, hi)) => Region::ball_in_box(self.x, epsilon, self.question.norm, lo, hi),
            None => Region::ball(self.x, epsilon, self.question.norm),
        };
        let spec = Spec::Margins { class: self.class };
        self.margin = None;
        for stage in &self.question.stages {
            match runner.lower_bounds(&region, &spec, &stage.options, &mut self.bounds) {
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

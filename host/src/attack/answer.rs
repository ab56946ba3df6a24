//! Attacks on the samples that a question is put to.

use std::time::Instant;

use certus_engine::bounds::Work;
use certus_engine::model::Model;

use super::deepfool::DeepFool;
use super::descent::{Aim, Descent, Found, Loss, WHOLE};
use super::gradient::Cpu;
use super::nearest::Nearest;
use super::replay::{Refusal, Witness, replay};
use super::segment::shrink;
use super::threat::{Place, Threat};
use crate::cpu::Runner;
use crate::plan::{Ball, Candidate, Known};
use crate::question::{Answer, Question};
use crate::report::Verdict;
use crate::run::Progress;

/// An attack by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// One gradient step of the radius's length.
    Fgsm,
    /// Gradient steps from the centre.
    Ifgsm,
    /// Gradient steps from the centre and from random starts.
    Pgd,
    /// Steps to the nearest linearised boundary.
    DeepFool,
}

impl Method {
    /// The name on the command line and in records.
    pub fn name(self) -> &'static str {
        match self {
            Method::Fgsm => "fgsm",
            Method::Ifgsm => "ifgsm",
            Method::Pgd => "pgd",
            Method::DeepFool => "deepfool",
        }
    }
}

/// An attack with its settings.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Attack {
    /// Its name.
    pub method: Method,
    /// The steps of the methods that descend.
    pub descent: Descent,
    /// The steps of DeepFool.
    pub deepfool: DeepFool,
    /// The box that witnesses lie in; within the question's.
    pub clip: Option<(f32, f32)>,
}

/// One thread's memory: for bounds, and for gradients once they are asked for.
#[derive(Debug)]
pub struct Worker<'m> {
    /// Bounds, and the forward pass as deployed.
    pub runner: Runner<'m>,
    /// Where long work tells how far it is.
    pub progress: Progress,
    model: Model<'m>,
    gradient: Option<Cpu<'m>>,
}

impl<'m> Worker<'m> {
    /// See [`Runner::new`].
    pub fn new(model: Model<'m>, parallel: bool) -> Self {
        Self::with(Runner::new(model, parallel))
    }

    /// See [`Runner::device`].
    pub fn device(model: Model<'m>) -> Self {
        Self::with(Runner::device(model))
    }

    fn with(runner: Runner<'m>) -> Self {
        let model = *runner.model();
        Self { runner, progress: Progress::hidden(), model, gradient: None }
    }

    /// Both.
    fn parts(&mut self) -> (&mut Cpu<'m>, &mut Runner<'m>) {
        let gradient = self.gradient.get_or_insert_with(|| Cpu::new(self.model));
        (gradient, &mut self.runner)
    }

    /// The multiply-adds that the gradient has done.
    fn macs(&self) -> u64 {
        self.gradient.as_ref().map_or(0, Cpu::macs)
    }
}

impl Attack {
    /// The usual settings: FGSM one step, I-FGSM 10 steps that could go 1.25 times the radius, both
    /// with cross-entropy; PGD as [`Descent::PGD`]; DeepFool as its default.
    pub fn new(method: Method) -> Self {
        let plain = Descent {
            loss: Loss::CrossEntropy,
            decay: false,
            momentum: 0.0,
            restarts: 1,
            aim: Aim::Best,
            ..Descent::PGD
        };
        let descent = match method {
            Method::Fgsm => Descent { steps: 1, ..plain },
            Method::Ifgsm => Descent { steps: 10, ..plain },
            Method::Pgd | Method::DeepFool => Descent::PGD,
        };
        Self { method, descent, deepfool: DeepFool::default(), clip: None }
    }

    /// Attacks output `class` in the ball of radius `epsilon` around `x`.
    pub fn run(
        &self,
        worker: &mut Worker<'_>,
        threat: &Threat<'_>,
        class: usize,
        index: usize,
    ) -> Found {
        let (gradient, runner) = worker.parts();
        match self.descent(threat.epsilon) {
            Some(descent) => descent.run(gradient, runner, threat, class, index),
            None => self.deepfool(gradient, runner, threat, class),
        }
    }

    /// Its steps in balls of radius `epsilon`; none of DeepFool, which has none of a length.
    pub(crate) fn descent(&self, epsilon: f64) -> Option<Descent> {
        let whole = match self.method {
            Method::Fgsm => 1.0,
            Method::Ifgsm => 1.25,
            Method::Pgd => WHOLE,
            Method::DeepFool => return None,
        };
        let descent = &self.descent;
        let step = whole * epsilon / descent.steps.max(1) as f64;
        Some(Descent { step: descent.step.or(Some(step)), ..*descent })
    }

    /// DeepFool knows no radius: what it finds falsifies where it happens to be near enough.
    fn deepfool(
        &self,
        gradient: &mut Cpu<'_>,
        runner: &mut Runner<'_>,
        threat: &Threat<'_>,
        class: usize,
    ) -> Found {
        let free = Threat { epsilon: f64::INFINITY, ..*threat };
        let place = Place::new(&free);
        let point = self.deepfool.run(gradient, &place, threat.clip, class);
        let mut found = Found::default();
        for point in shrink(gradient, &place, class, &point).into_iter().chain([point]) {
            match replay(runner, threat, class, &point) {
                Ok(witness) => {
                    found.witness = Some(witness);
                    break;
                }
                Err(Refusal::Unsettled { lead }) => found.keep(&point, lead),
                Err(_) => {}
            }
        }
        found
    }

    /// Attacks the ball of one radius around `x`: `falsified` where a witness replayed.
    ///
    /// The record's margin is an upper bound of the least lead of the class over the region, taken
    /// at the best point found.
    pub fn answer(
        &self,
        question: &Question,
        worker: &mut Worker<'_>,
        index: usize,
        x: &[f32],
        label: Option<usize>,
        epsilon: f64,
    ) -> (Answer, Option<Witness>) {
        let begun = Instant::now();
        let mut answer = question.begin(&mut worker.runner, index, x, label);
        answer.record.epsilon = Some(epsilon);
        if answer.record.verdict == Verdict::Unknown {
            answer.record.method = self.method.name().to_owned();
        }
        let (witness, lead) = self.open(question, worker, x, epsilon, &mut answer);
        answer.record.margin = lead.map(|lead| 0.0 - f64::from(lead));
        answer.record.seconds = (begun.elapsed().as_secs_f64() + answer.ahead).max(0.0);
        (answer, witness)
    }

    /// Attacks what `answer`, of the proofs, left unknown.
    pub fn escalate(
        &self,
        question: &Question,
        worker: &mut Worker<'_>,
        x: &[f32],
        epsilon: f64,
        answer: &mut Answer,
    ) -> Option<Witness> {
        let begun = Instant::now();
        let (witness, _) = self.open(question, worker, x, epsilon, answer);
        answer.record.seconds += begun.elapsed().as_secs_f64();
        witness
    }

    /// Looks for an input of the ball with another answer; tells it, and gives the work.
    pub fn falsify(&self, worker: &mut Worker<'_>, ball: &Ball<'_>, known: &mut Known) -> Work {
        let before = worker.macs();
        let threat = self.threat(ball.question, ball.x, ball.epsilon);
        let candidate = self.ahead(ball.question, ball.index, ball.class, ball.epsilon);
        known.ahead = candidate.as_ref().map(|candidate| candidate.backend.clone());
        (known.witness, _) = self.find(worker, candidate, &threat, ball.class, ball.index);
        Work { product_macs: worker.macs() - before, ..Work::default() }
    }

    /// What it found before it is asked, on a GPU.
    fn ahead(
        &self,
        question: &Question,
        index: usize,
        class: usize,
        epsilon: f64,
    ) -> Option<Candidate> {
        question.stages.first()?.candidate(self, index, class, epsilon)
    }

    fn threat<'a>(&self, question: &Question, x: &'a [f32], epsilon: f64) -> Threat<'a> {
        Threat { center: x, epsilon, norm: question.norm, clip: self.clip }
    }

    /// Runs on a sample that is still unknown, and fills in what a witness proves. Gives the witness
    /// and the settled lead of another output there, or at the best point found.
    fn open(
        &self,
        question: &Question,
        worker: &mut Worker<'_>,
        x: &[f32],
        epsilon: f64,
        answer: &mut Answer,
    ) -> (Option<Witness>, Option<f32>) {
        let unknown = answer.record.verdict == Verdict::Unknown;
        let Some(class) = answer.record.predicted.filter(|_| unknown) else { return (None, None) };
        let before = worker.macs();
        let threat = self.threat(question, x, epsilon);
        let waiting = Instant::now();
        let candidate = self.ahead(question, answer.record.index, class, epsilon);
        let by = candidate.as_ref().map(|candidate| candidate.backend.clone());
        if let Some(candidate) = &candidate {
            answer.ahead += candidate.seconds - waiting.elapsed().as_secs_f64();
        }
        let (witness, lead) = self.find(worker, candidate, &threat, class, answer.record.index);
        answer.work.product_macs += worker.macs() - before;
        if let Some(witness) = &witness {
            answer.record.verdict = witness.verdict();
            answer.record.method = self.method.name().to_owned();
        }
        if answer.record.method == self.method.name() {
            answer.record.backend = by.unwrap_or_else(|| question.backend.to_owned());
        }
        let lead = witness.as_ref().map(Witness::lead).or(lead);
        (witness, lead.filter(|lead| lead.is_finite()))
    }

    /// Runs, unless there is a candidate, and pushes a point that was left just short of the boundary
    /// across it. Gives the witness or the settled lead at the best point found.
    fn find(
        &self,
        worker: &mut Worker<'_>,
        candidate: Option<Candidate>,
        threat: &Threat<'_>,
        class: usize,
        index: usize,
    ) -> (Option<Witness>, Option<f32>) {
        let found = match candidate {
            Some(Candidate { mut point, lead, .. }) => {
                // Whoever found it may have rounded it out of the threat.
                let place = Place::new(threat);
                place.put(&mut place.way(&point), &mut point);
                Found { witness: None, best: Some((point, lead)) }
            }
            None => self.run(worker, threat, class, index),
        };
        match (found.witness, found.best) {
            (Some(witness), _) => (Some(witness), None),
            (None, Some((point, _))) => match replay(&mut worker.runner, threat, class, &point) {
                Ok(witness) => (Some(witness), None),
                Err(Refusal::Unsettled { lead }) => (None, Some(lead)),
                Err(_) => (None, None),
            },
            (None, None) => (None, None),
        }
    }
}

impl Nearest {
    /// Fills in the distance of the nearest witness found around `x`, unless a nearer one is known;
    /// `answer` has the certified radius.
    pub fn bracket(
        &self,
        question: &Question,
        worker: &mut Worker<'_>,
        x: &[f32],
        answer: &mut Answer,
    ) -> Option<Witness> {
        let record = &mut answer.record;
        let class = record.predicted.filter(|_| record.verdict != Verdict::Misclassified)?;
        let begun = Instant::now();
        let before = worker.macs();
        let threat =
            Threat { center: x, epsilon: f64::INFINITY, norm: question.norm, clip: question.inner };
        let hint = record.radius.unwrap_or(0.0);
        let (gradient, runner) = worker.parts();
        let witness = self.run(gradient, runner, &threat, class, record.index, hint);
        answer.work.product_macs += worker.macs() - before;
        let found = witness.as_ref().map(Witness::distance);
        record.attacked = found.into_iter().chain(record.attacked).reduce(f64::min);
        record.seconds += begun.elapsed().as_secs_f64();
        witness
    }
}

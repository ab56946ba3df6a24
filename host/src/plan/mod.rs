//! Methods that settle a sample, one trait for all, and how they follow one another.
//!
//! A [`Stage`] is a method with its settings. A question has several, the cheapest first; each sees
//! only what those before it have left open, and what they found ([`Known`]): the best margins, the
//! pre-activation bounds. A new method is one more `impl Stage`.
//!
//! * [`Propagation`]: intervals, CROWN and their kin, by the engine. [`AlphaCrown`],
//!   [`LinearProgram`], [`Semidefinite`], [`GradCert`], [`CrownQuad`], [`FastLip`]: bounds of margins
//!   over the ball.
//! * [`Simplex`], [`RegionSearch`], [`LocalBoundary`]: a radius at once.
//! * [`Sieve`]: an attack that spares the costly methods what is false.

mod distance;
mod margins;
mod sieve;

use std::fmt::Debug;
use std::sync::Arc;

use certus_engine::bounds::{Error, Options, Semantics, Work};
use certus_engine::certificate::{Verdict as Proof, margin, verdict};
use certus_engine::model::Model;
use certus_engine::region::{Norm, Region};
use certus_engine::simplex::{self, Query};

pub use distance::{LocalBoundary, RegionSearch, Simplex};
pub use margins::{
    AlphaCrown, CrownQuad, FastLip, GradCert, LinearProgram, Propagation, Semidefinite,
};
pub use sieve::Sieve;

use crate::alpha::Settings;
use crate::attack::{Attack, Witness, Worker};
use crate::error::Result;
use crate::geometry::Norms;
use crate::offline::lp::Solved;
use crate::question::{Answer, Question};
use crate::slopes::Around;

/// A stage's work, or why the engine refused.
pub type Done = std::result::Result<Work, Error>;

/// A method that tries to settle a sample.
pub trait Stage: Debug + Send + Sync {
    /// Its name on the command line and in records.
    fn name(&self) -> &'static str;

    /// Whether it can be asked about this model in this norm.
    ///
    /// # Errors
    /// What it lacks, and what it expected.
    fn check(&self, _model: &Model<'_>, _norm: Norm) -> Result<()> {
        Ok(())
    }

    /// Whether it profits from the norms of the model's weights, computed once.
    fn uses_norms(&self) -> bool {
        false
    }

    /// Tries to settle one ball: adds to `known` what it finds.
    ///
    /// # Errors
    /// The engine's, where it refuses the ball; a later stage may not.
    fn settle(&self, worker: &mut Worker<'_>, ball: &Ball<'_>, known: &mut Known) -> Done;

    /// The class of row `index`, where it was found ahead; waits for it where it is on its way.
    fn predicted(&self, _index: usize) -> Option<Predicted> {
        None
    }

    /// The best point that this attack found ahead in the ball around row `index`, by an output other than
    /// `class`; waits for it where it is on its way.
    fn candidate(
        &self,
        _attack: &Attack,
        _index: usize,
        _class: usize,
        _epsilon: f64,
    ) -> Option<Candidate> {
        None
    }

    /// What computed its answer about row `index`, where that is not what computes for the question.
    fn backend(&self, _index: usize) -> Option<&str> {
        None
    }

    /// Seconds that its answer about row `index` took, where that was found ahead and only waited for.
    fn seconds(&self, _index: usize) -> Option<f64> {
        None
    }

    /// The largest radius that it certifies, for methods that find it without a ball being asked
    /// about; with what else it learns about the sample in `answer`. The ball's radius means nothing.
    fn radius(
        &self,
        _worker: &mut Worker<'_>,
        _ball: &Ball<'_>,
        _answer: &mut Answer,
    ) -> Option<f64> {
        None
    }
}

/// A class that was found ahead.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Predicted {
    /// The class that [`crate::cpu::Runner::predict`] gives.
    pub class: Option<usize>,
    /// Seconds that it took.
    pub seconds: f64,
}

/// A point that an attack found ahead: a guess, which proves nothing before it is replayed.
#[derive(Clone, Debug, PartialEq)]
pub struct Candidate {
    /// The point.
    pub point: Vec<f32>,
    /// By how much another output seems to be ahead there.
    pub lead: f32,
    /// What found it.
    pub backend: String,
    /// Seconds that it took.
    pub seconds: f64,
}

/// A stage that several questions and threads share.
pub type SharedStage = Arc<dyn Stage>;

/// The ball around a sample that is asked about.
#[derive(Clone, Copy, Debug)]
pub struct Ball<'a> {
    /// The question.
    pub question: &'a Question,
    /// The sample's row in its data.
    pub index: usize,
    /// The sample.
    pub x: &'a [f32],
    /// The class that it shall keep.
    pub class: usize,
    /// The radius, in the question's norm.
    pub epsilon: f64,
    /// The box that cuts the ball, an end for each coordinate.
    pub clip: Option<(&'a [f32], &'a [f32])>,
}

impl<'a> Ball<'a> {
    /// For bounds with slopes of their own.
    pub fn around(&self) -> Around<'a> {
        let Self { x, epsilon, clip, question, .. } = *self;
        Around { center: x, epsilon, norm: question.norm, clip }
    }

    /// For the engine.
    pub fn region(&self) -> Region<'a> {
        self.around().region()
    }

    /// For the simplex certificate.
    pub fn query(&self, semantics: Semantics) -> Query<'a> {
        let known = self.question.norms.as_ref().map(Norms::known);
        let Self { x, class, clip, question, .. } = *self;
        Query { clip, semantics, known, ..Query::margins(x, question.norm, class) }
    }
}

/// What the stages have found out about a ball.
#[derive(Clone, Debug, Default)]
pub struct Known {
    /// The best lower bound of each margin, in the order of
    /// [`certus_engine::spec::Spec::Margins`]; empty before the first.
    pub margins: Vec<f32>,
    /// Ends of all pre-activations over the ball, lower and upper, by the last stage that had them.
    pub ends: Option<(Vec<f32>, Vec<f32>)>,
    /// Every input nearer than this keeps the class.
    pub clear: f64,
    /// An input of the ball with another answer.
    pub witness: Option<Witness>,
    /// What looked for that ahead, if something did.
    pub ahead: Option<String>,
    /// The simplex certificate in real semantics, where it was asked for.
    pub simplex: Option<simplex::Simplex<1>>,
    /// What solvers did.
    pub solved: Solved,
}

impl Known {
    /// Raises the margins to those of `found` that are better; all of them, if they are the first.
    pub fn raise(&mut self, found: &[f32]) {
        if self.margins.len() != found.len() {
            self.margins = found.to_vec();
        }
        for (best, found) in self.margins.iter_mut().zip(found) {
            // A NaN never replaces a bound.
            *best = if *found > *best { *found } else { *best };
        }
    }

    /// The least margin, if there are any.
    pub fn margin(&self) -> Option<f32> {
        margin(&self.margins)
    }

    /// Whether the closed ball of radius `epsilon` is proved.
    pub fn proves(&self, epsilon: f64) -> bool {
        epsilon < self.clear
            || (!self.margins.is_empty() && verdict(&self.margins) == Proof::Certified)
    }
}

/// The stages of `--method auto` for one radius, the cheapest first: CROWN that is content with what
/// intervals prove on the way, a short attack, and alpha-CROWN from CROWN's intervals, which gives up
/// where no slopes can do; `crown`: its semantics and slopes. The simplex certificate is not among
/// them: beside intervals it costs as much and, measured, settles nothing that they leave open.
pub fn auto(crown: Options) -> Vec<SharedStage> {
    let settings = Settings { give_up: true, ..Settings::default() };
    let alpha = AlphaCrown { crown, settings };
    vec![early(crown), Arc::new(Sieve::default()), Arc::new(alpha)]
}

/// The first stage of [`auto`], which is all of it for the largest radius: what a method cannot prove
/// there, it cannot prove many times for each sample.
pub fn early(crown: Options) -> SharedStage {
    propagation("crown", Options { early: true, ..crown })
}

/// A stage that is one of the engine's methods.
pub fn propagation(name: &'static str, options: Options) -> SharedStage {
    Arc::new(Propagation { name, options })
}

/// What a stage did in a run.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Tally {
    /// Balls that it was asked about.
    pub tried: usize,
    /// Of them, those that it proved.
    pub certified: usize,
    /// Those in which it found another answer.
    pub falsified: usize,
    /// Wall-clock seconds, the sum over all threads.
    pub seconds: f64,
    /// Counted work.
    pub work: Work,
}

impl std::ops::AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.tried += other.tried;
        self.certified += other.certified;
        self.falsified += other.falsified;
        self.seconds += other.seconds;
        self.work += other.work;
    }
}

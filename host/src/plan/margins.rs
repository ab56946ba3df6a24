//! Stages that bound the margins over the ball.

use std::time::Instant;

use certus_engine::bounds::{Given, Options, Work};
use certus_engine::model::Model;
use certus_engine::region::Norm;
use certus_engine::spec::Spec;

use super::{Ball, Done, Known, Stage};
use crate::alpha::{self, Settings};
use crate::attack::Worker;
use crate::error::Result;
use crate::offline::{lp, sdp};
use crate::relaxed::{fast_lip, quad};
use crate::run::Progress;

/// One of the engine's methods.
#[derive(Clone, Copy, Debug)]
pub struct Propagation {
    /// Its name.
    pub name: &'static str,
    /// What the engine does.
    pub options: Options,
}

impl Stage for Propagation {
    fn name(&self) -> &'static str {
        self.name
    }

    fn settle(&self, worker: &mut Worker<'_>, ball: &Ball<'_>, known: &mut Known) -> Done {
        propagate(&self.options, worker, ball, known)
    }
}

/// Bounds by the engine.
fn propagate(
    options: &Options,
    worker: &mut Worker<'_>,
    ball: &Ball<'_>,
    known: &mut Known,
) -> Done {
    let spec = Spec::Margins { class: ball.class };
    let mut out = Vec::new();
    let (given, region) = (Given::default(), ball.region());
    let runner = &mut worker.runner;
    let found = runner.lower_bounds_given(&region, &spec, options, &given, None, &mut out)?;
    known.raise(&out);
    if !known.proves(ball.epsilon) {
        known.ends = Some((found.lo.to_vec(), found.hi.to_vec()));
    }
    Ok(found.work)
}

/// Those, where none are known.
fn first(options: Options, worker: &mut Worker<'_>, ball: &Ball<'_>, known: &mut Known) -> Done {
    if known.ends.is_some() && !known.margins.is_empty() {
        return Ok(Work::default());
    }
    propagate(&options, worker, ball, known)
}

/// CROWN's slopes optimised, from the pre-activation bounds that are known, or CROWN's; dual ascent where
/// those stay as they are.
#[derive(Clone, Copy, Debug)]
pub struct AlphaCrown {
    /// How CROWN goes before, where nothing is known.
    pub crown: Options,
    /// The search.
    pub settings: Settings,
}

impl Stage for AlphaCrown {
    fn name(&self) -> &'static str {
        if self.settings.inside { "alpha-crown" } else { "dual" }
    }

    fn settle(&self, worker: &mut Worker<'_>, ball: &Ball<'_>, known: &mut Known) -> Done {
        let mut work = first(self.crown, worker, ball, known)?;
        let Known { margins, ends: Some((lo, hi)), .. } = known else { return Ok(work) };
        let Self { crown: Options { semantics, .. }, settings } = self;
        let (around, runner) = (ball.around(), &mut worker.runner);
        let ends = (&mut lo[..], &mut hi[..]);
        work += alpha::improve(runner, &around, *semantics, ends, ball.class, margins, settings)?;
        Ok(work)
    }
}

/// The layer-wise relaxation solved as a linear program, from the pre-activation bounds that are known,
/// or CROWN's.
#[derive(Clone, Copy, Debug)]
pub struct LinearProgram {
    /// How CROWN goes before, where nothing is known.
    pub crown: Options,
    /// How far it goes.
    pub settings: lp::Settings,
    /// What solves it.
    pub start: fn(&lp::Program<'_>) -> Box<dyn lp::Solver>,
}

impl Stage for LinearProgram {
    fn name(&self) -> &'static str {
        "lp"
    }

    fn settle(&self, worker: &mut Worker<'_>, ball: &Ball<'_>, known: &mut Known) -> Done {
        let mut work = first(self.crown, worker, ball, known)?;
        let Known { margins, ends: Some((lo, hi)), .. } = known else { return Ok(work) };
        let Self { crown: Options { semantics, .. }, settings, start } = self;
        let (around, runner) = (ball.around(), &mut worker.runner);
        let ends = (&mut lo[..], &mut hi[..]);
        let (begun, progress) = (Instant::now(), &worker.progress);
        let watch = |stand: lp::Stand| {
            // Of programs that keep anyone waiting.
            if begun.elapsed().as_secs() > 0 {
                progress.note(told(ball.index, &stand, begun.elapsed().as_secs_f64()));
            }
        };
        let class = ball.class;
        let (more, solved) = lp::improve(
            runner, &around, *semantics, ends, class, margins, settings, start, &watch,
        )?;
        known.solved += solved;
        work += more;
        Ok(work)
    }
}

/// The semidefinite relaxation, from the pre-activation bounds that are known, or those of `inside`.
#[derive(Clone, Copy, Debug)]
pub struct Semidefinite {
    /// How bounds are found, where none are known.
    pub inside: Options,
    /// What solves it.
    pub start: sdp::Start,
}

impl Stage for Semidefinite {
    fn name(&self) -> &'static str {
        "sdp"
    }

    fn check(&self, model: &Model<'_>, _norm: Norm) -> Result<()> {
        sdp::check(model, self.inside.semantics)
    }

    fn settle(&self, worker: &mut Worker<'_>, ball: &Ball<'_>, known: &mut Known) -> Done {
        let mut work = first(self.inside, worker, ball, known)?;
        let Known { margins, ends: Some((lo, hi)), .. } = known else { return Ok(work) };
        let Options { semantics, .. } = self.inside;
        let (around, runner) = (ball.around(), &mut worker.runner);
        let watch = solving(ball.index, &worker.progress);
        let (ends, class) = ((&lo[..], &hi[..]), ball.class);
        let (more, solved) =
            sdp::improve(runner, &around, semantics, ends, class, margins, self.start, &watch)?;
        known.solved += solved;
        work += more;
        Ok(work)
    }
}

/// Grad-cert.
#[derive(Clone, Copy, Debug)]
pub struct GradCert;

impl Stage for GradCert {
    fn name(&self) -> &'static str {
        "grad-cert"
    }

    fn check(&self, model: &Model<'_>, norm: Norm) -> Result<()> {
        sdp::gradient::check(model, norm)
    }

    fn settle(&self, worker: &mut Worker<'_>, ball: &Ball<'_>, known: &mut Known) -> Done {
        let (model, around) = (*worker.runner.model(), ball.around());
        let (lower, work, solved) = sdp::gradient::lower_bounds(
            &model,
            &around,
            ball.class,
            sdp::interior,
            &solving(ball.index, &worker.progress),
        )?;
        known.raise(&lower);
        known.solved += solved;
        Ok(work)
    }
}

/// Tells of semidefinite programs that keep anyone waiting.
fn solving(index: usize, progress: &Progress) -> impl Fn(usize, usize, sdp::Stand) + Sync {
    let begun = Instant::now();
    move |at, of, sdp::Stand { bound, value }| {
        let seconds = begun.elapsed().as_secs();
        if seconds > 0 {
            progress.note(format!(
                "row {index}: {seconds} s, margin {} of {of}, bound {bound:.3e}, gap {:.1e}",
                at + 1,
                value - bound
            ));
        }
    }
}

/// Where programs stand, in words.
fn told(index: usize, stand: &lp::Stand, seconds: f64) -> String {
    let lp::Stand { layer, done, of, margin } = stand;
    format!(
        "row {index}: {seconds:.0} s, layer {layer}, program {done} of {of}, margin {margin:.3e}"
    )
}

/// CROWN-Quad.
#[derive(Clone, Copy, Debug)]
pub struct CrownQuad;

impl Stage for CrownQuad {
    fn name(&self) -> &'static str {
        "crown-quad"
    }

    fn check(&self, model: &Model<'_>, _norm: Norm) -> Result<()> {
        quad::check(model)
    }

    fn settle(&self, worker: &mut Worker<'_>, ball: &Ball<'_>, known: &mut Known) -> Done {
        let effort = quad::Effort { enough: 0.0, ..quad::Effort::default() };
        let spec = Spec::Margins { class: ball.class };
        let mut out = Vec::new();
        let runner = &mut worker.runner;
        let work = quad::lower_bounds(runner, &ball.region(), &spec, &effort, &mut out)?;
        known.raise(&out);
        Ok(work)
    }
}

/// Fast-Lip.
#[derive(Clone, Copy, Debug)]
pub struct FastLip;

impl Stage for FastLip {
    fn name(&self) -> &'static str {
        "fast-lip"
    }

    fn check(&self, model: &Model<'_>, _norm: Norm) -> Result<()> {
        fast_lip::check(model)
    }

    fn settle(&self, worker: &mut Worker<'_>, ball: &Ball<'_>, known: &mut Known) -> Done {
        let spec = Spec::Margins { class: ball.class };
        let mut out = Vec::new();
        let work = fast_lip::lower_bounds(&mut worker.runner, &ball.region(), &spec, &mut out)?;
        known.raise(&out);
        Ok(work)
    }
}

//! `--backend gpu`: the first stage of a run over samples, answered by a GPU.

use std::sync::Arc;

use certus_engine::bounds::Options;
use certus_engine::region::Norm;

use super::message::say;
use super::samples::RunArgs;
use crate::dataset::Dataset;
use crate::error::{Error, Result};
use crate::gpu::{Adapters, Ahead, Asked, Job, qualify};
use crate::plan::SharedStage;
use crate::radius::Search;

/// The method that a GPU takes over; none where no GPU is asked for.
///
/// # Errors
/// A method, or a norm with `--clip`, that no GPU knows.
pub fn check(
    args: &RunArgs,
    method: Option<(&'static str, Options)>,
) -> Result<Option<(&'static str, Options)>> {
    if !args.compute.is_gpu() {
        return Ok(None);
    }
    let Some(method) = method else {
        let message = "--backend gpu: expected --method auto, crown, crown-ibp or fast-lin, no GPU knows others";
        return Err(Error::Usage(message.to_owned()));
    };
    let round = args.norm == Norm::L1 || args.norm == Norm::L2;
    if !(args.norm == Norm::Linf || round && args.clip.is_none()) {
        let message = "--backend gpu: expected --norm linf, or l1 or l2 without --clip";
        return Err(Error::Usage(message.to_owned()));
    }
    Ok(Some(method))
}

/// What a run asks of a GPU.
pub struct Run<'a> {
    /// The command line.
    pub args: &'a RunArgs,
    /// The method.
    pub method: (&'static str, Options),
    /// The model's blob.
    pub words: &'a Arc<Vec<u32>>,
    /// The samples.
    pub set: &'a Arc<Dataset>,
    /// Which of them, in order.
    pub todo: &'a [usize],
    /// The box that cuts their balls.
    pub clip: Option<(f32, f32)>,
    /// The radius, if it is one.
    pub epsilon: Option<f64>,
    /// How the largest is looked for.
    pub search: Option<&'a Search>,
}

/// Sets the first GPU that can be believed to work; none, after a message that says why, where there is
/// no such.
pub fn begin(run: Run<'_>) -> Option<SharedStage> {
    let asked = match (run.epsilon, run.search) {
        (_, Some(search)) => Asked::Radius(*search),
        (Some(epsilon), None) => Asked::Ball(epsilon),
        (None, None) => return None,
    };
    let adapters = Adapters::find();
    for (i, about) in adapters.about().enumerate() {
        let device = match adapters.open(i) {
            Ok(device) => device,
            Err(fault) => {
                say(format_args!("GPU: {about}: {fault}"));
                continue;
            }
        };
        if let Err(refusal) = qualify(&device) {
            say(format_args!("GPU: {about} may decide nothing: {refusal}"));
            continue;
        }
        return Some(Arc::new(Ahead::begin(Job {
            device,
            words: Arc::clone(run.words),
            set: Arc::clone(run.set),
            todo: run.todo.to_vec(),
            method: run.method,
            norm: run.args.norm,
            clip: run.clip,
            asked,
            profiled: false,
            notice: Box::new(|what| say(what)),
        })));
    }
    let none = if adapters.is_empty() { "there is none" } else { "there is none to be believed" };
    say(format_args!("GPU: {none}; the CPU does it all"));
    None
}

//! `--backend gpu` where the feature `gpu` is off.

use std::sync::Arc;

use super::options::OnDevice;
use super::samples::RunArgs;
use crate::attack::Attack;
use crate::dataset::Dataset;
use crate::error::{Error, Result};
use crate::plan::SharedStage;
use crate::radius::Search;

/// None is known.
///
/// # Errors
/// Where a GPU is asked for.
pub fn check(args: &RunArgs, _: Option<OnDevice>, _: bool) -> Result<Option<OnDevice>> {
    if args.compute.is_gpu() {
        let message = "--backend gpu: this certus is built without its feature gpu";
        return Err(Error::Usage(message.to_owned()));
    }
    args.without_profile().map(|()| None)
}

/// What a run asks of a GPU.
#[allow(dead_code, reason = "the other module of this name reads it")]
pub struct Run<'a> {
    pub args: &'a RunArgs,
    pub method: OnDevice,
    pub attacks: Vec<Attack>,
    pub words: &'a Arc<Vec<u32>>,
    pub set: &'a Arc<Dataset>,
    pub todo: &'a [usize],
    pub clip: Option<(f32, f32)>,
    pub epsilon: Option<f64>,
    pub search: Option<&'a Search>,
    pub attack: bool,
}

/// A GPU at work: none ever is.
pub enum Started {}

impl Started {
    pub fn stages(&self, _: &[SharedStage]) -> Vec<SharedStage> {
        match *self {}
    }

    pub fn end(&self) {
        match *self {}
    }
}

/// None.
pub fn begin(_: Run<'_>) -> Option<Started> {
    None
}

//! `--backend gpu` where the feature `gpu` is off.

use super::on_device::{OnDevice, Run};
use super::samples::RunArgs;
use crate::error::{Error, Result};
use crate::plan::SharedStage;

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

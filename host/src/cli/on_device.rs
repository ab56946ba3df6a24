//! What is asked of a GPU, whether the program knows one or not.

use std::sync::Arc;

use certus_engine::bounds::Options;

use super::samples::RunArgs;
use crate::alpha::Settings;
use crate::attack::Attack;
use crate::dataset::Dataset;
use crate::radius::Search;

/// What a GPU can take over of a plan: its first stage, or that and more.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(not(feature = "gpu"), allow(dead_code, reason = "what asks a GPU reads it"))]
pub struct OnDevice {
    /// The first stage's name, and how it propagates.
    pub method: (&'static str, Options),
    /// How slopes are searched for where that leaves a sample open.
    pub slopes: Option<Settings>,
    /// Whether that is a stage of its own, the last but one.
    pub apart: bool,
}

impl OnDevice {
    /// The first stage alone.
    pub const fn only(method: (&'static str, Options)) -> Self {
        Self { method, slopes: None, apart: false }
    }
}

/// What a run asks of a GPU.
#[cfg_attr(not(feature = "gpu"), allow(dead_code, reason = "what asks a GPU reads it"))]
pub struct Run<'a> {
    /// The command line.
    pub args: &'a RunArgs,
    /// The method.
    pub method: OnDevice,
    /// Attacks on what it leaves open.
    pub attacks: Vec<Attack>,
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
    /// Whether nothing is bounded, but only attacked.
    pub attack: bool,
}

//! Monitors on memory of exactly their size, full of garbage.

use certus_engine::bounds::{Portable, Workspace, forward};
use certus_engine::model::Model;
use certus_engine::monitor::{Monitor, Setup};

/// A monitor's memory.
#[derive(Debug)]
pub struct Memory {
    floats: Vec<f32>,
    indices: Vec<u32>,
}

impl Memory {
    /// For blocks of up to `block` rows.
    pub fn of(setup: &Setup<'_>, model: &Model<'_>, block: usize) -> Self {
        let size = setup.size(model, block);
        Self { floats: vec![f32::NAN; size.floats], indices: vec![7; size.indices] }
    }

    /// The monitor on it.
    ///
    /// # Panics
    /// If the setup does not fit.
    pub fn monitor<'a>(&'a mut self, model: Model<'a>, setup: Setup<'a>) -> Monitor<'a> {
        let memory = Workspace { floats: &mut self.floats, indices: &mut self.indices };
        Monitor::new(model, setup, memory).expect("a setup that fits")
    }
}

/// The engine's own forward pass.
///
/// # Panics
/// If `x` does not fit.
pub fn outputs(model: &Model<'_>, x: &[f32]) -> Vec<f32> {
    let (mut scratch, mut y) = (vec![0.0; 2 * model.width()], vec![0.0; model.outputs()]);
    forward(&Portable, model, x, &mut scratch, &mut y).expect("an input that fits");
    y
}
